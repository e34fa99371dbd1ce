"""Guest memory as segments: pages one after another, in memory and in the stream, of one kind.

A guest's memory has millions of pages and few segments, so that one of any size is compared in little room.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vmstate.dataclass import dataclass
from vmstate.errors import Truncated
from vmstate.stream.sections.alike import words_at
from vmstate.stream.sections.ram import PageKind, Ram
from vmstate.stream.sections.ram_setup import MappedRam
from vmstate.stream.wire import Window

I64: TypeAlias = npt.NDArray[np.int64]

#: ``fill`` of a page that the stream holds as it is, and of one that must be made from its records.
WHOLE, MADE = -1, -2
_BYTES_AT_ONCE = 4 << 20
_LONG = 1 << 12
_COLUMNS = 64  # bytes that a record takes while it is looked at
MAPPED = 1 << 21  # bytes that Linux may map where one of them is looked at


@dataclass(frozen=True)
class Segments:
    """The final pages of a block, by address; no segment overlaps another.  Pages never sent are in none.

    Parallel arrays, one entry for each segment: ``address`` of the first page, number of ``pages``, offset of
    the first one's ``data``, ``stride`` from one page's data to the next, and ``fill``: the byte that all
    of the pages consist of, or :data:`WHOLE` or :data:`MADE`.
    """

    address: I64
    pages: I64
    data: I64
    stride: I64
    fill: I64

    @property
    def columns(self) -> tuple[I64, I64, I64, I64, I64]:
        """The arrays, in the order of their declaration."""
        return self.address, self.pages, self.data, self.stride, self.fill

    def at(self, begin: I64, page_size: int) -> tuple[I64, I64, I64]:
        """Return data, stride and fill of the pages at ``begin``; pages in no segment are zero."""
        if not len(self.address):
            return np.zeros_like(begin), np.zeros_like(begin), np.zeros_like(begin)
        place = np.maximum(np.searchsorted(self.address, begin, "right") - 1, 0)
        inside = (begin >= self.address[place]) & (begin < (self.address + self.pages * page_size)[place])
        data = self.data[place] + (begin - self.address[place]) // page_size * self.stride[place]
        return data, self.stride[place], np.where(inside, self.fill[place], 0)


def segments(ram: Ram, win: Window, index: int) -> Segments:
    """Return the segments of the block with that index.  Truncated if mapped pages are not all there."""
    mapped = ram.blocks[index].mapped
    if mapped is not None:
        return _mapped_segments(mapped, win)
    found = [_cut(*piece, ram.page_size) for piece in _records(ram, win, index)]
    if not found:
        return _none()
    return _last_of_each([np.concatenate(column) for column in zip(*found, strict=True)], ram.page_size)


def _none() -> Segments:
    return Segments(*(np.zeros(0, np.int64) for _ in range(5)))


Columns: TypeAlias = tuple[I64, I64, I64, I64, I64]
"""Columns of segments, in stream order."""


@dataclass(frozen=True)
class _Pieces:
    """Rows of page records, and the records between rows: ``start``, ``count``, number of the ``run``.

    Parallel arrays, in stream order.  ``row``: True for a row, which is a segment, of which nothing but the
    first record need be looked at.
    """

    start: I64
    count: I64
    run: I64
    row: npt.NDArray[np.bool_]

    def taken(self, some: I64) -> _Pieces:
        return _Pieces(self.start[some], self.count[some], self.run[some], self.row[some])


def _pieces(ram: Ram, index: int) -> _Pieces:
    """Return the pieces of all runs of a block."""
    runs, rows = ram.runs, ram.rows
    start, count, stride = _i64(runs.start), _i64(runs.count), _i64(runs.stride)
    end, block = start + count * stride, np.asarray(runs.block)
    if not len(rows) or (end[:-1] > start[1:]).any():  # of damage, bytes may have been read twice
        which = np.flatnonzero(block == index)
        return _Pieces(start[which], count[which], which, np.zeros(len(which), np.bool_))
    row, records = _i64(rows.start), _i64(rows.count)
    after = row + records * stride[np.searchsorted(start, row, "right") - 1]
    cuts = np.unique(np.concatenate((start, row, after)))
    run = np.searchsorted(start, cuts, "right") - 1
    ours = (cuts < end[run]) & (block[run] == index)
    following = np.minimum(np.append(cuts[1:], end[-1]), end[run])
    cuts, following, run = cuts[ours], following[ours], run[ours]
    return _Pieces(cuts, (following - cuts) // stride[run], run, np.isin(cuts, row))


def _i64(column: array[int]) -> I64:
    return np.asarray(column).astype(np.int64)


def _records(ram: Ram, win: Window, index: int) -> Iterator[Columns]:
    """Yield the page records and rows of a block in stream order, many at a time, as segments."""
    pieces = _pieces(ram, index)
    stride = _i64(ram.runs.stride)[pieces.run]
    size = pieces.count * np.maximum(stride, _COLUMNS)
    size[pieces.row] = np.minimum(size, MAPPED)[pieces.row]
    long = (pieces.count >= _LONG) & ~pieces.row
    for group in np.split(np.arange(len(long)), np.flatnonzero(long[1:] | long[:-1]) + 1):
        if len(group) and long[group[0]]:
            yield from _long_piece(ram, win, pieces.taken(group))
        else:
            for some in _batches(group, size):
                yield _short_pieces(ram, win, pieces.taken(some))


def _batches(group: I64, size: I64) -> Iterator[I64]:
    """Split pieces into batches that take a few megabytes of the stream and of memory."""
    total = np.cumsum(size[group])
    cuts = np.flatnonzero(np.diff(total // _BYTES_AT_ONCE)) + 1
    yield from (some for some in np.split(group, cuts) if len(some))


def _long_piece(ram: Ram, win: Window, piece: _Pieces) -> Iterator[Columns]:
    runs, mask = ram.runs, ~np.int64(ram.page_size - 1)
    start, records, run = int(piece.start[0]), int(piece.count[0]), int(piece.run[0])
    stride, lead = int(runs.stride[run]), int(runs.lead[run])
    step = max(1, _BYTES_AT_ONCE // stride)
    for first in range(0, records, step):
        count = min(step, records - first)
        at = start + first * stride
        win.ahead(at, at + count * stride)
        address = words_at(win.view, at - win.base, count, stride).astype(np.int64) & mask
        data = np.arange(count, dtype=np.int64) * stride + (at + lead)
        fill = np.full(count, WHOLE if runs.kind[run] == PageKind.PAGE else MADE, np.int64)
        if runs.kind[run] == PageKind.ZERO:
            fill[:] = np.ndarray((count,), np.uint8, win.view, at - win.base + lead, (stride,))
        win.behind(at, at + count * stride)
        yield address, np.ones(count, np.int64), data, np.full(count, stride, np.int64), fill


def _short_pieces(ram: Ram, win: Window, pieces: _Pieces) -> Columns:
    runs, mask = ram.runs, ~np.int64(ram.page_size - 1)
    stride, lead, kind = (_i64(column)[pieces.run] for column in (runs.stride, runs.lead, runs.kind))
    count = np.where(pieces.row, 1, pieces.count)
    of = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    at = pieces.start[of] + nth * stride[of]
    view = np.frombuffer(win.view, np.uint8)
    words = view[(at - win.base)[:, None] + np.arange(8)].view(">u8")[:, 0].astype(np.int64)
    fill = np.where(kind == PageKind.PAGE, WHOLE, MADE)[of]
    data = at + lead[of]
    zero = np.flatnonzero(kind[of] == PageKind.ZERO)
    fill[zero] = view[data[zero] - win.base]
    win.behind(int(at[0]), int(at[-1]))
    return words & mask, np.where(pieces.row, pieces.count, 1)[of], data, stride[of], fill


def _cut(address: I64, pages: I64, data: I64, stride: I64, fill: I64, page_size: int) -> Columns:
    """Join segments wherever each continues the one before; a MADE page is one by itself."""
    apart = np.diff(address) != page_size * pages[:-1]
    apart |= np.diff(fill) != 0
    apart |= np.diff(data) != (stride * pages)[:-1]
    apart |= fill[1:] == MADE
    first = np.append(0, np.flatnonzero(apart) + 1)
    return address[first], np.add.reduceat(pages, first), data[first], stride[first], fill[first]


def _last_of_each(columns: list[I64], page_size: int) -> Segments:
    """Sort segments in stream order by address; of pages that were sent again, the last ones stay."""
    address, pages, data, stride, fill = columns
    order = np.argsort(address, kind="stable")
    ends = address + pages * page_size
    if (ends[order][:-1] <= address[order][1:]).all():
        return Segments(*(column[order] for column in columns))
    cuts = np.unique(np.concatenate((address, ends)))
    owner = np.full(len(cuts) - 1, -1, np.int64)
    low, high = np.searchsorted(cuts, address).tolist(), np.searchsorted(cuts, ends).tolist()
    for segment, (begin, end) in enumerate(zip(low, high, strict=True)):
        owner[begin:end] = segment
    kept = np.flatnonzero(owner >= 0)
    of = owner[kept]
    skipped = (cuts[kept] - address[of]) // page_size
    return Segments(
        cuts[kept],
        (cuts[kept + 1] - cuts[kept]) // page_size,
        data[of] + skipped * stride[of],
        stride[of],
        fill[of],
    )


def _mapped_segments(mapped: MappedRam, win: Window) -> Segments:
    """Return the pages whose bit is set; the bitmap is little-endian, as in practice every host is."""
    bits = np.frombuffer(win.take(mapped.bitmap_offset, mapped.bitmap_size), np.uint8)
    numbers = np.flatnonzero(np.unpackbits(bits, bitorder="little")).astype(np.int64)
    size = mapped.page_size
    if not len(numbers):
        return _none()
    end = mapped.pages_offset + (int(numbers[-1]) + 1) * size
    if end > win.end:
        raise Truncated(size, max(0, win.end - end + size), offset=end - size)
    same = np.full(len(numbers), size, np.int64)
    fill, one = np.full(len(numbers), WHOLE, np.int64), np.ones(len(numbers), np.int64)
    return Segments(*_cut(numbers * size, one, mapped.pages_offset + numbers * size, same, fill, size))
