"""The part of virtio-mmio: three registers before the rest, its state of virtio 1 at the end.

hw/virtio/virtio-mmio.c ``virtio_mmio_save_config``, ``vmstate_virtio_mmio``.
"""

from __future__ import annotations

from vmstate.describe import Bool, Struct, UInt16, UInt32, VMStateDescription
from vmstate.handwritten.virtio.common import MAX_QUEUES

REGISTERS = (UInt32("host_features_sel"), UInt32("guest_features_sel"), UInt32("guest_page_shift"))

MODERN_QUEUE = VMStateDescription(
    "virtio_mmio/queue_state",
    1,
    1,
    fields=[
        UInt16("num"),
        Bool("enabled"),
        *(
            UInt32(f"{ring}[{half}]", attr=f"{ring}_{half}")
            for ring in ("desc", "avail", "used")
            for half in (0, 1)
        ),
    ],
)
MODERN_STATE = VMStateDescription(
    "virtio_mmio/state",
    1,
    1,
    fields=[
        UInt32("guest_features").part(0, 2),
        Struct("vqs", MODERN_QUEUE, attr="modern_queues")[MAX_QUEUES],
    ],
)
VIRTIO_MMIO = VMStateDescription("virtio_mmio", 1, 1, subsections=[MODERN_STATE])
