"""The wire types of what virtio devices write by hand."""

from __future__ import annotations

from vmstate.handwritten.content import ByteOrder, Content
from vmstate.handwritten.virtio.back_end import FS_BACK_END
from vmstate.handwritten.virtio.blob import TYPE, virtio_of
from vmstate.handwritten.virtio.gpu import GPU, GPU_BLOBS
from vmstate.handwritten.virtio.scsi import SCSI_REQUESTS


def content_of_virtio(owner: str, kind: str, order: ByteOrder | None = None) -> Content | None:
    """Return the wire type of a field by the description around it and its type; None if it is not known.

    ``order`` is that of the machine's guests.
    """
    if kind == TYPE:
        return virtio_of(owner, order)
    return next((one for about, one in _OTHERS if (about, one.name) == (owner, kind)), None)


_OTHERS = (
    ("virtio-gpu", GPU),
    ("virtio-gpu/blob", GPU_BLOBS),
    ("SCSIDevice", SCSI_REQUESTS),
    ("vhost-user-fs-backend", FS_BACK_END),
)
