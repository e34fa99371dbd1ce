"""Splices of a stream, and a workbench that applies and undoes them without copying the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

#: Bytes that streams may grow at either end before the workbench makes more room.
_SLACK = 1 << 16


class Splice(NamedTuple):
    """Bytes ``start`` to ``end`` of a stream, replaced by ``new``; offsets are those of the base stream."""

    start: int
    end: int
    new: bytes


def combined(splices: Iterable[Splice]) -> list[Splice]:
    """Sort splices by offset; drop each one that overlaps one given earlier.

    Insertions at one offset keep their order; one at the edge of another splice does not overlap it.
    """
    kept: list[Splice] = []
    for splice in splices:
        if not any(splice.start < other.end and other.start < splice.end for other in kept):
            kept.append(splice)
    return sorted(kept, key=lambda splice: (splice.start, splice.end))


def applied(data: bytes | memoryview, splices: Sequence[Splice]) -> bytes:
    """Return a copy of ``data`` with ``splices`` (combined) applied."""
    pieces: list[bytes | memoryview] = []
    at = 0
    view = memoryview(data)
    for splice in splices:
        pieces += (view[at : splice.start], splice.new)
        at = splice.end
    pieces.append(view[at:])
    return b"".join(pieces)


class Workbench:
    """A stream that can be changed temporarily: the largest piece between splices stays where it is.

    The pieces to its left and right are written again, and only if they have moved.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self.base = bytes(data)
        self._view = memoryview(self.base)
        self._slack = _SLACK
        self._room()

    def _room(self) -> None:
        gap = bytes(self._slack)
        self._bytes = bytearray(b"".join((gap, self.base, gap)))

    @contextmanager
    def changed(self, splices: Sequence[Splice]) -> Iterator[memoryview]:
        """Yield the stream with ``splices`` (combined) applied; valid only inside the ``with`` block."""
        growth = sum(len(splice.new) for splice in splices)
        if growth > self._slack:
            self._slack = growth * 2
            self._room()
        starts = [0, *(splice.end for splice in splices)]
        ends = [*(splice.start for splice in splices), len(self.base)]
        sizes = [end - start for start, end in zip(starts, ends, strict=True)]
        still = sizes.index(max(sizes))
        written: list[tuple[int, int]] = []
        last = self._slack + ends[still]
        for splice, start, end in zip(splices[still:], starts[still + 1 :], ends[still + 1 :], strict=True):
            written.append((last, len(splice.new)))
            self._bytes[last : last + len(splice.new)] = splice.new
            last += len(splice.new)
            if last != self._slack + start:
                written.append((last, end - start))
                self._bytes[last : last + end - start] = self._view[start:end]
            last += end - start
        first = self._slack + starts[still]
        for splice, start, end in zip(
            splices[:still][::-1], starts[:still][::-1], ends[:still][::-1], strict=True
        ):
            first -= len(splice.new)
            written.append((first, len(splice.new)))
            self._bytes[first : first + len(splice.new)] = splice.new
            first -= end - start
            if first != self._slack + start:
                written.append((first, end - start))
                self._bytes[first : first + end - start] = self._view[start:end]
        view = memoryview(self._bytes)[first:last].toreadonly()
        try:
            yield view
        finally:
            view.release()
            for at, size in written:
                self._restore(at - self._slack, at - self._slack + size)

    def _restore(self, start: int, end: int) -> None:
        start, end = max(start, 0), min(end, len(self.base))
        if start < end:
            self._bytes[self._slack + start : self._slack + end] = self._view[start:end]
