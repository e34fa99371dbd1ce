"""A device that is passed through with VFIO (hw/vfio/migration.c), named ``…/vfio`` after its address.

Flags of eight bytes, some with data behind them.  The live section carries the device's own state; a section
of its own at the end has its configuration.
"""

from __future__ import annotations

from enum import IntEnum

from vmstate.dataclass import dataclass
from vmstate.errors import StreamError, Truncated
from vmstate.stream.sections.handlers import LiveContext, records, register
from vmstate.stream.wire import Window

FLAG = 8
#: The configuration is short: a PCI configuration space, an MSI-X table of at most 2,048 entries, a display.
_LONGEST_CONFIG = 128 << 10


class MigFlag(IntEnum):
    """``VFIO_MIG_FLAG_…`` (hw/vfio/vfio-migration-internal.h)."""

    END_OF_STATE = 0xFFFFFFFFEF100001
    DEV_CONFIG_STATE = 0xFFFFFFFFEF100002
    DEV_SETUP_STATE = 0xFFFFFFFFEF100003
    DEV_DATA_STATE = 0xFFFFFFFFEF100004
    DEV_INIT_DATA_SENT = 0xFFFFFFFFEF100005
    DEV_CONFIG_LOAD_READY = 0xFFFFFFFFEF100006


_KNOWN = frozenset(MigFlag)
_END = MigFlag.END_OF_STATE.to_bytes(FLAG, "big")


@dataclass(frozen=True, slots=True)
class VfioRecord:
    """A flag and what is behind it, from ``start`` to ``end``."""

    flag: MigFlag
    start: int
    end: int


@register("vfio", on_bus=True)
@register("vfio", on_bus=True, full=True)
class Vfio:
    """The records of one device, in the order of the stream."""

    bulky = False

    def __init__(self, context: LiveContext) -> None:
        self.records: list[VfioRecord] = []
        self._idstr = context.start.idstr

    def skip(self, start: int, end: int) -> None:
        """Ignore unreadable bytes: no state carries over."""

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read records up to the flag that ends the payload (vfio_load_state)."""
        return records(self._record, win, at)

    def _record(self, win: Window, at: int) -> tuple[int, bool]:
        word = win.u64(at)
        if word not in _KNOWN:
            raise StreamError("unexpected VFIO flag", offset=at, section=self._idstr, found=f"{word:#x}")
        flag, end = MigFlag(word), at + FLAG
        if flag == MigFlag.DEV_DATA_STATE:
            size = win.u64(end)
            win.take(end + 8, size)
            end += 8 + size
        elif flag == MigFlag.DEV_CONFIG_STATE:
            end = self._end_of_config(win, end)
        self.records.append(VfioRecord(flag, at, end))
        return end, flag == MigFlag.END_OF_STATE

    def _end_of_config(self, win: Window, at: int) -> int:
        """Return the offset of the flag behind the configuration, whose length nothing says."""
        there = min(win.end - at, _LONGEST_CONFIG)
        found = bytes(win.take(at, there)).find(_END)
        if found >= 0:
            return at + found
        if there < _LONGEST_CONFIG:
            raise Truncated(FLAG, 0, offset=at + there)
        raise StreamError("a VFIO configuration without an end", offset=at, section=self._idstr)
