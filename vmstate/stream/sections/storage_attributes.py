"""s390x: storage attributes (live, hw/s390x/s390-stattrib.c) and storage keys (old style, s390-skeys.c)."""

from __future__ import annotations

from typing import ClassVar

from vmstate.dataclass import dataclass
from vmstate.errors import StreamError
from vmstate.stream.sections.handlers import LiveContext, records, register
from vmstate.stream.wire import Window

_PAGE_MASK = 0xFFF


@dataclass(frozen=True, slots=True)
class StorageRange:
    """Attributes or keys of consecutive pages, a byte each: guest address, pages, offset of the bytes."""

    address: int
    count: int
    data: int


class _StorageBytes:
    """Records of {u64 address | flag, u64 count, count bytes}, ended by a flag alone."""

    bulky = False
    MORE: ClassVar[int]
    EOS: ClassVar[int]
    PLAIN: ClassVar[frozenset[int]]
    LAST: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, context: LiveContext) -> None:
        self.idstr = context.start.idstr
        self.ranges: list[StorageRange] = []
        self.marks: list[int] = []

    def skip(self, start: int, end: int) -> None:
        """Ignore unreadable bytes: no state carries over."""

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read records up to the one that ends the payload."""
        return records(self._record, win, at)

    def _record(self, win: Window, at: int) -> tuple[int, bool]:
        word = win.u64(at)
        flags = word & _PAGE_MASK
        if flags == self.MORE:
            count = win.u64(at + 8)
            win.take(at + 16, count)
            self.ranges.append(StorageRange(word & ~_PAGE_MASK, count, at + 16))
            return at + 16 + count, False
        if flags != self.EOS:
            if flags not in self.PLAIN:
                raise StreamError(
                    "unexpected storage flag", offset=at, section=self.idstr, found=f"{flags:#x}"
                )
            self.marks.append(flags)
        return at + 8, flags == self.EOS or flags in self.LAST


@register("s390-storage_attributes")
class StorageAttributes(_StorageBytes):
    """CMMA states; marks: 4 if the source could not read them (ERROR), 8 when all were sent (DONE)."""

    EOS = 0x01
    MORE = 0x02
    PLAIN = frozenset({0x04, 0x08})


@register("s390-skeys", full=True)
class StorageKeys(_StorageBytes):
    """Storage keys; mark 4 (ERROR) replaces the end mark."""

    EOS = 0x01
    MORE = 0x02
    PLAIN = frozenset({0x04})
    LAST = frozenset({0x04})


@register("todclock", full=True)
class TodClock:
    """The time-of-day clock (hw/s390x/tod.c), old style: a byte, and if it is 1, epoch and clock."""

    bulky = False

    def __init__(self, context: LiveContext) -> None:
        self.epoch: int | None = None
        self.clock: int | None = None

    def skip(self, start: int, end: int) -> None:
        """Ignore unreadable bytes: no state carries over."""

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read one byte, and nine more if it is 1."""
        return records(self._record, win, at)

    def _record(self, win: Window, at: int) -> tuple[int, bool]:
        if win.u8(at) != 1:
            return at + 1, True
        win.take(at, 10)
        self.epoch, self.clock = win.u8(at + 1), win.u64(at + 2)
        return at + 10, True
