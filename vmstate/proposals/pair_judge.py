"""Judge each pair without and with a proposal, with as few simulated runs as possible.

A source starts and saves once for all its destinations, and equivalent machines are run once.  If the stream
is the same and the destination does not have the proposal, no run is needed.  The verdicts are those of
:func:`vmstate.simulate.migration.migrate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmstate.dataclass import dataclass, field
from vmstate.errors import NotModelled
from vmstate.proposals.chosen_set import ChosenSet, Setting
from vmstate.proposals.wire import differing
from vmstate.pseries.cas.guests import guest
from vmstate.pseries.catalogue import Binary, Catalogue
from vmstate.savevm.verdict import Check, Outcome
from vmstate.simulate.shared_runs import Saved, SharedRuns, Started

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
        self._started: dict[tuple[int, str, Setting], Started] = {}
        self._runs = SharedRuns(catalogue, guest(chosen.guest) if chosen.guest else None)
        self._differing: dict[tuple[int, int], tuple[str, ...]] = {}

    def tasks(self) -> list[Task]:
        """Return all parts of the work, from each program to the proposal's and back."""
        sizes = len(self.programs), len(self.chosen.types), len(self.chosen.platforms)
        return [Task(p, t, f) for p in range(sizes[0]) for t in range(sizes[1]) for f in range(sizes[2])]

    def size(self, tasks: Iterable[Task]) -> int:
        """Return the number of pairs in these tasks, of which some will not start."""
        return sum(
            sum(1 for _ in self.chosen.pairs(self._binaries[task.program], self._binaries[to], *task[1:]))
            for task in tasks
            for to in self._others(task)
        )

    def _others(self, task: Task) -> Iterable[int]:
        return range(len(self.programs)) if task.program == 0 else (0,)

    def run(self, task: Task) -> TaskResult:
        """Judge the pairs of a task."""
        if len(self._started) > _KEPT:
            self._started.clear()
            self._runs.forget()
        self._runs.forget_streams()
        self._runs.forget_loads()
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
        sides = self._binaries
        found: dict[Setting, list[tuple[int, Setting]]] = {}
        for to in self._others(task):
            for source, destination in self.chosen.pairs(
                sides[task.program], sides[to], task.type, task.platform
            ):
                found.setdefault(source, []).append((to, destination))
        for source, destinations in found.items():
            yield from ((to, source, destination) for to, destination in destinations)
            self._runs.forget_streams()

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
        if not any(a.runs and b.runs for a, b in zip(senders, receivers, strict=True)):
            return None
        try:
            saved = [self._runs.save(sender) for sender in senders]
            if saved[0].number == saved[1].number and receivers[0].number == receivers[1].number:
                return _SAME
            before, after = (self._answer(a, b) for a, b in zip(saved, receivers, strict=True))
        except NotModelled as unknown:
            unmodelled.add(str(unknown))
            return None
        return VerdictChange(before, after._replace(sends=self._sends(*saved)))

    def _start(self, program: int, when: int, setting: Setting) -> Started:
        proposal = self.programs[program].proposals[when]
        known = self._started.get((program, proposal, setting))
        if known is None:
            text = self.command_line(program, when, setting)
            known = self._started[program, proposal, setting] = self._runs.start(text)
        return known

    def _sends(self, before: Saved, after: Saved) -> tuple[str, ...]:
        """Return how the streams differ, if both exist."""
        known = self._differing.get((before.number, after.number))
        if known is None:
            one, other = before.sent.stream, after.sent.stream
            known = () if one is None or other is None or one == other else differing(one, other)
            self._differing[before.number, after.number] = known
        return known

    def _answer(self, saved: Saved, side: Started) -> PairVerdict:
        sent = saved.sent
        messages = tuple(sent.messages)
        if sent.stream is None:
            return PairVerdict(
                Outcome.SOURCE_REFUSED, messages, (), *_decided(sent.refused), (saved.ioctls, ())
            )
        loaded = self._runs.load(saved, side)
        verdict = loaded.verdict
        decided = _decided(verdict.decided_by)
        calls = saved.ioctls, loaded.ioctls
        return PairVerdict(verdict.outcome, messages, tuple(verdict.messages), *decided, calls)

    def _binary(self, program: Program, when: int) -> Binary:
        name = program.proposals[when]
        catalogue = self.catalogue.fork(name) if name else self.catalogue
        return catalogue.binary(catalogue.release(program.release))


_NO_CHANGE = PairVerdict(Outcome.ACCEPT, (), ())
_SAME = VerdictChange(_NO_CHANGE, _NO_CHANGE)


def _decided(check: Check | None) -> tuple[str, str, str]:
    return (check.rule, check.section or "", check.path or "") if check is not None else ("", "", "")
