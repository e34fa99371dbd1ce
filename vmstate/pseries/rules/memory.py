"""The size of a guest's hash page table: hw/ppc/spapr.c ``spapr_hpt_shift_for_ramsize``."""

from __future__ import annotations

_SMALLEST, _LARGEST = 18, 46


def hash_table_shift(ram_size: int) -> int:
    """log2 of the table's size in bytes: 1/128 of the memory rounded up to a power of two, within limits."""
    return min(max((ram_size - 1).bit_length() - 7, _SMALLEST), _LARGEST)
