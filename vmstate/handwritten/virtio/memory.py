"""Hotplugged memory: how much of it is plugged (hw/virtio/virtio-mem.c ``vmstate_virtio_mem_device``)."""

from __future__ import annotations

from vmstate.describe import Bitmap, Struct, UInt32, UInt64, VMStateDescription
from vmstate.handwritten.virtio.state import VirtioState

_CHECKS = VMStateDescription(
    "virtio-mem-device/sanity-checks",
    fields=[UInt64("addr"), UInt64("region_size"), UInt64("block_size"), UInt32("node")],
)


class MemoryState(VirtioState):
    """A device's values."""

    region_size: int
    block_size: int

    @property
    def bitmap_size(self) -> int:
        """The blocks of the device, each with a bit."""
        return self.region_size // self.block_size if self.block_size else 0


def memory_device(*, early: bool) -> VMStateDescription:
    """Return the device's own part; ``early``: another section has sent the rest before (since 8.1)."""
    checks, size, bitmap = Struct("tmp", _CHECKS, attr="."), UInt64("size"), Bitmap("bitmap", "bitmap_size")
    usable, requested = UInt64("usable_region_size"), UInt64("requested_size")
    fields = [usable, requested] if early else [checks, usable, size, requested, bitmap]
    return VMStateDescription("virtio-mem-device", 1, 1, fields=fields)
