"""Judge each pair without and with a proposal, with as few simulated runs as possible.

A source starts and saves once for all its destinations, and equivalent machines are run once.  If the stream
is the same and the destination does not have the proposal, no run is needed.  The verdicts are those of
:func:`vmstate.simulate.migration.migrate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmstate.errors import ConfigurationError, NotModelled
from vmstate.proposals.chosen_set import ChosenSet, Setting
from vmstate.proposals.equivalence import EquivalentMachines
from vmstate.proposals.wire import differing
from vmstate.pseries.cas.guests import guest
from vmstate.pseries.catalogue import Binary, Catalogue
from vmstate.pseries.startup.build import Start, build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Check, Outcome, Verdict
from vmstate.simulate.guest import boot
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import Sent, received_by, sent_by

BEFORE, AFTER = 0, 1


@dataclass(frozen=True)
class Program:
    """A release, and the proposals that it has before and after (an empty string for none)."""

    release: str
    proposals: tuple[str, str] = ("", "")

    @property
    def affected(self) -> bool:
        """True if the two differ."""
        return self.proposals[BEFORE] != self.proposals[AFTER]

    def name(self, when: int) -> str:
        """Return the name in a command line: ``qemu-4.2.1+NAME``."""
        proposal = self.proposals[when]
        return f"qemu-{self.release}+{proposal}" if proposal else f"qemu-{self.release}"


class PairVerdict(NamedTuple):
    """The compared parts of a verdict, and the KVM calls of both sides (source's, destination's).

    ``sends``: in the verdict after, how the source's stream differs from the one before.
    """

    outcome: Outcome
    source_messages: tuple[str, ...]
    messages: tuple[str, ...]
    rule: str = ""
    section: str = ""
    path: str = ""
    ioctls: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    sends: tuple[str, ...] = ()


class VerdictChange(NamedTuple):
    """The verdicts on a pair before and after."""

    before: PairVerdict
    after: PairVerdict


class Task(NamedTuple):
    """A part of the work: the pairs whose source is this program, with this type, on this platform."""

    program: int
    type: int
    platform: int


#: The columns of a row for each pair: both programs, both settings, the number of its change (-1: none).
COLUMNS = (
    "source", "destination", "type", "platform", "ic_mode", "compat", "option",
    "to_platform", "to_ic_mode", "to_compat", "to_option", "change",
)  # fmt: skip
Rows = NDArray[np.int32]


@dataclass
class TaskResult:
    """The result of a task.  ``tried`` counts every pair; ``rows`` has those that start on both sides.

    ``unmodelled``: the reasons why pairs could not be judged.
    """

    rows: Rows
    changes: list[VerdictChange]
    tried: int
    unmodelled: set[str] = field(default_factory=set)


@dataclass
class _Started:
    """A started machine; equivalent ones have the same number.  ``start`` is None if it is not modelled."""

    start: Start | None
    number: int
    trouble: str = ""


@dataclass(frozen=True)
class _Saved:
    """The stream of a source; equal streams have the same number."""

    sent: Sent
    number: int
    ioctls: tuple[str, ...]


@dataclass(frozen=True)
class _Judged:
    verdict: Verdict
    ioctls: tuple[str, ...]


_KEPT = 6000  # machines that a worker remembers


class PairJudge:
    """Judges the pairs of a chosen set, task by task.

    ``programs``: the proposal's own first.  ``catalogue`` has all proposals that they name.
    """

    def __init__(self, catalogue: Catalogue, programs: tuple[Program, ...], chosen: ChosenSet) -> None:
        self.catalogue = catalogue
        self.programs = programs
        self.chosen = chosen
        self._binaries = [
            tuple(self._binary(program, when) for when in (BEFORE, AFTER)) for program in programs
        ]
        self._started: dict[tuple[int, str, Setting], _Started] = {}
        self._machines = EquivalentMachines()
        self._saved: dict[int, _Saved] = {}
        self._judged: dict[tuple[int, int], _Judged] = {}
        self._guest = guest(chosen.guest) if chosen.guest else None
        self._differing: dict[tuple[int, int], tuple[str, ...]] = {}

    def tasks(self) -> list[Task]:
        """Return all parts of the work, from each program to the proposal's and back."""
        sizes = len(self.programs), len(self.chosen.types), len(self.chosen.platforms)
        return [Task(p, t, f) for p in range(sizes[0]) for t in range(sizes[1]) for f in range(sizes[2])]

    def run(self, task: Task) -> TaskResult:
        """Judge the pairs of a task."""
        if len(self._started) > _KEPT:
            self._started.clear()
            self._machines.forget()
        self._saved.clear()
        self._judged.clear()
        self._differing.clear()
        rows: list[tuple[int, ...]] = []
        changes: dict[VerdictChange, int] = {}
        done = TaskResult(np.empty((0, len(COLUMNS)), np.int32), [], 0)
        for to, source, destination in self._pairs(task):
            done.tried += 1
            change = self._judge(task.program, source, to, destination, done.unmodelled)
            if change is None:
                continue
            number = changes.setdefault(change, len(changes)) if change.before != change.after else -1
            rows.append((task.program, to, *source, *destination[1:], number))
        if rows:
            done.rows = np.array(rows, np.int32)
        done.changes = list(changes)
        return done

    def command_line(self, program: int, when: int, setting: Setting) -> str:
        """Return one side's command line, before or after."""
        setting = self.chosen.available((self._binaries[program][when],), setting)
        return self.chosen.command_line(self.programs[program].name(when), setting)

    def option_differs(self, program: int, option: int) -> bool:
        """Return True if the program has this option only before, or only after."""
        setting = Setting(0, 0, option=option)
        one, other = (self.chosen.available((binary,), setting) for binary in self._binaries[program])
        return one != other

    def _pairs(self, task: Task) -> Iterator[tuple[int, Setting, Setting]]:
        others = range(len(self.programs)) if task.program == 0 else (0,)
        sides = self._binaries
        found: dict[Setting, list[tuple[int, Setting]]] = {}
        for to in others:
            for source, destination in self.chosen.pairs(
                sides[task.program], sides[to], task.type, task.platform
            ):
                found.setdefault(source, []).append((to, destination))
        for source, destinations in found.items():
            yield from ((to, source, destination) for to, destination in destinations)
            self._saved.clear()

    def _judge(
        self, source: int, setting: Setting, to: int, other: Setting, unmodelled: set[str]
    ) -> VerdictChange | None:
        """Return the verdicts before and after, or None if both sides never start together.

        Also None if one verdict is not known.
        """
        senders = [self._start(source, when, setting) for when in (BEFORE, AFTER)]
        receivers = [self._start(to, when, other) for when in (BEFORE, AFTER)]
        troubles = {side.trouble for side in (*senders, *receivers) if side.start is None}
        if troubles:
            unmodelled |= troubles
            return None
        if not any(_runs(a) and _runs(b) for a, b in zip(senders, receivers, strict=True)):
            return None
        try:
            saved = [self._save(sender) for sender in senders]
            if saved[0].number == saved[1].number and receivers[0].number == receivers[1].number:
                return _SAME
            before, after = (self._answer(a, b) for a, b in zip(saved, receivers, strict=True))
        except NotModelled as unknown:
            unmodelled.add(str(unknown))
            return None
        return VerdictChange(before, after._replace(sends=self._sends(*saved)))

    def _start(self, program: int, when: int, setting: Setting) -> _Started:
        proposal = self.programs[program].proposals[when]
        known = self._started.get((program, proposal, setting))
        if known is None:
            text = self.command_line(program, when, setting)
            known = self._started[program, proposal, setting] = self._started_new(text)
        return known

    def _started_new(self, text: str) -> _Started:
        try:
            configuration = parse(text, self.catalogue)
            start = build(configuration)
        except ConfigurationError as error:
            return _Started(None, -1, str(error))
        return _Started(start, self._machines.number(configuration, start))

    def _save(self, side: _Started) -> _Saved:
        """Save the machine's stream; its number is that of the first machine with the same stream."""
        known = self._saved.get(side.number)
        if known is None:
            assert side.start is not None
            sent = sent_by(side.start, self._boot)
            ioctls = tuple(sent.instance.ioctls) if sent.instance is not None else ()
            sent = replace(sent, instance=None)
            same = (one.number for one in self._saved.values() if (one.sent, one.ioctls) == (sent, ioctls))
            known = self._saved[side.number] = _Saved(sent, next(same, side.number), ioctls)
        return known

    def _boot(self, instance: Instance) -> None:
        if self._guest is not None:
            boot(instance, self._guest)

    def _sends(self, before: _Saved, after: _Saved) -> tuple[str, ...]:
        """Return how the streams differ, if both exist."""
        known = self._differing.get((before.number, after.number))
        if known is None:
            one, other = before.sent.stream, after.sent.stream
            known = () if one is None or other is None or one == other else differing(one, other)
            self._differing[before.number, after.number] = known
        return known

    def _answer(self, saved: _Saved, side: _Started) -> PairVerdict:
        sent = saved.sent
        messages = tuple(sent.messages)
        if sent.stream is None:
            return PairVerdict(
                Outcome.SOURCE_REFUSED, messages, (), *_decided(sent.refused), (saved.ioctls, ())
            )
        known = self._judged.get((saved.number, side.number))
        if known is None:
            assert side.start is not None
            received = received_by(sent.stream, side.start)
            ioctls = tuple(received.instance.ioctls) if received.instance is not None else ()
            known = self._judged[saved.number, side.number] = _Judged(received.verdict, ioctls)
        verdict = known.verdict
        decided = _decided(verdict.decided_by)
        calls = saved.ioctls, known.ioctls
        return PairVerdict(verdict.outcome, messages, tuple(verdict.messages), *decided, calls)

    def _binary(self, program: Program, when: int) -> Binary:
        name = program.proposals[when]
        catalogue = self.catalogue.fork(name) if name else self.catalogue
        return catalogue.binary(catalogue.release(program.release))


_NO_CHANGE = PairVerdict(Outcome.ACCEPT, (), ())
_SAME = VerdictChange(_NO_CHANGE, _NO_CHANGE)


def _runs(side: _Started) -> bool:
    return side.start is not None and side.start.machine is not None


def _decided(check: Check | None) -> tuple[str, str, str]:
    return (check.rule, check.section or "", check.path or "") if check is not None else ("", "", "")
