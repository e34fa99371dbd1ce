"""The sizes of a guest's hash page table and real mode area (hw/ppc/spapr.c)."""

from __future__ import annotations

from vmstate.describe.history import Release, reached

_SMALLEST, _LARGEST = 18, 46

#: The reach of the one special segment of real mode.
_REAL_MODE_LIMIT = 1 << 40
#: Since this release there is always a NUMA node, and the area is a power of two within the first.
_NODE_SINCE = "4.2"


def hash_table_shift(ram_size: int) -> int:
    """Return log2 of the hash table's size in bytes (``spapr_hpt_shift_for_ramsize``).

    It is 1/128 of the memory rounded up to a power of two, within limits.
    """
    return min(max((ram_size - 1).bit_length() - 7, _SMALLEST), _LARGEST)


def real_mode_size(ram_size: int, type_limit: int, release: Release) -> int:
    """Return the bytes of the real mode area, which a guest reaches untranslated (``spapr_rma_size``).

    ``type_limit``: the machine type's, 0 for none.
    """
    size = 1 << ram_size.bit_length() - 1 if reached(_NODE_SINCE, release) else ram_size
    return min(size, _REAL_MODE_LIMIT, type_limit or _REAL_MODE_LIMIT)
