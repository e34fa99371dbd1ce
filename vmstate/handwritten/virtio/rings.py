"""A split queue in guest memory (``<linux/virtio_ring.h>``): the sizes of its parts, and where they are."""

from __future__ import annotations

DESCRIPTOR, AVAILABLE_ELEMENT, USED_ELEMENT = 16, 2, 8
HEADER = 4  # a ring's flags and index, before its elements
EVENT = 2  # an index behind a ring's elements
USUAL_ALIGN = 4096  # of a legacy device's used ring


def legacy_rings(descriptors: int, size: int, align: int = USUAL_ALIGN) -> tuple[int, int]:
    """Return the addresses of the available and the used ring (virtio_queue_update_rings of virtio.c)."""
    available = descriptors + size * DESCRIPTOR
    end = available + HEADER + size * AVAILABLE_ELEMENT
    return available, -(-end // align) * align
