"""``scsi-requests``: the requests in flight of a disk, on an adapter of virtio or on one that adds nothing.

hw/scsi/scsi-bus.c ``put_scsi_requests``, hw/scsi/virtio-scsi.c ``virtio_scsi_save_request``,
hw/scsi/scsi-disk.c ``scsi_disk_save_request``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from vmstate.describe import Buffer, Field, Int8, Node, Record, UInt32, UInt64, VMStateDescription
from vmstate.describe.words import Names
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.virtio.elements import Elem
from vmstate.handwritten.virtio.part import Listed, exactly

TYPE = "scsi-requests"
_SECTOR = 512
_COMMAND = 16  # SCSI_CMD_BUF_SIZE
_RETRY, _SEND = 1, 2
#: Commands that read, verify or write blocks (scsi_disk_reqops_dispatch); all others are emulated.
_BLOCKS = frozenset((0x08, 0x28, 0xA8, 0x88, 0x2F, 0xAF, 0x8F, 0x0A, 0x2A, 0xAA, 0x8A, 0x2E, 0xAE, 0x8E))
#: Commands whose data the guest sends (scsi_cmd_xfer_mode).
_TO_DEVICE = frozenset(
    (
        *(0x04, 0x07, 0x0A, 0x15, 0x18, 0x1B, 0x1D, 0x24, 0x2A, 0x2E, 0x2F, 0x30, 0x31, 0x32, 0x38, 0x39),
        *(0x3A, 0x3B, 0x3D, 0x3F, 0x40, 0x41, 0x42, 0x4C, 0x55, 0x5D, 0x5F, 0x8A, 0x8E, 0x8F, 0x93, 0xA4),
        *(0xAA, 0xAE, 0xAF, 0xB0, 0xB1, 0xB2, 0xB6, 0xBF),
    )
)


class DiskRequest(Record):
    """A request's values, and the size of the data that it has."""

    more: int
    command: memoryview
    buflen: int
    sector_count: int
    len: int
    emulated_too = True

    @property
    def data_size(self) -> int:
        """The bytes of data that were sent, or read already."""
        return self.len if answers(self, 0) else min(self.sector_count * _SECTOR, self.buflen)


def of_disk(request: Any, version_id: int) -> bool:
    """The disk adds its state; releases differ in whether it does for emulated commands."""
    return bool(request.emulated_too or request.command[0] in _BLOCKS)


def answers(request: Any, version_id: int) -> bool:
    """The request has data for the guest, with its length."""
    buffered = of_disk(request, 0) and request.buflen
    return bool(buffered and request.command[0] not in _TO_DEVICE and request.more != _RETRY)


def has_data(request: Any, version_id: int) -> bool:
    """The request has data."""
    sends = of_disk(request, 0) and request.buflen and request.command[0] in _TO_DEVICE
    return bool(sends or answers(request, 0))


class BlocksOnly(DiskRequest):
    """A request's values, where a disk adds nothing for emulated commands."""

    emulated_too = False


def _requests(bus: tuple[Field, ...], state: type[DiskRequest]) -> VMStateDescription:
    request = VMStateDescription(
        "SCSIRequest",
        fields=[
            Int8("more", words=Names({_RETRY: "retry", _SEND: "send"})),
            Buffer("command", _COMMAND),
            UInt32("tag"),
            UInt32("lun"),
            *bus,
            UInt64("sector", exists=of_disk),
            UInt32("sector_count", exists=of_disk),
            UInt32("buflen", exists=of_disk),
            UInt32("len", exists=answers),
            Buffer("data", "data_size", exists=has_data),
        ],
    )
    return VMStateDescription(TYPE, fields=[Field("requests", Listed("requests", request, 1, state))])


@cache
def _forms() -> tuple[VMStateDescription, ...]:
    """Return the forms of the field: the adapter's part, and which commands have the disk's."""
    buses = (*((UInt32("queue"), Elem(packed=packed)) for packed in (False, True)), ())
    return tuple(_requests(bus, state) for bus in buses for state in (DiskRequest, BlocksOnly))


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    for form in _forms():
        found = exactly(form, Record(), data, start, end)
        if found is not None:
            return found.nodes[0].nodes
    raise StreamError("requests of another adapter or device", offset=start)


SCSI_REQUESTS = Content(TYPE, _read)
