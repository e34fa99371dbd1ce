"""The ``block`` section (QEMU migration/block.c, until 9.0): whole disks, in blocks of 1 MiB."""

from __future__ import annotations

from array import array

from vmstate.errors import StreamError
from vmstate.stream.sections.handlers import LiveContext, records, register
from vmstate.stream.wire import Window

BLOCK_SIZE = 1 << 20
_SECTOR_MASK = 0x1FF
DEVICE_BLOCK, EOS, PROGRESS, ZERO_BLOCK = 0x01, 0x02, 0x04, 0x08


@register("block")
class BlockMigration:
    """Blocks by device: the first sector of each, and the offset of its data (0 for a zero block)."""

    bulky = False

    def __init__(self, context: LiveContext) -> None:
        self.devices: dict[str, array[int]] = {}
        self.data: dict[str, array[int]] = {}
        self.progress = 0

    def skip(self, start: int, end: int) -> None:
        """Ignore unreadable bytes: no state carries over."""

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read records up to the end mark (block_load)."""
        return records(self._record, win, at)

    def _record(self, win: Window, at: int) -> tuple[int, bool]:
        word = win.u64(at)
        flags = word & _SECTOR_MASK
        if flags & DEVICE_BLOCK:
            return self._block(win, at, word >> 9, bool(flags & ZERO_BLOCK)), False
        if flags & PROGRESS:
            self.progress = word >> 9
        elif not flags & EOS:
            raise StreamError("unknown flags", offset=at, section="block", found=f"{flags:#x}")
        return at + 8, bool(flags & EOS)

    def _block(self, win: Window, at: int, sector: int, zero: bool) -> int:
        """Read a block's record; return the offset after it."""
        name, pos = win.name(at + 8)
        size = 0 if zero else BLOCK_SIZE
        win.take(pos, size)
        self.devices.setdefault(name, array("Q")).append(sector)
        self.data.setdefault(name, array("Q")).append(0 if zero else pos)
        return pos + size
