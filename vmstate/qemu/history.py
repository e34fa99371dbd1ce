"""A history on real QEMUs, through QMP: events, migrations on the way, and the last migration.

Each event is the line that the simulator takes (vmstate/simulate/events.py), in the words of QEMU's monitor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vmstate.describe.history import Release, at
from vmstate.errors import ConfigurationError
from vmstate.pseries.devices import drivers
from vmstate.pseries.options import FALSE, TRUE, Opt, parse_number, parse_opts_and_id, parse_size
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.replay import RealVerdict, load_stream, refused_start, verdict_of
from vmstate.qemu.session import Session

_NUMBERS = frozenset({"core-id", "nr-threads", "node-id"})  # of a processor core
#: Seconds for the main loop to make a reset, and for RCU to forget an unplugged device's sections.
_GRACE = 0.1
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

    ``ended``: the return code of a source that ended before it had sent its stream.
    """

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


def play(legs: Sequence[Leg], *, timeout: float = 60.0) -> Played:
    """Migrate a machine from each leg to the next, after the events there; stop at the first failure.

    Raises QemuStalled, QemuNotFound, QmpUnavailable.
    """
    played = Played()
    with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
        stream = Path(directory) / "stream"
        for place, leg in enumerate(legs):
            arrived = not place
            try:
                with Session(leg.command, incoming=not arrived, timeout=timeout) as qemu:
                    if place:
                        arrived = load_stream(qemu, stream)
                        if not arrived or leg is legs[-1]:
                            played.load = verdict_of(qemu, accepted=arrived)
                            return played
                        played.answers.append("")
                    for event in leg.events:
                        played.answers.append(perform(qemu, event, leg.binary.release))
                    save_stream(qemu, stream)
                    played.messages = qemu.finish().messages
            except QemuRefused as refused:
                if arrived:
                    played.messages, played.ended = refused.messages, refused.returncode
                else:
                    played.load = refused_start(refused)
                return played
    return played


def perform(qemu: Session, event: str, release: Release) -> str:
    """Perform an event; return QEMU's refusal, or an empty text if it did as it was asked.

    Raises ConfigurationError for an event that is not known, and the errors of :meth:`Session.execute`.
    """
    name, _, rest = event.partition(" ")
    try:
        match name:
            case "device_add":
                qemu.execute("device_add", **_device(rest, release))
            case "device_del":
                qemu.execute("device_del", id=rest.strip())
                qemu.sleep(_GRACE)
            case "object_add" | "object_del":
                return _monitor(qemu, event)
            case "system_reset":
                qemu.execute("system_reset")
                qemu.sleep(_GRACE)
                qemu.execute("query-status")
            case "stop":
                qemu.execute("stop")
            case _:
                raise ConfigurationError(f"no such event: {event!r}")
    except QmpRefused as refused:
        return refused.reason
    return ""


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
