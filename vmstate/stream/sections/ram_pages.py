"""Guest memory after all page records are applied: contents by address, and a hash of each block.

Pages stay in the stream: the content of a whole page is a view of it; others are built on demand.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vmstate.dataclass import dataclass
from vmstate.errors import StreamError
from vmstate.stream.sections import xbzrle
from vmstate.stream.sections.alike import words_at
from vmstate.stream.sections.ram import PageKind, Ram
from vmstate.stream.sections.ram_setup import MappedRam, RamBlock
from vmstate.stream.wire import Window

U64: TypeAlias = npt.NDArray[np.uint64]
U16: TypeAlias = npt.NDArray[np.uint16]
Content: TypeAlias = bytes | memoryview

_WINDOW = 16 << 20


@dataclass(frozen=True)
class Records:
    """The page records of one block, sorted by address and, within one address, in stream order.

    Parallel arrays: page address in the block, offset of the record's data, kind (:class:`PageKind`).
    """

    address: U64
    data: U64
    kind: U16

    def last_of_each(self) -> npt.NDArray[np.intp]:
        """Return the index of the last record of each page."""
        if not len(self.address):
            return np.zeros(0, np.intp)
        return np.flatnonzero(np.append(self.address[1:] != self.address[:-1], True))


class RamPages:
    """The pages of a stream's guest memory."""

    def __init__(self, ram: Ram, data: memoryview | Window) -> None:
        self.ram = ram
        self.page_size = ram.page_size
        self._win = data if isinstance(data, Window) else Window(data)
        self._records: dict[int, Records] = {}

    def records(self, index: int) -> Records:
        """Return the page records of the block with that index in the block list."""
        if index not in self._records:
            self._records[index] = self._collect(index)
        return self._records[index]

    def _collect(self, index: int) -> Records:
        addresses, offsets, kinds = [], [], []
        runs, mask = self.ram.runs, np.uint64(~(self.page_size - 1) & 0xFFFFFFFFFFFFFFFF)
        for run in np.flatnonzero(np.asarray(runs.block) == index).tolist():
            start, count, stride = runs.start[run], runs.count[run], runs.stride[run]
            addresses.append(words_at(self._win.view, start - self._win.base, count, stride) & mask)
            self._win.behind(start, start + count * stride)
            offsets.append(
                np.arange(count, dtype=np.uint64) * np.uint64(stride) + np.uint64(start + runs.lead[run])
            )
            kinds.append(np.full(count, runs.kind[run], np.uint16))
        if not addresses:
            return Records(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint16))
        address = np.concatenate(addresses)
        order = np.argsort(address, kind="stable")
        return Records(address[order], np.concatenate(offsets)[order], np.concatenate(kinds)[order])

    def page(self, index: int, address: int) -> Content:
        """Return the content of the page at ``address`` in a block; zeros for a page that was never sent.

        StreamError when a delta or compressed page in the stream cannot be decoded.
        """
        records = self.records(index)
        low, high = np.searchsorted(records.address, np.array([address, address + 1], np.uint64)).tolist()
        if low == high:
            mapped = self._block(index).mapped
            return bytes(self.page_size) if mapped is None else self._mapped_page(mapped, address)
        return self._content(records, low, high)

    def _content(self, records: Records, low: int, high: int) -> Content:
        """Return the content after the records ``low`` … ``high`` - 1, all of one page."""
        first = high - 1
        while first > low and records.kind[first] == PageKind.XBZRLE:
            first -= 1
        content: Content = bytes(self.page_size)
        for index in range(first, high):
            content = self._apply(content, int(records.kind[index]), int(records.data[index]))
        return content

    def _apply(self, old: Content, kind: int, at: int) -> Content:
        view = self._win.view
        if kind == PageKind.PAGE:
            return view[at : at + self.page_size]
        if kind == PageKind.ZERO:
            return bytes([view[at]]) * self.page_size
        if kind == PageKind.XBZRLE:
            size = int.from_bytes(view[at + 1 : at + 3], "big")
            try:
                return xbzrle.decode(old, view[at + 3 : at + 3 + size])
            except StreamError as error:
                raise error.within(offset=at, section="ram") from None
        return self._inflate(at)

    def _inflate(self, at: int) -> bytes:
        size = self._win.u32(at)
        inflate = zlib.decompressobj()
        try:
            page = inflate.decompress(self._win.take(at + 4, size), self.page_size)
        except zlib.error as error:
            raise StreamError(f"bad compressed page: {error}", offset=at, section="ram") from None
        if len(page) != self.page_size:
            message = "compressed page of the wrong size"
            raise StreamError(message, offset=at, section="ram", expected=self.page_size, found=len(page))
        return page

    def _block(self, index: int) -> RamBlock:
        return self.ram.blocks[index]

    def _mapped_page(self, mapped: MappedRam, address: int) -> Content:
        number = address // mapped.page_size
        at = mapped.bitmap_offset + number // 8
        # In the source's byte order; in practice every host is little-endian.
        if number // 8 >= mapped.bitmap_size or not self._win.u8(at) >> number % 8 & 1:
            return bytes(self.page_size)
        return self._win.take(mapped.pages_offset + address, mapped.page_size)

    def pages(self, index: int) -> Iterator[tuple[int, Content]]:
        """Yield address and final content of every page that was sent, by address."""
        mapped = self._block(index).mapped
        if mapped is not None:
            yield from self._mapped_pages(mapped)
            return
        records = self.records(index)
        low = 0
        for last in records.last_of_each().tolist():
            yield int(records.address[low]), self._content(records, low, last + 1)
            low = last + 1

    def _mapped_pages(self, mapped: MappedRam) -> Iterator[tuple[int, Content]]:
        bits = np.frombuffer(self._win.take(mapped.bitmap_offset, mapped.bitmap_size), np.uint8)
        for byte in np.flatnonzero(bits).tolist():
            for bit in range(8):
                if int(bits[byte]) >> bit & 1:
                    address = (byte * 8 + bit) * mapped.page_size
                    yield address, self._win.take(mapped.pages_offset + address, mapped.page_size)

    def digest(self, index: int) -> str:
        """Return the SHA-256 of a block's content, however it was sent; a zero page equals an unsent one."""
        hashed = hashlib.sha256()
        zero = bytes(self.page_size)
        for address, content in self._filled(index):
            if bytes(content) != zero:
                hashed.update(address.to_bytes(8, "big"))
                hashed.update(content)
        return hashed.hexdigest()

    def _filled(self, index: int) -> Iterator[tuple[int, Content]]:
        """Yield the same as :meth:`pages`, without pages whose last record is a zero page."""
        if self._block(index).mapped is not None:
            yield from self.pages(index)
            return
        records = self.records(index)
        last = records.last_of_each()
        first = np.append(0, last[:-1] + 1)
        zero = np.flatnonzero(records.kind[last] == PageKind.ZERO)
        fill = np.frombuffer(self._win.view, np.uint8)[records.data[last[zero]]]
        filled = np.ones(len(last), np.bool_)
        filled[zero] = fill != 0
        begun = 0
        for which in np.flatnonzero(filled).tolist():
            low, high = int(first[which]), int(last[which]) + 1
            at = int(records.data[low])
            if not begun <= at < begun + _WINDOW:
                self._win.behind(begun, begun + _WINDOW)
                begun = at
            yield int(records.address[low]), self._content(records, low, high)
