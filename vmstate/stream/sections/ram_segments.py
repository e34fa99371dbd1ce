"""Guest memory as segments: pages one after another, in memory and in the stream, of one kind.

A guest's memory has millions of pages and few segments, so that one of any size is compared in little room.
"""

from __future__ import annotations

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
    pieces = [_cut(*piece, ram.page_size) for piece in _records(ram, win, index)]
    if not pieces:
        return _none()
    return _last_of_each([np.concatenate(column) for column in zip(*pieces, strict=True)], ram.page_size)


def _none() -> Segments:
    return Segments(*(np.zeros(0, np.int64) for _ in range(5)))


Columns: TypeAlias = tuple[I64, I64, I64, I64]
"""Page records: address, offset of the data, stride, fill."""


def _records(ram: Ram, win: Window, index: int) -> Iterator[Columns]:
    """Yield the page records of a block in stream order, many at a time."""
    runs = ram.runs
    which = np.flatnonzero(np.asarray(runs.block) == index)
    count = np.asarray(runs.count)[which].astype(np.int64)
    size = count * np.maximum(np.asarray(runs.stride)[which].astype(np.int64), _COLUMNS)
    long = count >= _LONG
    for group in np.split(np.arange(len(which)), np.flatnonzero(long[1:] | long[:-1]) + 1):
        if len(group) and long[group[0]]:
            yield from _long_run(ram, win, int(which[group[0]]))
        else:
            for some in _batches(group, size):
                yield _short_runs(ram, win, which[some])


def _batches(group: I64, size: I64) -> Iterator[I64]:
    """Split runs into batches that take a few megabytes of the stream and of memory."""
    total = np.cumsum(size[group])
    cuts = np.flatnonzero(np.diff(total // _BYTES_AT_ONCE)) + 1
    yield from (some for some in np.split(group, cuts) if len(some))


def _long_run(ram: Ram, win: Window, run: int) -> Iterator[Columns]:
    runs, mask = ram.runs, ~np.int64(ram.page_size - 1)
    start, stride, lead = int(runs.start[run]), int(runs.stride[run]), int(runs.lead[run])
    step = max(1, _BYTES_AT_ONCE // stride)
    for first in range(0, runs.count[run], step):
        count = min(step, runs.count[run] - first)
        at = start + first * stride
        win.ahead(at, at + count * stride)
        address = words_at(win.view, at - win.base, count, stride).astype(np.int64) & mask
        data = np.arange(count, dtype=np.int64) * stride + (at + lead)
        fill = np.full(count, WHOLE if runs.kind[run] == PageKind.PAGE else MADE, np.int64)
        if runs.kind[run] == PageKind.ZERO:
            fill[:] = np.ndarray((count,), np.uint8, win.view, at - win.base + lead, (stride,))
        win.behind(at, at + count * stride)
        yield address, data, np.full(count, stride, np.int64), fill


def _short_runs(ram: Ram, win: Window, which: I64) -> Columns:
    runs, mask = ram.runs, ~np.int64(ram.page_size - 1)
    start, count, stride, lead, kind = (
        np.asarray(column)[which].astype(np.int64)
        for column in (runs.start, runs.count, runs.stride, runs.lead, runs.kind)
    )
    of = np.repeat(np.arange(len(which)), count)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    at = start[of] + nth * stride[of]
    view = np.frombuffer(win.view, np.uint8)
    words = view[(at - win.base)[:, None] + np.arange(8)].view(">u8")[:, 0].astype(np.int64)
    fill = np.where(kind == PageKind.PAGE, WHOLE, MADE)[of]
    data = at + lead[of]
    zero = np.flatnonzero(kind[of] == PageKind.ZERO)
    fill[zero] = view[data[zero] - win.base]
    win.behind(int(at[0]), int(at[-1]))
    return words & mask, data, stride[of], fill


def _cut(address: I64, data: I64, stride: I64, fill: I64, page_size: int) -> tuple[I64, I64, I64, I64, I64]:
    """Join records into segments wherever each continues the one before; a MADE page is one by itself."""
    apart = np.diff(address) != page_size
    apart |= np.diff(fill) != 0
    apart |= np.diff(data) != stride[:-1]
    apart |= fill[1:] == MADE
    first = np.append(0, np.flatnonzero(apart) + 1)
    pages = np.diff(np.append(first, len(address)))
    return address[first], pages, data[first], stride[first], fill[first]


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
    fill = np.full(len(numbers), WHOLE, np.int64)
    return Segments(*_cut(numbers * size, mapped.pages_offset + numbers * size, same, fill, size))
