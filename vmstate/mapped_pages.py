"""Pages of a file that is mapped: brought in before they are read, and given back afterwards.

What is given back stays in the kernel's page cache, but no longer counts as memory of this process.
"""

from __future__ import annotations

import mmap
from contextlib import suppress

_POPULATE_READ = 22  # Linux 5.14
_WORTH_ADVICE = 1 << 20
_FAULT_AROUND = 1 << 16  # Linux maps so much around an access, also what was released just before it


class MappedPages:
    """Advice for the kernel about a map; no advice at all for ``data`` that is not the whole of one."""

    __slots__ = ("_high", "_low", "_map")

    def __init__(self, data: memoryview) -> None:
        whole = data.obj
        mapped = isinstance(whole, mmap.mmap) and data.readonly and len(whole) == data.nbytes
        self._map = whole if mapped and isinstance(whole, mmap.mmap) else None
        self._low = self._high = 0

    def ahead(self, start: int, end: int) -> None:
        """Map the bytes from ``start`` to ``end``, which are read next, at once instead of page by page."""
        self._advise(_POPULATE_READ, start & -mmap.PAGESIZE, end)

    def behind(self, start: int, end: int) -> None:
        """Release the bytes from ``start`` to ``end``, which were read.

        They are collected, with small gaps, until there are enough of them.
        """
        if self._map is None:
            return
        if not self._low <= start <= self._high + _WORTH_ADVICE:
            self._release()
            self._low = start
        self._high = max(self._high, end) if start <= self._high else end
        if self._high - self._low >= 2 * _WORTH_ADVICE:
            self._release()

    def _release(self) -> None:
        start, end = -(-self._low // mmap.PAGESIZE) * mmap.PAGESIZE, self._high & -mmap.PAGESIZE
        self._advise(mmap.MADV_DONTNEED, start, end)
        self._low = max(0, self._high - _FAULT_AROUND)

    def _advise(self, advice: int, start: int, end: int) -> None:
        if self._map is not None and end - start >= _WORTH_ADVICE:
            with suppress(OSError):  # unknown to older kernels; reading is then only slower
                self._map.madvise(advice, start, end - start)
