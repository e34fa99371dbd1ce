"""Record the answers of real QEMUs in the format of the recorded verdicts: one JSON object a line.

A row is one question: a pair (``source``, ``destination``), a load (``stream``, ``destination``), or a
mutant (``base``, ``edits``, ``destination``).  A machine is ``{"release": "7.2.22", "args": […]}``; its
arguments follow ``-nodefaults``.  A pair may have ``events``, a history; one of them may be ``migrate`` with
the command line of the next machine.  Recording adds ``save`` and ``load``, and the ``answers`` to events,
empty if QEMU did as it was asked.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.history import Leg, play
from vmstate.qemu.replay import replay
from vmstate.simulate.history import MIGRATE

Row = dict[str, Any]
Streams = Callable[[str], bytes]  # the uncompressed bytes of a stream, by its name

_FIRST = ("-nodefaults",)


class Recorder:
    """A recorder for the QEMUs ``binaries``, by full release number; ``streams`` finds streams by name."""

    def __init__(self, binaries: Mapping[str, Binary], streams: Streams, *, timeout: float = 60.0) -> None:
        self._binaries = binaries
        self._streams = streams
        self._timeout = timeout

    def record(self, row: Row) -> Row:
        """Return the row with the answer of the real QEMU.

        Raises ConfigurationError for a row that is not a question, or if its QEMU is not available;
        QemuStalled if a QEMU hangs.
        """
        if "events" in row:
            return {**row, **play(self._legs(row), timeout=self._timeout).recorded()}
        if "source" in row:
            return self._pair(row, self._command(row, "source"))
        destination = self._command(row, "destination")
        if "base" in row:
            return {**row, "load": self._load(edited(self._streams(row["base"]), row["edits"]), destination)}
        if "stream" in row:
            return {**row, "load": self._load(self._streams(row["stream"]), destination)}
        raise ConfigurationError("a row needs a source, a stream, or a base with edits")

    def record_all(self, rows: Sequence[Row], workers: int = 2) -> Iterator[Row]:
        """Record all rows, in order, with ``workers`` QEMUs at a time."""
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(self.record, rows)

    def _pair(self, row: Row, source: QemuCommand) -> Row:
        with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
            path = Path(directory) / "stream"
            try:
                messages = capture(source, path, timeout=self._timeout)
            except (QemuRefused, QmpRefused) as refused:
                return {**row, "save": {"ok": False, "stderr": list(refused.messages)}}
            saved = {**row, "save": {"ok": True, "stderr": list(messages)}}
            if "destination" not in row:
                return saved
            return {**saved, "load": self._load(path, self._command(row, "destination"))}

    def _legs(self, row: Row) -> list[Leg]:
        legs = [(row["source"], list[str]())]
        for event in row["events"]:
            name, _, line = event.partition(" ")
            if name == MIGRATE:
                program, *arguments = shlex.split(line)
                legs.append(({"release": program.removeprefix("qemu-"), "args": arguments}, []))
            else:
                legs[-1][1].append(event)
        legs.append((row["destination"], []))
        machines = ({"leg": machine} for machine, _ in legs)
        commands = (self._command(machine, "leg") for machine in machines)
        return [
            Leg(self._binaries[machine["release"]], command, events)
            for (machine, events), command in zip(legs, commands, strict=True)
        ]

    def _load(self, stream: bytes | Path, destination: QemuCommand) -> dict[str, object]:
        return replay(stream, destination, timeout=self._timeout).recorded()

    def _command(self, row: Row, side: str) -> QemuCommand:
        try:
            release, arguments = row[side]["release"], tuple(row[side]["args"])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"a row's {side} needs a release and args") from error
        binary = self._binaries.get(release)
        if binary is None:
            there = ", ".join(self._binaries) or "none"
            raise ConfigurationError(f"QEMU {release} is not available; available: {there}")
        first = () if _FIRST[0] in arguments else _FIRST
        return QemuCommand.parse([binary.path, *first, *arguments])


def edited(stream: bytes, edits: Sequence[Sequence[Any]]) -> bytes:
    """Apply edits ``[offset, old, new]`` to ``stream``, in order; old and new are hexadecimal.

    Raises ConfigurationError if the old bytes are not at the offset of an edit.
    """
    data = bytearray(stream)
    for offset, old, new in edits:
        before, after = bytes.fromhex(old), bytes.fromhex(new)
        if data[offset : offset + len(before)] != before:
            raise ConfigurationError(f"the stream does not have {old} at offset {offset}")
        data[offset : offset + len(before)] = after
    return bytes(data)
