"""Disks: the requests in flight (hw/block/virtio-blk.c ``virtio_blk_save_device``)."""

from __future__ import annotations

from vmstate.describe import Field, Int8, UInt32, VMStateDescription
from vmstate.handwritten.virtio.elements import Elem
from vmstate.handwritten.virtio.part import Listed


def block_device(*, many_queues: bool, packed: bool) -> VMStateDescription:
    """Return the disk's own part; with ``many_queues`` a request says which one it came from."""
    queue = [UInt32("vq_index")] if many_queues else []
    request = VMStateDescription("VirtIOBlockReq", fields=[Int8("more"), *queue, Elem(packed=packed)])
    requests = Field("requests", Listed("requests", request, 1), attr="requests")
    return VMStateDescription("virtio-blk-device", fields=[requests])
