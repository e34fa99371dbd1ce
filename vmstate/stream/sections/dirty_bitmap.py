"""The ``dirty-bitmap`` section (QEMU migration/block-dirty-bitmap.c, 3.0+): bitmaps of block devices."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from vmstate.errors import StreamError
from vmstate.stream.sections.handlers import LiveContext, records, register
from vmstate.stream.wire import Window

MAX_BUFFER = 10 * 1024
"""QEMU refuses larger buffers; it sends at most a tenth of this."""


class BitmapFlag(IntFlag):
    """DIRTY_BITMAP_MIG_FLAG_*."""

    EOS = 0x01
    ZEROES = 0x02
    BITMAP_NAME = 0x04
    DEVICE_NAME = 0x08
    START = 0x10
    COMPLETE = 0x20
    BITS = 0x40


_EOS, _ZEROES = int(BitmapFlag.EOS), int(BitmapFlag.ZEROES)
_BITMAP_NAME, _DEVICE_NAME = int(BitmapFlag.BITMAP_NAME), int(BitmapFlag.DEVICE_NAME)
_START, _BITS = int(BitmapFlag.START), int(BitmapFlag.BITS)
_KNOWN = 0x7F


class BitmapChunk(NamedTuple):
    """One chunk: its flags as a number, the names in force, and the place of its bits.

    Sectors are of 512 bytes; ``data`` … ``data_end`` is the span of the bits (empty for zeroes).
    """

    start: int
    number: int
    node: str
    bitmap: str
    granularity: int | None = None
    start_flags: int | None = None
    sector: int | None = None
    sectors: int | None = None
    data: int = 0
    data_end: int = 0

    @property
    def flags(self) -> BitmapFlag:
        """The chunk's flags."""
        return BitmapFlag(self.number)


@register("dirty-bitmap")
class DirtyBitmaps:
    """All chunks of all bitmaps, in stream order."""

    bulky = False

    def __init__(self, context: LiveContext) -> None:
        self.chunks: list[BitmapChunk] = []
        self._node = self._bitmap = ""

    def skip(self, start: int, end: int) -> None:
        """Forget the names, which carry over from chunk to chunk and are now unknown."""
        self._node = self._bitmap = ""

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read chunks up to one with EOS."""
        return records(self._record, win, at)

    def _record(self, win: Window, at: int) -> tuple[int, bool]:
        if win.u8(at) == _EOS:  # all that most payloads hold, and a stream may have very many
            return at + 1, True
        chunk, after = self._chunk(win, at)
        self._node, self._bitmap = chunk.node, chunk.bitmap
        if chunk.number != _EOS:
            self.chunks.append(chunk)
        return after, bool(chunk.number & _EOS)

    def _chunk(self, win: Window, at: int) -> tuple[BitmapChunk, int]:
        flags, pos = _flags(win, at)
        node, bitmap = self._node, self._bitmap
        if flags & _DEVICE_NAME:
            node, pos = win.name(pos)
        if flags & _BITMAP_NAME:
            bitmap, pos = win.name(pos)
        if flags & _START:
            granularity, start_flags = win.u32(pos), win.u8(pos + 4)
            return BitmapChunk(at, flags, node, bitmap, granularity, start_flags), pos + 5
        if flags & _BITS:
            return _bits(win, at, pos, flags, node, bitmap)
        return BitmapChunk(at, flags, node, bitmap), pos


def _flags(win: Window, at: int) -> tuple[int, int]:
    """Read one byte; two if its top bit is set, and four if the second's is too (never sent so far).

    QEMU's own reader keeps the value in eight bits and so loses the bits it shifts up; we keep them.
    """
    flags, pos = win.u8(at), at + 1
    if flags & 0x80:
        flags, pos = flags << 8 | win.u8(pos), pos + 1
        if flags & 0x80:
            flags, pos = flags << 16 | win.u8(pos) << 8 | win.u8(pos + 1), pos + 2
    if flags & ~_KNOWN:
        raise StreamError(
            "unknown dirty bitmap flags", offset=at, section="dirty-bitmap", found=f"{flags:#x}"
        )
    return flags, pos


def _bits(win: Window, at: int, pos: int, flags: int, node: str, bitmap: str) -> tuple[BitmapChunk, int]:
    sector, sectors, pos = win.u64(pos), win.u32(pos + 8), pos + 12
    size = 0
    if not flags & _ZEROES:
        size, pos = win.u64(pos), pos + 8
        if size > MAX_BUFFER:
            raise StreamError(
                "dirty bitmap buffer too large",
                offset=pos - 8,
                section="dirty-bitmap",
                expected=f"at most {MAX_BUFFER}",
                found=size,
            )
        win.take(pos, size)
    chunk = BitmapChunk(at, flags, node, bitmap, None, None, sector, sectors, pos, pos + size)
    return chunk, pos + size
