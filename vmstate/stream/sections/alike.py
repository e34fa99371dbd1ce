"""Page records that begin alike: the same flags, each at an address of the block.

They are read with ``struct``: numpy is faster from some hundred thousand records on, which is what its import
costs.  Those of one page after another are compared as a whole, in ``rows.py``.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

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


@lru_cache(maxsize=16)
def _words(count: int, stride: int) -> struct.Struct:
    return struct.Struct(">" + f"Q{stride - 8}x" * count)


def words_at(
    view: memoryview, at: int, count: int, stride: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the first 64-bit word of ``count`` records, ``stride`` bytes apart."""
    import numpy as np

    return np.ndarray((count,), ">u8", view, at, (stride,)).astype(np.uint64)
