"""The block list at the start of the ``ram`` section (ram_save_setup), with its optional extras.

The list's format depends on the source's migration capabilities, only some of which the stream records:

* postcopy-ram (2.9+): a block whose host pages are not of the usual size carries that size;
* x-ignore-shared (4.0+): each block carries its guest physical address, in 4.0 also a byte (ignored or not);
* mapped-ram (9.0+): each block carries a header, then its bitmap and its pages at fixed places in the file.

A page size begins with a zero byte and a block name is never empty, so the list can be read without guessing;
the byte of 4.0 is tried when the list does not fit without it.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.errors import StreamError, Truncated
from vmstate.stream.sections.handlers import LiveContext
from vmstate.stream.wire import Window, bytes_of

MAPPED_RAM_HEADER_SIZE = 28
_LONG_BITS = 64


@dataclass(frozen=True, slots=True)
class MappedRam:
    """The places of a block's bitmap and pages, as absolute offsets in the stream (mapped-ram)."""

    page_size: int
    bitmap_offset: int
    bitmap_size: int
    pages_offset: int


@dataclass(frozen=True, slots=True)
class RamBlock:
    """One block of the list: ``length`` in bytes; other values only with the capability that sends them."""

    name: str
    length: int
    host_page_size: int | None = None
    guest_address: int | None = None
    ignored: bool | None = None
    mapped: MappedRam | None = None

    @property
    def raw_name(self) -> bytes:
        """The name's bytes on the wire."""
        return bytes_of(self.name)


def read_setup(
    win: Window, at: int, total: int, context: LiveContext, legal: frozenset[int]
) -> tuple[list[RamBlock], int]:
    """Read the blocks that add up to ``total`` bytes; return them and the offset after the list.

    ``legal``: the flags that the record after the list may have.  StreamError when nothing fits.
    """
    reader = _SetupReader(win, context)
    shared = "x-ignore-shared" in context.capabilities
    try:
        blocks, end = reader.read(at, total, shared, with_byte=False)
        if not shared or _legal_record(win, end, legal):
            return blocks, end
    except Truncated:
        if not shared or not win.complete:
            raise
    except StreamError:
        if not shared:
            raise
    return reader.read(at, total, shared, with_byte=True)


def _legal_record(win: Window, at: int, legal: frozenset[int]) -> bool:
    return win.u64(at) & 0x3FF in legal


class _SetupReader:
    def __init__(self, win: Window, context: LiveContext) -> None:
        self.win = win
        self.context = context
        self.mapped = "mapped-ram" in context.capabilities

    def read(self, at: int, total: int, shared: bool, with_byte: bool) -> tuple[list[RamBlock], int]:
        blocks: list[RamBlock] = []
        left = total
        while left:
            block, after = self._block(at, shared, with_byte, left)
            if block.length > left:
                raise StreamError(
                    "RAM blocks do not add up",
                    offset=at,
                    section="ram",
                    expected=f"at most {left:#x}",
                    found=f"{block.length:#x}",
                )
            left -= block.length
            blocks.append(block)
            at = after
        return blocks, at

    def _block(self, at: int, shared: bool, with_byte: bool, left: int) -> tuple[RamBlock, int]:
        win = self.win
        name, pos = win.name(at)
        if not name:
            raise StreamError("RAM block without a name", offset=at, section="ram")
        length, pos = win.u64(pos), pos + 8
        host_page_size = guest_address = None
        ignored = mapped = None
        if self.context.postcopy and self._extra_follows(pos + (8 if shared else 0), length == left):
            host_page_size, pos = win.u64(pos), pos + 8
        if shared:
            guest_address, pos = win.u64(pos), pos + 8
            if with_byte:
                ignored, pos = bool(win.u8(pos)), pos + 1
        if self.mapped:
            mapped, pos = self._mapped(pos, length)
        return RamBlock(name, length, host_page_size, guest_address, ignored, mapped), pos

    def _extra_follows(self, at: int, last: bool) -> bool:
        """Return True if a page size is here; after the last block, the next record's word is not one."""
        if self.win.u8(at) != 0:
            return False
        if not last:
            return True
        word = self.win.u64(at)
        return word >= 1024 and word & (word - 1) == 0

    def _mapped(self, at: int, length: int) -> tuple[MappedRam, int]:
        win, origin = self.win, self.context.origin
        version, page_size = win.u32(at), win.u64(at + 4)
        if version != 1 or page_size < 1024 or page_size & (page_size - 1):
            raise StreamError("bad mapped-ram header", offset=at, section="ram", found=(version, page_size))
        bitmap, pages = win.u64(at + 12) - origin, win.u64(at + 20) - origin
        longs = (length // page_size + _LONG_BITS - 1) // _LONG_BITS
        if bitmap < at + MAPPED_RAM_HEADER_SIZE or pages < bitmap + longs * 8:
            raise StreamError("mapped-ram regions overlap", offset=at, section="ram", found=(bitmap, pages))
        if pages + length > win.end:
            raise Truncated(pages + length - at, win.end - at, offset=at)
        return MappedRam(page_size, bitmap, longs * 8, pages), pages + length
