"""Compare the guest memory of two streams, many pages at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vmstate.compare.difference import Difference
from vmstate.dataclass import dataclass
from vmstate.errors import StreamError
from vmstate.stream import Stream
from vmstate.stream.sections.ram import PageKind, Ram
from vmstate.stream.sections.ram_pages import RamPages

_SHOWN = 4
_BATCH = 4096


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
    return None if ram is None else _Side(stream, ram, RamPages(ram, stream.data))


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


def _page_difference(path: str, addresses: npt.NDArray[np.uint64], page_size: int) -> Iterator[Difference]:
    if not len(addresses):
        return
    shown = ", ".join(f"{int(address):#x}" for address in addresses[:_SHOWN])
    more = ", …" if len(addresses) > _SHOWN else ""
    pages = "page differs" if len(addresses) == 1 else "pages differ"
    yield Difference("diff.ram", path, f"{len(addresses)} {pages} (of {page_size} bytes): {shown}{more}")


def _differing_pages(
    one: _Side, block: int, other: _Side, theirs: int, tick: Callable[[int], None]
) -> npt.NDArray[np.uint64]:
    """Return the addresses of the pages that differ, in order.

    StreamError if a compressed or delta page cannot be decoded.
    """
    sides = (
        _Final(one.pages, one.stream.data, block),
        _Final(other.pages, other.stream.data, theirs),
    )
    addresses = np.union1d(sides[0].address, sides[1].address)
    found = []
    addresses = addresses[~(sides[0].zero(addresses) & sides[1].zero(addresses))]
    for start in range(0, len(addresses), _BATCH):
        batch = addresses[start : start + _BATCH]
        tick(int(batch[0]))
        rows = [side.rows(batch) for side in sides]
        words = [side.view(np.uint64) for side in rows]
        found.append(batch[(words[0] != words[1]).any(axis=1)])
    return np.concatenate(found) if found else addresses


class _Final:
    """The final content of a block's pages; pages never sent are zeros."""

    def __init__(self, pages: RamPages, view: memoryview, block: int) -> None:
        self.pages = pages
        self.block = block
        self._view = view
        self.size = pages.page_size
        self.mapped = pages.ram.blocks[block].mapped is not None
        if self.mapped:
            self.address = np.fromiter((a for a, _ in pages.pages(block)), np.uint64)
            self._data, self._kind = np.zeros(0, np.uint64), np.zeros(0, np.uint16)
            return
        records = pages.records(block)
        last = records.last_of_each()
        self.address, self._data, self._kind = records.address[last], records.data[last], records.kind[last]

    def zero(self, addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Return a mask of the pages that are zero by their records: not sent, or sent as zero pages."""
        if not len(self.address):
            return np.ones(len(addresses), np.bool_)
        place = np.minimum(np.searchsorted(self.address, addresses), len(self.address) - 1)
        absent: npt.NDArray[np.bool_] = self.address[place] != addresses
        if self.mapped:
            return absent
        filled = np.flatnonzero(self._kind == PageKind.ZERO)
        empty = np.zeros(len(self.address), np.bool_)
        empty[filled] = np.frombuffer(self._view, np.uint8)[self._data[filled].astype(np.int64)] == 0
        return absent | empty[place]

    def rows(self, batch: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Return the contents of the pages at these addresses, one per row."""
        rows = np.zeros((len(batch), self.size), np.uint8)
        if not len(self.address):
            return rows
        place = np.searchsorted(self.address, batch)
        place[place == len(self.address)] = 0
        there = np.flatnonzero(self.address[place] == batch)
        plain = self._plain(place[there])
        if plain.any():
            self._copy_runs(rows, there[plain], self._data[place[there[plain]]])
        for row in there[~plain].tolist():
            self._fill(rows[row], int(place[row]), int(batch[row]))
        return rows

    def _plain(self, places: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Return a mask of the pages that the stream holds uncompressed."""
        if self.mapped:
            return np.zeros(len(places), np.bool_)
        plain: npt.NDArray[np.bool_] = self._kind[places] == PageKind.PAGE
        return plain

    def _copy_runs(
        self, rows: npt.NDArray[np.uint8], to: npt.NDArray[np.intp], data: npt.NDArray[np.uint64]
    ) -> None:
        """Copy plain pages; those that are consecutive in the stream and in memory are copied at once."""
        offsets = data.astype(np.int64)
        steps = np.diff(offsets)
        cuts = np.flatnonzero((np.diff(to) != 1) | (np.append(steps[:1], steps[:-1]) != steps)) + 1
        bounds = [0, *cuts.tolist(), len(to)]
        for low, high in pairwise(bounds):
            stride = int(steps[low]) if high - low > 1 else self.size
            shape = (high - low, self.size)
            if stride < self.size or int(offsets[high - 1]) != int(offsets[low]) + (high - low - 1) * stride:
                for row, at in zip(to[low:high].tolist(), offsets[low:high].tolist(), strict=True):
                    rows[row] = np.frombuffer(self._view[at : at + self.size], np.uint8)
                continue
            pages = np.ndarray(shape, np.uint8, self._view, int(offsets[low]), (stride, 1))
            rows[to[low] : to[low] + high - low] = pages

    def _fill(self, row: npt.NDArray[np.uint8], place: int, address: int) -> None:
        if not self.mapped and self._kind[place] == PageKind.ZERO:
            row[:] = self._view[int(self._data[place])]
        else:
            row[:] = np.frombuffer(self.pages.page(self.block, address), np.uint8)
