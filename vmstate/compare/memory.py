"""Compare the guest memory of two streams, many pages at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from vmstate.compare.difference import Difference
from vmstate.dataclass import dataclass
from vmstate.errors import StreamError
from vmstate.stream import Stream
from vmstate.stream.sections.ram import Ram
from vmstate.stream.sections.ram_pages import RamPages
from vmstate.stream.sections.ram_segments import I64, MADE, MAPPED, WHOLE, segments

_SHOWN = 4
_BATCH = 1024
_CHUNK = 1024  # pages of a long stretch that are compared at once
_LONG = 64
_PLACES = 16  # of a file, far apart, that are looked at before they are given back


@dataclass
class _Side:
    stream: Stream
    ram: Ram
    pages: RamPages

    def block(self, name: str) -> int | None:
        """Return the index of the block of that name."""
        return next((i for i, block in enumerate(self.ram.blocks) if block.name == name), None)


def _side(stream: Stream) -> _Side | None:
    ram = stream.ram
    return None if ram is None else _Side(stream, ram, RamPages(ram, stream.window))


def memory_differences(
    left: Stream, right: Stream, tick: Callable[[int], None] = lambda _: None
) -> Iterator[Difference]:
    """Yield the differences in guest memory; a page that was never sent equals a zero page.

    ``tick`` is called with the number of bytes of memory done.
    """
    done = 0
    one, other = _side(left), _side(right)
    if one is None or other is None:
        return
    for index, block in enumerate(one.ram.blocks):
        tick(done)
        before, done = done, done + block.length
        path = f"ram.{block.name}"
        theirs = other.block(block.name)
        if theirs is None:
            continue  # reported as a difference of the block lists
        if one.pages.page_size != other.pages.page_size:
            sizes = (f"pages of {one.pages.page_size} bytes", f"pages of {other.pages.page_size} bytes")
            yield Difference("diff.ram", path, *sizes)
            continue
        try:
            addresses = _differing_pages(one, index, other, theirs, partial(_forward, tick, before))
        except StreamError as error:
            yield Difference("diff.ram", path, f"not compared: {error}")
            continue
        yield from _page_difference(path, addresses, one.pages.page_size)


def _forward(tick: Callable[[int], None], before: int, at: int) -> None:
    tick(before + at)


def _page_difference(path: str, addresses: I64, page_size: int) -> Iterator[Difference]:
    if not len(addresses):
        return
    shown = ", ".join(f"{int(address):#x}" for address in addresses[:_SHOWN])
    more = ", …" if len(addresses) > _SHOWN else ""
    pages = "page differs" if len(addresses) == 1 else "pages differ"
    yield Difference("diff.ram", path, f"{len(addresses)} {pages} (of {page_size} bytes): {shown}{more}")


def _differing_pages(one: _Side, block: int, other: _Side, theirs: int, tick: Callable[[int], None]) -> I64:
    """Return the addresses of the pages that differ, in order.

    StreamError if a compressed or delta page cannot be decoded.
    """
    sides = (_Memory(one, block), _Memory(other, theirs))
    size = one.pages.page_size
    cuts = np.unique(np.concatenate([side.bounds() for side in sides]))
    begin, pages = cuts[:-1], np.diff(cuts) // size
    parts = [_Part(*side.segments.at(begin, size)) for side in sides]
    fills = [part.fill for part in parts]
    constant = (fills[0] >= 0) & (fills[1] >= 0)
    unlike = np.flatnonzero(constant & (fills[0] != fills[1]))
    found = [_each(begin[unlike], pages[unlike], size)]
    todo = np.flatnonzero(~constant)
    # Long stretches of whole pages are compared where they lie, with the headers between them.
    long = (fills[0] == WHOLE) & (fills[1] == WHOLE) & (pages >= _LONG) & (parts[0].stride == parts[1].stride)
    for group in np.split(todo, np.flatnonzero(np.diff(long[todo])) + 1):
        for some in group.tolist() if len(group) and long[group[0]] else [group]:
            taken = np.atleast_1d(np.asarray(some))
            rows = [part.taken(taken) for part in parts]
            compare = _long_stretch if long[taken[:1]].any() else _pages
            found += compare(sides, begin[taken], pages[taken], rows, tick)
    return np.sort(np.concatenate(found))


def _each(begin: I64, pages: I64, size: int) -> I64:
    """Return the addresses of all pages."""
    nth = np.arange(int(pages.sum())) - np.repeat(np.cumsum(pages) - pages, pages)
    found: I64 = np.repeat(begin, pages) + nth * size
    return found


@dataclass(frozen=True)
class _Part:
    """For each of some stretches of pages: data, stride and fill, as in :class:`Segments`."""

    data: I64
    stride: I64
    fill: I64

    def taken(self, places: I64) -> _Part:
        return _Part(self.data[places], self.stride[places], self.fill[places])


class _Memory:
    """The final content of a block's pages; pages never sent are zeros."""

    def __init__(self, side: _Side, block: int) -> None:
        self.pages = side.pages
        self.window = side.stream.window
        self.block = block
        self.size = side.pages.page_size
        self.segments = segments(side.ram, self.window, block)
        self._bytes = np.frombuffer(self.window.view, np.uint8)

    def bounds(self) -> I64:
        """Return the address of each segment and the one after it."""
        address = self.segments.address
        return np.concatenate((address, address + self.segments.pages * self.size))

    def rows(self, addresses: I64, data: I64, fill: I64) -> npt.NDArray[np.uint64]:
        """Return the contents of pages, one a row."""
        whole = fill == WHOLE
        rows = np.empty((len(data), self.size), np.uint8)
        if whole.any():
            windows = np.lib.stride_tricks.sliding_window_view(self._bytes, self.size)
            if whole.all():
                return windows[data].view(np.uint64)
            rows[whole] = windows[data[whole]]
        constant = fill >= 0
        rows[constant] = fill[constant, None]
        for row in np.flatnonzero(fill == MADE).tolist():
            rows[row] = np.frombuffer(self.pages.page(self.block, int(addresses[row])), np.uint8)
        return rows.view(np.uint64)


