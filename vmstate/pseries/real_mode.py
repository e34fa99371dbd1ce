"""The real mode area: the memory that a guest reaches before it translates addresses."""

from __future__ import annotations

from vmstate.describe.history import Release, reached

LIMIT = 1 << 40  # what the one special segment of real mode reaches

#: Since then there is always a NUMA node, and the area is a power of two within the first.
_NODE_SINCE = "4.2"


def real_mode_size(ram_size: int, type_limit: int, release: Release) -> int:
    """``spapr_rma_size`` of hw/ppc/spapr.c; ``type_limit``: what the machine type sets, 0 for nothing."""
    size = 1 << ram_size.bit_length() - 1 if reached(_NODE_SINCE, release) else ram_size
    return min(size, LIMIT, type_limit or LIMIT)
