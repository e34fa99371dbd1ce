"""Page records that begin alike: the same flags, each at an address of the block.

Guest memory comes as runs of thousands of such records, mostly of one page after another: then their words
are known from the first one, and are compared as one number.  Others are read with ``struct``: numpy is
faster from some hundred thousand records on, which is what its import costs.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: The most records that are compared as one number.
IN_A_ROW = 1024
#: So many records cost as much to read with ``struct`` as numpy to import.
WORTH_NUMPY = 1 << 18


def alike(
    view: memoryview, at: int, count: int, stride: int, flags: int, *, mask: int, limit: int, bulk: bool
) -> int:
    """Return how many of ``count`` records, ``stride`` bytes apart, have these flags and a lower address.

    ``mask``: the bits of the flags; ``limit``: the address that none reaches; ``bulk``: use numpy.
    """
    if bulk:
        words = words_at(view, at, count, stride)
        good = (words & mask) == flags
        good &= words < limit
        return count if good.all() else int(good.argmin())
    found = _words(count, stride).unpack_from(view, at)
    if max(found) < limit and {*map(mask.__and__, found)} == {flags}:
        return count
    return next(index for index, word in enumerate(found) if word & mask != flags or word >= limit)


def in_a_row(view: memoryview, at: int, count: int, stride: int, page: int) -> bool:
    """Return True if each of ``count`` records is like the one before it, but for a page one further.

    At most :data:`IN_A_ROW` records, of a word and a page, or of a word and one byte, which is the same too.
    """
    records = view[at : at + count * stride]
    if stride == 9:
        first, step, lane = records[:9], page << 8, 9
        found = int.from_bytes(records, "big")
    elif stride % 8 == 0:
        first, step, lane = records[:8], page, 8
        found = int.from_bytes(records.cast("Q")[:: stride // 8].tobytes(), "big")
    else:
        return False
    ones, steps = _lanes(lane, step)
    unused = 8 * lane * (IN_A_ROW - count)
    return found == int.from_bytes(first, "big") * (ones >> unused) + (steps >> unused)


@lru_cache(maxsize=8)
def _lanes(size: int, step: int) -> tuple[int, int]:
    """Return two numbers of :data:`IN_A_ROW` lanes, ``size`` bytes each: 1, 1, … and 0, step, 2 step, …."""
    ones = b"".join((1).to_bytes(size, "big") for _ in range(IN_A_ROW))
    steps = b"".join((each * step).to_bytes(size, "big") for each in range(IN_A_ROW))
    return int.from_bytes(ones, "big"), int.from_bytes(steps, "big")


@lru_cache(maxsize=16)
def _words(count: int, stride: int) -> struct.Struct:
    return struct.Struct(">" + f"Q{stride - 8}x" * count)


def words_at(
    view: memoryview, at: int, count: int, stride: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the first 64-bit word of ``count`` records, ``stride`` bytes apart."""
    import numpy as np

    return np.ndarray((count,), ">u8", view, at, (stride,)).astype(np.uint64)
