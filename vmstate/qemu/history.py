"""A history on real QEMUs, through QMP: events, migrations on the way, and the last migration.

Each event is the line that the simulator takes (vmstate/simulate/events.py), in the words of QEMU's monitor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.history import Release, at
from vmstate.errors import ConfigurationError
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.devices import drivers
from vmstate.pseries.options import FALSE, TRUE, Opt, parse_number, parse_opts_and_id, parse_size
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.guest_run import GuestFiles, GuestRun, devices
from vmstate.qemu.replay import RealVerdict, load_stream, refused_start, replay, verdict_of
from vmstate.qemu.session import Session

_NUMBERS = frozenset({"core-id", "nr-threads", "node-id"})  # of a processor core
#: Seconds for the main loop to make a reset, and for RCU to forget an unplugged device's sections.
_GRACE = 0.1
_MODULE = "child<pc-dimm>"
_AS_TEXT = ("human-monitor-command", "command-line")


@dataclass(frozen=True)
class Leg:
    """A part of a history: a QEMU, its command line, and the events that happen there."""

    binary: Binary
    command: QemuCommand
    events: Sequence[str] = ()


@dataclass
class Played:
    """The record of a history: the answers to its events, the lines of the last source, the last load.

    ``ended``: the return code of a source that ended before it had sent its stream.  ``said``: what the guest
    did after each event, where that is its own choice; else empty.
    """

    said: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    messages: tuple[str, ...] = ()
    ended: int | None = None
    load: RealVerdict | None = None

    def recorded(self) -> dict[str, object]:
        """Return the fields of a recorded row."""
        save: dict[str, object] = {"ok": self.ended is None, "stderr": list(self.messages)}
        if self.ended is not None:
            save["returncode"] = self.ended
        row: dict[str, object] = {"answers": self.answers, "save": save}
        return row if self.load is None else {**row, "load": self.load.recorded()}


def play(
    legs: Sequence[Leg],
    destinations: Sequence[QemuCommand],
    *,
    guest: Guest | None = None,
    files: Mapping[str, GuestFiles] | None = None,
    timeout: float = 60.0,
) -> list[Played]:
    """Migrate a machine from each leg to the next, after the events there, and at last to each destination.

    It stops at the first failure; every destination then has the same record.  ``guest``: boots at first;
    ``files``: of the guests, by kernel.

    Raises QemuStalled, QemuNotFound, QmpUnavailable; ConfigurationError for a guest that cannot be booted.
    """
    with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
        journey = _Journey(Path(directory), guest, files or {}, timeout)
        for leg in legs:
            if not journey.travel(leg):
                return [journey.played for _ in destinations]
        return [
            replace(journey.played, load=replay(journey.stream, command, timeout=timeout))
            for command in destinations
        ]


class _Journey:
    """A machine that goes from QEMU to QEMU; ``stream`` is the file in which it was saved last."""

    def __init__(
        self, directory: Path, guest: Guest | None, files: Mapping[str, GuestFiles], timeout: float
    ) -> None:
        self.played = Played()
        self.stream = directory / "stream"
        self._guest, self._directory, self._files, self._timeout = guest, directory, files, timeout
        self._run: GuestRun | None = None
        self._first = True

    def travel(self, leg: Leg) -> bool:
        """Start or load the machine at a leg, let its events happen and save it; return False if it ended."""
        played, arrived = self.played, self._first
        run, command = self._at(leg), leg.command
        try:
            command = run.command(command) if run is not None else command
            with Session(command, incoming=not self._first, timeout=self._timeout) as qemu:
                if not self._first:
                    arrived = load_stream(qemu, self.stream)
                    if not arrived:
                        played.load = verdict_of(qemu, accepted=False)
                        return False
                    played.answers.append("")
                    played.said.append("")
                    if run is not None and run.running:
                        qemu.execute("cont")
                elif run is not None:
                    run.boot(qemu)
                for event in leg.events:
                    played.answers.append(perform(qemu, event, leg.binary.release, run))
                    played.said.append("" if run is None else run.take_answer())
                if run is not None:
                    qemu.execute("stop")
                save_stream(qemu, self.stream)
                played.messages = qemu.finish().messages
        except QemuRefused as refused:
            if arrived:
                played.messages, played.ended = refused.messages, refused.returncode
            else:
                played.load = refused_start(refused)
            return False
        self._first = False
        return True

    def _at(self, leg: Leg) -> GuestRun | None:
        """Return the run of a guest at a leg: of the one that boots there, or of the one that arrives."""
        boots = [event.removeprefix("boot ") for event in leg.events if event.startswith("boot ")]
        if boots and (self._first or len(set(boots)) > 1):
            raise ConfigurationError("on one QEMU one guest can boot; another boots after a migration")
        if boots:
            self._guest = named_guest(boots[0])
        if self._guest is None:
            return None
        running, booted = (False, True) if self._run is None else (self._run.running, self._run.booted)
        console, look = self._directory / "console", self._directory / "look"
        console.write_bytes(b"")
        self._run = GuestRun(self._guest, self._files, console, look, running, booted)
        return self._run


def perform(qemu: Session, event: str, release: Release, run: GuestRun | None = None) -> str:
    """Perform an event; return QEMU's refusal, or an empty text if it did as it was asked.

    A guest that runs has answered when this returns.

    Raises ConfigurationError for an event that is not known, and the errors of :meth:`Session.execute`.
    """
    name, _, rest = event.partition(" ")
    try:
        match name:
            case "device_add":
                qemu.execute("device_add", **_device(rest, release))
            case "device_del":
                _device_del(qemu, rest.split()[0], run)
            case "object_add" | "object_del":
                return _monitor(qemu, event)
            case "system_reset":
                qemu.execute("system_reset")
                qemu.sleep(_GRACE)
                qemu.execute("query-status")
            case "stop":
                qemu.execute("stop")
            case "cont" | "boot" if run is not None:
                pass
            case _:
                raise ConfigurationError(f"no such event: {event!r}")
    except QmpRefused as refused:
        return refused.reason
    if run is not None and not run.said:
        _let_run(qemu, name, run)
    return ""


def _device_del(qemu: Session, name: str, run: GuestRun | None) -> None:
    """Unplug a device; note what a running guest does if it is memory."""
    asks = run is not None and run.running and devices(qemu).get(name) == _MODULE
    qemu.execute("device_del", id=name)
    qemu.sleep(_GRACE)
    if run is not None and asks:
        run.note_answer(qemu, name)


def _let_run(qemu: Session, event: str, run: GuestRun) -> None:
    """Let a guest go on after an event, until it is ready or has answered."""
    match event:
        case "system_reset":
            run.reset(qemu)
        case "boot":
            qemu.execute("system_reset")
            run.boot(qemu)
        case "cont":
            run.cont(qemu)
        case "stop":
            run.running = False
    run.settle(qemu)


def _monitor(qemu: Session, line: str) -> str:
    """Run a command of the human monitor; return its error."""
    command, argument = _AS_TEXT
    answer = str(qemu.execute(command, **{argument: line})).strip()
    return answer.removeprefix("Error: ")


def _device(text: str, release: Release) -> dict[str, object]:
    """Return QMP's arguments: from 10.0 on a value must have its property's type."""
    driver, _, rest = text.partition(",")
    found: dict[str, object] = {"driver": driver}
    if rest:
        found.update({opt.name: _value(driver, opt, release) for opt in parse_opts_and_id(rest)})
    return found


def _value(driver: str, opt: Opt, release: Release) -> object:
    known = drivers().get(driver)
    declared = None if known is None else known.property(opt.name, release)
    kind = "" if declared is None or declared.own_syntax else at(declared.kind, release)
    if kind == "bool" and opt.value in TRUE | FALSE:
        return opt.value in TRUE
    number = parse_size(opt.value) if kind == "size" else parse_number(opt.value)
    is_number = kind.startswith(("int", "uint", "size")) or opt.name in _NUMBERS
    return number if is_number and number is not None else opt.value