Sides = tuple[_Memory, _Memory]


def _pages(
    sides: Sides, begin: I64, pages: I64, parts: list[_Part], tick: Callable[[int], None]
) -> Iterator[I64]:
    """Yield the addresses of the pages that differ, compared page by page."""
    size = sides[0].size
    total = np.cumsum(pages)
    for first in range(0, int(total[-1]) if len(total) else 0, _BATCH):
        page = np.arange(first, min(first + _BATCH, int(total[-1])), dtype=np.int64)
        of = np.searchsorted(total, page, "right")
        nth: I64 = page - (total - pages)[of]
        addresses = begin[of] + nth * size
        tick(int(addresses[0]))
        lie = [_Part(part.data[of] + nth * part.stride[of], part.stride[of], part.fill[of]) for part in parts]
        for few in _near(lie):
            yield _unlike(sides, addresses[few], [part.taken(few) for part in lie])


def _near(parts: list[_Part]) -> list[I64]:
    """Split pages so that those of a group are in few places of the stream."""
    data = [part.data[part.fill == WHOLE] for part in parts]
    if all(not len(each) or each.max() - each.min() < _PLACES * MAPPED for each in data):
        return [np.arange(len(parts[0].data))]
    apart = np.zeros(len(parts[0].data), np.int64)
    for part in parts:
        apart[1:] += (np.diff(part.data // MAPPED) != 0) & (part.fill[1:] == WHOLE)
    return np.split(np.arange(len(apart)), np.flatnonzero(np.diff(np.cumsum(apart) // _PLACES)) + 1)


def _unlike(sides: Sides, addresses: I64, parts: list[_Part]) -> I64:
    """Return the addresses of the pages that differ."""
    rows = []
    for side, part in zip(sides, parts, strict=True):
        rows.append(side.rows(addresses, part.data, part.fill))
        kept = part.data[part.fill == WHOLE]
        if len(kept):
            side.window.behind(int(kept.min()), int(kept.max()))
    found: I64 = addresses[(rows[0] != rows[1]).any(axis=1)]
    return found


def _long_stretch(
    sides: Sides, begin: I64, pages: I64, parts: list[_Part], tick: Callable[[int], None]
) -> Iterator[I64]:
    """Yield the addresses of the pages that differ in one stretch, at the same stride on both sides."""
    size, stride = sides[0].size, int(parts[0].stride[0])
    for first in range(0, int(pages[0]), _CHUNK):
        count = min(_CHUNK, int(pages[0]) - first)
        spans = [int(part.data[0]) + first * stride for part in parts]
        address = begin + first * size
        tick(int(address[0]))
        length = (count - 1) * stride + size
        views = []
        for side, at in zip(sides, spans, strict=True):
            side.window.ahead(at, at + length)
            views.append(side.window.view[at : at + length])
        if not bytes(views[0]).startswith(views[1]):
            inner = [
                _Part(np.array([at]), part.stride, part.fill) for at, part in zip(spans, parts, strict=True)
            ]
            yield from _pages(sides, address, np.array([count]), inner, lambda _: None)
        for side, at in zip(sides, spans, strict=True):
            side.window.behind(at, at + length)
