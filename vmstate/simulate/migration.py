"""Migrations from one command line to another, and loads of a stream by a command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vmstate.dataclass import dataclass, replace
from vmstate.describe import SaveFailure
from vmstate.describe.cursor import Room
from vmstate.describe.history import Release
from vmstate.errors import NotModelled
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.devices.cpu.cpu import Cpu
from vmstate.pseries.machine import Machine
from vmstate.pseries.startup.build import Start, build
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.savevm.saver import SourceAborts
from vmstate.savevm.verdict import Check, Outcome, Verdict
from vmstate.simulate.instance import Instance
from vmstate.simulate.reloading import Destination

Side = str | Configuration

_KEPT = 1 << 25  # bytes of streams: those of a few usual machines
_SOURCES = 1024
_DESTINATIONS = 64  # processes of some hundred kilobytes


def configuration(side: Side) -> Configuration:
    """Return a side's Configuration, parsed if it is text.  Raises ConfigurationError."""
    return parse(side) if isinstance(side, str) else side


@dataclass(frozen=True)
class Sent:
    """The result of a source: its stream, or None and the check that failed; and its messages.

    ``release``: that of the source, if it started.
    """

    stream: bytes | memoryview | None
    messages: list[str]
    refused: Check | None = None
    instance: Instance | None = None
    release: Release | None = None


@dataclass(frozen=True)
class Received:
    """The result of a destination; ``instance`` is None if it did not start."""

    verdict: Verdict
    instance: Instance | None = None


def send(source: Side, before: Callable[[Instance], None] | None = None, *, room: Room | None = None) -> Sent:
    """Start a source, call ``before`` with it, and save its stream.

    ``room``: for a stream that only a destination will read, until the next one is there.  Raises
    ConfigurationError for a command line that is not modelled.
    """
    return sent_by(build(configuration(source)), before, room=room)


def sent_by(
    start: Start, before: Callable[[Instance], None] | None = None, *, room: Room | None = None
) -> Sent:
    """Save the stream of a source that was started already; the machine itself is not changed."""
    printed = list(start.messages)
    if start.machine is None:
        return Sent(None, printed, refusal("source", start))
    instance = Instance(start.machine)
    if before is not None:
        before(instance)
        printed += instance.machine.printed
    return sent_from(instance, printed, room=room)


def sent_from(instance: Instance, printed: list[str], *, room: Room | None = None) -> Sent:
    """Save the stream of a running source, which has printed these lines; a last one may be added."""
    stream, refused = None, None
    if instance.ended:
        refused = Check("ended", False, printed[-1])
    else:
        try:
            stream = instance.save() if room is None else instance.save_in(room)
        except SaveFailure as failure:
            refused = Check("save", False, str(failure))
        except SourceAborts as end:
            printed.append(end.line)
            refused = Check("aborted", False, f"QEMU aborts: {end.line}")
    return Sent(stream, printed, refused, instance, instance.release)


def take_snapshot(source: Side) -> Sent:
    """Start a source and save a snapshot (savevm), pass after pass until everything is saved.

    The device state is the same as in a migration.  Raises ConfigurationError for a command line that is not
    modelled.
    """
    sent = send(source)
    if sent.instance is None:
        return sent
    live = (entry.device for entry in sent.instance.entries if isinstance(entry.device, LiveDevice))
    endless = [device.idstr for device in live if not device.pass_ends()]
    if not endless:
        return sent
    never = Check("save", False, f"savevm never ends: {', '.join(endless)} is never done")
    return replace(sent, stream=None, refused=never)


def receive(
    stream: bytes | memoryview, destination: Side, *, trace: bool = False, source: Release | None = None
) -> Received:
    """Start a destination and load a stream; ``source``: the release that sent it, if it is known.

    Raises ConfigurationError for a command line that is not modelled.
    """
    return received_by(stream, build(configuration(destination)), trace=trace, source=source)


def received_by(
    stream: bytes | memoryview, start: Start, *, trace: bool = False, source: Release | None = None
) -> Received:
    """Load a stream at a destination that was started already; the machine itself is not changed."""
    if start.machine is None:
        return Received(_refused_start(start))
    instance = Instance(start.machine, trace=trace)
    return Received(_judged(instance, stream, start, source), instance)


def _refused_start(start: Start) -> Verdict:
    outcome = Outcome.REJECT if start.crashed else Outcome.DESTINATION_REFUSED
    refused = refusal("destination", start)
    return Verdict(outcome, list(start.messages), decided_by=refused, aborted=start.crashed)


def _judged(process: Instance, stream: bytes | memoryview, start: Start, source: Release | None) -> Verdict:
    """Load a stream; the verdict's messages are those of the start and of the load.  Raises NotModelled."""
    printed = list(start.messages)
    try:
        verdict = process.load(memoryview(stream))
    except NotModelled as unknown:
        unknown.messages = printed + unknown.messages
        raise
    bugs = _known_bugs(verdict, source, process.machine)
    return replace(verdict, messages=printed + verdict.messages, known_bugs=bugs)


