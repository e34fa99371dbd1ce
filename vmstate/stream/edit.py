"""Edit a stream: replace spans of bytes and keep everything between them.

Dependent lengths are updated: that of a PACKAGED command around a change, and the vmdescription's own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import BinaryIO, TypeAlias

from vmstate.dataclass import dataclass
from vmstate.errors import EncodeError, Unsupported, quantity
from vmstate.holes import zeros
from vmstate.stream import writer
from vmstate.stream.constants import Command
from vmstate.stream.items import CommandItem, Item, Section
from vmstate.stream.reader import Stream, flat

Bytes: TypeAlias = "bytes | bytearray | memoryview"


@dataclass(frozen=True, slots=True)
class Zeros:
    """A run of ``size`` zero bytes, not held in memory."""

    size: int

    def __len__(self) -> int:
        return self.size


@dataclass(frozen=True, slots=True)
class _Change:
    start: int
    end: int
    data: Bytes | Zeros


class Edit:
    """Changes to a stream, applied when it is written.

    Offsets refer to the unchanged stream.  Changes may touch but not overlap (EncodeError); insertions at one
    offset keep the order in which they were made.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._changes: list[_Change] = []
        self._sorted = True

    def replace(self, start: int, end: int, data: Bytes | Zeros) -> None:
        """Replace the bytes from ``start`` to ``end`` with ``data``."""
        if not 0 <= start <= end <= len(self.stream.data):
            size = quantity(len(self.stream.data), "byte")
            raise EncodeError(f"bytes {start} to {end} are outside the stream of {size}")
        if self._changes and start < self._changes[-1].end:
            self._sorted = False
        self._changes.append(_Change(start, end, data))

    def replace_payload(self, section: Section, payload: Bytes) -> None:
        """Replace a section's payload."""
        self.replace(section.payload_start, section.payload_end, payload)

    def insert(self, at: int, data: Bytes) -> None:
        """Insert ``data`` in front of the byte at ``at``."""
        self.replace(at, at, data)

    def remove(self, item: Item) -> None:
        """Remove an item."""
        self.replace(item.start, item.end, b"")

    def replace_vmdescription(self, text: Bytes | None) -> None:
        """Replace the stream's vmdescription, or remove it (None)."""
        item = self.stream.description
        new = b"" if text is None else writer.vmdescription(text)
        if item is not None:
            self.replace(item.start, item.end, new)
        else:
            self.insert(len(self.stream.data), new)

    def chunks(self) -> Iterator[Bytes]:
        """Yield the changed stream in order: views of the kept bytes, and the new data."""
        data, at = self.stream.data, 0
        for change in self._ordered():
            if change.start > at:
                self._require_kept(at, change.start)
                yield data[at : change.start]
            if isinstance(change.data, Zeros):
                yield from zeros(change.data.size)
            elif len(change.data):
                yield change.data
            at = change.end
        if at < len(data):
            self._require_kept(at, len(data))
            yield data[at:]

    def write(self, out: BinaryIO) -> int:
        """Write the changed stream; return the number of bytes written."""
        return sum(out.write(chunk) for chunk in self.chunks())

    def tobytes(self) -> bytes:
        """Return the changed stream as bytes."""
        return b"".join(self.chunks())

    def __len__(self) -> int:
        """Return the length of the changed stream in bytes."""
        return len(self.stream.data) + sum(_growth(change) for change in self._changes)

    def _ordered(self) -> list[_Change]:
        changes = self._changes
        if not self._sorted:
            changes = sorted(changes, key=_place)
        for before, after in pairwise(changes):
            if after.start < before.end:
                raise EncodeError(f"two changes overlap at offset {after.start:#x}")
        packages = [item for item in flat(self.stream.items) if _is_package(item)]
        return _with_lengths(changes, packages) if packages else changes

    def _require_kept(self, start: int, end: int) -> None:
        elided = self.stream.elided
        index = bisect_right(elided, start, key=_end)
        if index < len(elided) and elided[index][0] < end:
            message = "guest memory read through a pipe is not kept and cannot be written"
            raise Unsupported(message, offset=max(start, elided[index][0]))


def _end(span: tuple[int, int]) -> int:
    return span[1]


def _is_package(item: Item) -> bool:
    return (
        isinstance(item, CommandItem)
        and item.command == Command.PACKAGED
        and item.data_end - item.data_start == 4
    )


def _with_lengths(changes: list[_Change], packages: list[Item]) -> list[_Change]:
    """Add a length change for each package with changes inside it (a change at its end is outside)."""
    starts = [change.start for change in changes]
    grown = list(accumulate((_growth(change) for change in changes), initial=0))
    lengths = []
    for item in packages:
        assert isinstance(item, CommandItem)
        first, last = bisect_left(starts, item.inner_start), bisect_left(starts, item.end)
        growth = grown[last] - grown[first]
        around = bisect_left(starts, item.data_end)
        if growth and (not around or changes[around - 1].end <= item.data_start):
            size = item.end - item.inner_start + growth
            lengths.append(_Change(item.data_start, item.data_end, writer.u32(size, "packaged length")))
    return sorted([*changes, *lengths], key=_place)


def _growth(change: _Change) -> int:
    return len(change.data) - (change.end - change.start)


def _place(change: _Change) -> tuple[int, bool]:
    return change.start, change.end > change.start
