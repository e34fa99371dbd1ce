"""Record the answers of real QEMUs in the format of the recorded verdicts: one JSON object a line.

A row is one question: a pair (``source``, ``destination``), a load (``stream``, ``destination``), or a
mutant (``base``, ``edits``, ``destination``).  A machine is ``{"release": "7.2.22", "args": […]}``; its
arguments follow ``-nodefaults``.  A pair may have ``events``, a history; one of them may be ``migrate`` with
the command line of the next machine.  With ``guest`` a guest boots first.  Recording adds ``save`` and
``load``, and the ``answers`` to events, empty if QEMU did as it was asked; and to a ``device_del`` of memory
what the guest did.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.guest_run import GuestFiles
from vmstate.qemu.history import Leg, play
from vmstate.qemu.replay import replay
from vmstate.simulate.history import MIGRATE

Row = dict[str, Any]
Streams = Callable[[str], bytes]  # the uncompressed bytes of a stream, by its name

_FIRST = ("-nodefaults",)
#: A guest takes longer: it boots, and answers.
_WITH_GUEST = 10


class Recorder:
    """A recorder for the QEMUs ``binaries``, by full release number; ``streams`` finds streams by name."""

    def __init__(
        self,
        binaries: Mapping[str, Binary],
        streams: Streams,
        *,
        guests: Mapping[str, GuestFiles] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._binaries = binaries
        self._streams = streams
        self._guests = guests or {}
        self._timeout = timeout

    def record(self, row: Row) -> Row:
        """Return the row with the answer of the real QEMU.

        Raises ConfigurationError for a row that is not a question, or if its QEMU is not available;
        QemuStalled if a QEMU hangs.
        """
        if "events" in row:
            return self._histories([row])[0]
        if "source" in row:
            return self._pair(row, self._command(row, "source"))
        destination = self._command(row, "destination")
        if "base" in row:
            return {**row, "load": self._load(edited(self._streams(row["base"]), row["edits"]), destination)}
        if "stream" in row:
            return {**row, "load": self._load(self._streams(row["stream"]), destination)}
        raise ConfigurationError("a row needs a source, a stream, or a base with edits")

    def record_all(self, rows: Sequence[Row], workers: int = 2) -> Iterator[Row]:
        """Record all rows, in order, with ``workers`` QEMUs at a time.

        Neighbours with the same guest and history, which differ in their destination only, are one run.  If
        their guest does not get ready, each has ``stalled``, and no answers.
        """
        with ThreadPoolExecutor(workers) as pool:
            groups = (list(group) for _, group in groupby(rows, _run_of))
            for recorded in pool.map(self._group, groups):
                yield from recorded

    def _group(self, rows: list[Row]) -> list[Row]:
        return self._histories(rows) if "events" in rows[0] else [self.record(row) for row in rows]

    def _histories(self, rows: list[Row]) -> list[Row]:
        """Record histories that differ only in their destination."""
        first = rows[0]
        guest = named_guest(first["guest"]) if "guest" in first else None
        there = [self._command(row, "destination") for row in rows]
        legs, timeout = self._legs(first), self._timeout if guest is None else _WITH_GUEST * self._timeout
        try:
            played = play(legs, there, guest=guest, files=self._guests, timeout=timeout)
        except QemuStalled as stalled:
            if guest is None:
                raise
            return [{**row, "stalled": stalled.message} for row in rows]
        return [
            {**row, "events": _with_answers(row["events"], one.said), **one.recorded()}
            for row, one in zip(rows, played, strict=True)
        ]

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


def _run_of(row: Row) -> str:
    """Return what decides the run of a history's sources; other rows are by themselves."""
    parts = {key: row[key] for key in ("source", "events", "guest") if key in row}
    return json.dumps(parts if "guest" in row else row, sort_keys=True)


def _with_answers(events: Sequence[str], said: Sequence[str]) -> list[str]:
    """Return the events, each followed by what the guest did if that was its choice."""
    pairs = zip_longest(events, said, fillvalue="")
    return [" ".join((*event.split(" ")[:2], word)) if word else event for event, word in pairs]


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
