"""Real replays: streams of each machine type, in both directions and there and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vmstate.bump.question import PSERIES_CPU, Question
from vmstate.bump.sides import Side
from vmstate.dataclass import dataclass
from vmstate.errors import StreamError
from vmstate.judge.comparison import STALLED, without_installation
from vmstate.outputs import save
from vmstate.qemu.capture import capture, save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.replay import RealOutcome, RealVerdict, load_stream, refused_start, replay, verdict_of
from vmstate.qemu.session import Session
from vmstate.records import judge
from vmstate.savevm.verdict import Outcome
from vmstate.schema.from_stream import schema_of_stream
from vmstate.stream import open_stream

#: Additions to ``-machine`` if a pseries machine does not start without them under TCG.
_FALLBACKS = ("", ",cap-htm=off", ",cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken")
SOURCE_REFUSED = "source-refused"
BARE, DEVICES = "bare", "with devices"


@dataclass(frozen=True)
class Replay:
    """One migration that was run: the releases on its way, the machine, the outcome, what was printed.

    ``recorded``: the stream is a record's; ``by_record``: the destination is one.
    ``way``: ``old → new``, or ``old → new → old``.  ``arguments``: those of every side.  ``sections``: the
    names of the descriptions that the source sent.
    """

    way: tuple[str, ...]
    machine: str
    variant: str
    arguments: tuple[str, ...]
    outcome: str
    messages: tuple[str, ...] = ()
    source_messages: tuple[str, ...] = ()
    recorded: bool = False
    by_record: bool = False
    sections: frozenset[str] = frozenset()

    @property
    def accepted(self) -> bool:
        """True if every destination loaded the guest."""
        return self.outcome == RealOutcome.ACCEPT

    @property
    def started(self) -> bool:
        """True if the source started and sent a stream."""
        return self.outcome != SOURCE_REFUSED


def replays(old: Side, new: Side, question: Question, done: Callable[[int], None]) -> list[Replay]:
    """Run all migrations between the two programs, as far as they are at hand."""
    common = [m for m in new.machines if m in set(old.machines) and question.wants(m)]
    devices = _devices(old, new, question)
    variants: list[tuple[str, tuple[str, ...]]] = [(BARE, ()), (DEVICES, devices)]
    tasks = [(m, name, more) for m in common for name, more in variants if more or name == BARE]
    # Behind a default processor that differs, other breaks would not be seen.
    chosen = ("-cpu", PSERIES_CPU)
    tasks += [(m, chosen[1], (*devices, *chosen)) for m in common if m.startswith("pseries-")]
    with tempfile.TemporaryDirectory(prefix="vmstate-") as folder, ThreadPoolExecutor(question.jobs) as pool:

        def run(number: int) -> list[Replay]:
            machine, variant, devices = tasks[number]
            place = Path(folder) / str(number)
            place.mkdir()
            found = list(_Machine(old, new, question, place).run(machine, variant, devices))
            done(number)
            return found

        return [one for found in pool.map(run, range(len(tasks))) for one in found]


def _devices(old: Side, new: Side, question: Question) -> tuple[str, ...]:
    known = [side.devices for side in (old, new) if side.devices is not None]
    names = (text for text in question.devices if all(text.split(",")[0] in one for one in known))
    return tuple(word for text in names for word in ("-device", text))


class _Machine:
    """The replays of one machine; its streams are in a folder of its own."""

    def __init__(self, old: Side, new: Side, question: Question, folder: Path) -> None:
        self.old, self.new, self.question, self.folder = old, new, question, folder

    def run(self, machine: str, variant: str, devices: tuple[str, ...]) -> Iterator[Replay]:
        """Yield every replay of a machine type."""
        given = ("-nodefaults", "-m", str(self.question.memory), *devices)
        for source, destination in ((self.old, self.new), (self.new, self.old)):
            arguments = given
            sent = self._sent(source, machine, variant, arguments)
            if isinstance(sent, Replay):
                yield sent
            if not isinstance(sent, tuple):
                continue
            path, kind, messages, recorded = sent
            if recorded:
                arguments = source.arguments
            way = (source.name, destination.name)
            if destination.program is None:
                yield from self._by_record(path, destination, way, kind, variant, arguments)
                continue
            back = self.folder / "back" if source is self.old and source.program is not None else None
            verdict = self._passed_on(path, destination.command(kind, *arguments), back)
            yield Replay(
                way,
                kind,
                variant,
                arguments,
                *_result(verdict),
                source_messages=messages,
                recorded=recorded,
                sections=_sections(path),
            )
            if back is not None and back.exists() and verdict.outcome == RealOutcome.ACCEPT:
                home = self._passed_on(back, source.command(kind, *arguments), None)
                yield Replay((*way, source.name), kind, variant, arguments, *_result(home))

    @staticmethod
    def _by_record(
        path: Path, side: Side, way: tuple[str, ...], kind: str, variant: str, arguments: tuple[str, ...]
    ) -> Iterator[Replay]:
        """Judge a stream by the record of a destination; it runs no hooks, so an accept says little."""
        machine = kind.partition(",")[0]
        if side.record is None or variant != BARE or machine not in (side.streams or {}):
            return
        verdict = judge(open_stream(path.read_bytes()), side.record, machine).verdict
        if verdict.outcome in (Outcome.ACCEPT, Outcome.REJECT):
            messages = tuple(verdict.messages)
            yield Replay(way, kind, variant, arguments, str(verdict.outcome), messages, by_record=True)

    def _sent(
        self, side: Side, machine: str, variant: str, arguments: tuple[str, ...]
    ) -> tuple[Path, str, tuple[str, ...], bool] | Replay | None:
        """Return a stream of a side, the machine that sent it, and what it printed; None if not recorded."""
        path = self.folder / f"from-{side.name}"
        if side.program is None:
            recorded = (side.streams or {}).get(machine) if variant == BARE else None
            if recorded is None:
                return None
            save(path, [recorded])
            return path, machine, (), True
        refused: tuple[str, ...] = ()
        for addition in _FALLBACKS if machine.startswith("pseries") else ("",):
            kind = machine + addition
            try:
                messages = capture(side.command(kind, *arguments), path, timeout=self.question.timeout)
            except (QemuRefused, QmpRefused, QemuStalled) as failed:
                refused = refused or failed.messages or (str(failed),)
            else:
                return path, kind, messages, False
        return Replay((side.name,), machine, variant, arguments, SOURCE_REFUSED, refused)

    def _passed_on(self, path: Path, command: QemuCommand, to: Path | None) -> RealVerdict:
        """Load a stream; if it is accepted, save the guest again to ``to``."""
        try:
            if to is None:
                return replay(path, command, timeout=self.question.timeout)
            with Session(command, incoming=True, timeout=self.question.timeout) as qemu:
                accepted = load_stream(qemu, path)
                if accepted:
                    save_stream(qemu, to)
                return verdict_of(qemu, accepted=accepted)
        except QemuRefused as refused:
            return refused_start(refused)
        except QmpRefused as refused:
            return RealVerdict(RealOutcome.REJECT, (*refused.messages, str(refused)))
        except QemuStalled as stalled:
            return RealVerdict(RealOutcome.REJECT, (*stalled.messages, STALLED))


def _sections(path: Path) -> frozenset[str]:
    """Return the names of the descriptions in a stream."""
    try:
        schema = schema_of_stream(open_stream(path.read_bytes()), str(path))
    except StreamError:
        return frozenset()
    return frozenset(one.name for one in schema.descriptions.values())


def _result(verdict: RealVerdict) -> tuple[str, tuple[str, ...]]:
    return str(verdict.outcome), without_installation(verdict.messages)
