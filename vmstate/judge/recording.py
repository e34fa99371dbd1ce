"""Record what real QEMUs say, as the fixtures of recorded verdicts have it: one JSON object a line.

A row asks one question: a pair (``source``, ``destination``), a load (``stream``, ``destination``), or a
mutant (``base``, ``edits``, ``destination``).  A machine is ``{"release": "7.2.22", "args": […]}``, whose
arguments come after ``-nodefaults``.  Recording adds ``save`` and ``load``.
"""

from __future__ import annotations

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
from vmstate.qemu.replay import replay

Row = dict[str, Any]
Streams = Callable[[str], bytes]  # the uncompressed bytes of a stream, by its name

_FIRST = ("-nodefaults",)


class Recorder:
    """Asks the QEMUs ``binaries`` (by full release number); ``streams`` finds captured streams by name."""

    def __init__(self, binaries: Mapping[str, Binary], streams: Streams, *, timeout: float = 60.0) -> None:
        self._binaries = binaries
        self._streams = streams
        self._timeout = timeout

    def record(self, row: Row) -> Row:
        """The row with what real QEMU said.

        Raises ConfigurationError for a row that asks nothing, or asks a release that is not here;
        QemuStalled if a QEMU hangs.
        """
        if "source" in row:
            return self._pair(row, self._command(row, "source"))
        destination = self._command(row, "destination")
        if "base" in row:
            return {**row, "load": self._load(edited(self._streams(row["base"]), row["edits"]), destination)}
        if "stream" in row:
            return {**row, "load": self._load(self._streams(row["stream"]), destination)}
        raise ConfigurationError("a row has a source, a stream, or a base with its edits")

    def record_all(self, rows: Sequence[Row], workers: int = 2) -> Iterator[Row]:
        """All rows, recorded, in their order; ``workers`` QEMUs at a time."""
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

    def _load(self, stream: bytes | Path, destination: QemuCommand) -> dict[str, object]:
        return replay(stream, destination, timeout=self._timeout).recorded()

    def _command(self, row: Row, side: str) -> QemuCommand:
        try:
            release, arguments = row[side]["release"], tuple(row[side]["args"])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"a row's {side} has a release and args") from error
        binary = self._binaries.get(release)
        if binary is None:
            there = ", ".join(self._binaries) or "none"
            raise ConfigurationError(f"no QEMU {release} here; there is: {there}")
        first = () if _FIRST[0] in arguments else _FIRST
        return QemuCommand.parse([binary.path, *first, *arguments])


def edited(stream: bytes, edits: Sequence[Sequence[Any]]) -> bytes:
    """``stream`` after edits ``[offset, old, new]``, in order; old and new are hexadecimal.

    Raises ConfigurationError if the old bytes are not where an edit says.
    """
    data = bytearray(stream)
    for offset, old, new in edits:
        before, after = bytes.fromhex(old), bytes.fromhex(new)
        if data[offset : offset + len(before)] != before:
            raise ConfigurationError(f"the stream does not have {old} at offset {offset}")
        data[offset : offset + len(before)] = after
    return bytes(data)
