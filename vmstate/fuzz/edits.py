"""Edits of a stream, and a workbench that makes and undoes them without copying the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

#: Bytes that streams may grow at either end before the workbench makes room anew.
_SLACK = 1 << 16


class Edit(NamedTuple):
    """The bytes ``start`` … ``end`` of a stream replaced by ``new``; offsets are those of the base stream."""

    start: int
    end: int
    new: bytes


def combined(edits: Iterable[Edit]) -> list[Edit]:
    """Edits in the order of their offsets; one that overlaps an earlier given one is left out.

    Insertions at one place keep their order; one at the edge of another edit is no overlap.
    """
    kept: list[Edit] = []
    for edit in edits:
        if not any(edit.start < other.end and other.start < edit.end for other in kept):
            kept.append(edit)
    return sorted(kept, key=lambda edit: (edit.start, edit.end))


def applied(data: bytes | memoryview, edits: Sequence[Edit]) -> bytes:
    """A copy of ``data`` with ``edits`` (combined) made."""
    pieces: list[bytes | memoryview] = []
    at = 0
    view = memoryview(data)
    for edit in edits:
        pieces += (view[at : edit.start], edit.new)
        at = edit.end
    pieces.append(view[at:])
    return b"".join(pieces)


class Workbench:
    """A stream that can be changed for a moment: what lies before or after the edits is not copied.

    With edits that keep the length nothing moves; otherwise the shorter side of the stream does.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self.base = bytes(data)
        self._slack = _SLACK
        self._room()

    def _room(self) -> None:
        gap = bytes(self._slack)
        self._bytes = bytearray(b"".join((gap, self.base, gap)))

    @contextmanager
    def changed(self, edits: Sequence[Edit]) -> Iterator[memoryview]:
        """The stream with ``edits`` (combined) made, for the time of the block; it must not be kept."""
        if not edits:
            yield memoryview(self._bytes)[self._slack : self._slack + len(self.base)]
            return
        first, last = edits[0].start, edits[-1].end
        middle = _between(self.base, edits, first, last)
        growth = len(middle) - (last - first)
        if abs(growth) > self._slack:
            self._slack = abs(growth) * 2
            self._room()
        before_moves = first < len(self.base) - last
        start = self._slack - growth if before_moves else self._slack
        moved = (
            (self._slack, start, first)
            if before_moves
            else (self._slack + last, self._slack + last + growth, len(self.base) - last)
        )
        if growth:
            self._move(*moved)
        at = start + first
        self._bytes[at : at + len(middle)] = middle
        view = memoryview(self._bytes)[start : start + len(self.base) + growth]
        try:
            yield view
        finally:
            view.release()
            if growth:
                self._move(moved[1], moved[0], moved[2])
            self._bytes[self._slack + first : self._slack + last] = self.base[first:last]

    def _move(self, start: int, to: int, size: int) -> None:
        view = memoryview(self._bytes)
        view[to : to + size] = view[start : start + size]


def _between(base: bytes, edits: Sequence[Edit], first: int, last: int) -> bytes:
    if len(edits) == 1:
        return edits[0].new
    moved = [Edit(edit.start - first, edit.end - first, edit.new) for edit in edits]
    return applied(base[first:last], moved)