def _known_bugs(verdict: Verdict, source: Release | None, machine: Machine) -> list[str]:
    guesses = verdict.outcome == Outcome.ACCEPT and not machine.flags.rtas_stopped_state
    if guesses and any(cpu.stopped_by_mistake for cpu in machine.registered(Cpu)):
        return ["idle-processor-stopped"]
    if verdict.outcome != Outcome.REJECT:
        return []
    from vmstate.explain.known_bugs import bugs_of_verdict  # patterns without number, for a reject only

    section = None if verdict.decided_by is None else verdict.decided_by.section
    return [bug.id for bug in bugs_of_verdict(verdict.messages, section, source, machine.release)]


def migrate(source: Side, destination: Side, *, trace: bool = False) -> Verdict:
    """Start both sides, save at the source and load at the destination.

    Raises ConfigurationError for a command line that is not modelled.
    """
    return Sides(trace=trace).migrate(source, destination)


class Sides:
    """Migrations and loads of which many may have the same sides.

    What the last sources have sent is kept, and so are the processes of the last destinations.  A side is the
    same if its Configuration is.  ``trace``: verdicts have every check.
    """

    def __init__(self, *, trace: bool = False) -> None:
        self._trace = trace
        self._room = Room()
        self._last: tuple[Configuration, Sent] | None = None
        self._sent: dict[int, tuple[Configuration, Sent | None]] = {}  # None for one that came once
        self._destinations: dict[int, tuple[Configuration, Start, Destination | None]] = {}

    def migrate(self, source: Side, destination: Side) -> Verdict:
        """Migrate as the function :func:`migrate` does."""
        to_side = configuration(destination)
        sent = self._send(configuration(source))
        messages = list(sent.messages)
        if sent.stream is None:
            return Verdict(Outcome.SOURCE_REFUSED, source_messages=messages, decided_by=sent.refused)
        with _after(sent):
            verdict = self.load(sent.stream, to_side, source=sent.release)
        return replace(verdict, source_messages=messages)

    def load(
        self, stream: bytes | memoryview, destination: Side, *, source: Release | None = None
    ) -> Verdict:
        """Load as the function :func:`load` does; ``source``: the release that sent it, if it is known."""
        start, kept = self._destination(configuration(destination))
        if kept is None:
            return _refused_start(start)
        with kept.process() as process:
            return _judged(process, stream, start, source)

    def _send(self, source: Configuration) -> Sent:
        """Return what a source sends: it stays until another source comes, or longer if it comes again."""
        if self._last is not None and self._last[0] is source:
            return self._last[1]
        again = id(source) in self._sent
        _, sent = self._sent.pop(id(source), (source, None))
        if sent is None:
            self._last = None  # it loses its room
            sent = send(source, room=self._room)
            if sent.instance is not None:
                sent.instance.discard()
            kept = sent.stream if sent.stream is None or not again else bytes(sent.stream)
            sent = replace(sent, stream=kept, instance=None)
        self._last = source, sent
        self._sent[id(source)] = source, sent if again else None
        while len(self._sent) > _SOURCES or (again and sum(map(_size, self._sent.values())) > _KEPT):
            del self._sent[next(iter(self._sent))]
        return sent

    def _destination(self, to: Configuration) -> tuple[Start, Destination | None]:
        known = self._destinations.pop(id(to), None)
        if known is None:
            start = build(to)
            machine = start.machine
            known = to, start, None if machine is None else Destination(machine, trace=self._trace)
        self._destinations[id(to)] = known
        if len(self._destinations) > _DESTINATIONS:
            del self._destinations[next(iter(self._destinations))]
        return known[1:]


def _size(kept: tuple[Configuration, Sent | None]) -> int:
    sent = kept[1]
    return 0 if sent is None or sent.stream is None else len(sent.stream)


def received_from(sent: Sent, destination: Side, *, trace: bool = False) -> Received:
    """Load what a source has sent.  Raises NotModelled, with the lines of both sides."""
    assert sent.stream is not None
    with _after(sent):
        return receive(sent.stream, destination, trace=trace, source=sent.release)


@contextmanager
def _after(sent: Sent) -> Iterator[None]:
    """Add the source's lines where a load is not modelled."""
    try:
        yield
    except NotModelled as unknown:
        unknown.source_messages = sent.messages
        raise


def save(source: Side) -> bytes:
    """Return the stream that a source sends.

    Raises ConfigurationError for a command line that is not modelled, SaveRefused if QEMU would not start, or
    would end before it has sent anything that can be loaded.
    """
    start = build(configuration(source))
    if start.machine is None:
        raise SaveRefused(list(start.messages))
    try:
        return Instance(start.machine).save()
    except SourceAborts as end:
        raise SaveRefused([*start.messages, end.line]) from None


class SaveRefused(Exception):
    """The source does not start, or ends when it should save; ``messages`` are its stderr lines."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def load(stream: bytes | memoryview, destination: Side, *, trace: bool = False) -> Verdict:
    """Load a stream, simulated or captured, at a destination.

    Raises ConfigurationError for a command line that is not modelled.
    """
    return Sides(trace=trace).load(stream, destination)


def refusal(side: str, start: Start) -> Check:
    """Return the check that ended a start of the source or the destination."""
    rule = "aborted" if start.crashed else "command-line"
    line = start.messages[-1] if start.messages else f"the {side} does not start"
    return Check(rule, False, f"{line} ({start.why})" if start.why else line)
