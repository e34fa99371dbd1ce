"""``scsi-disk``: a SCSI disk or CD drive (hw/scsi/scsi-disk.c, hw/scsi/scsi-bus.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Bool, Cursor, Field, Struct, UInt8, UInt32, VMStateDescription, WireArray, Writer
from vmstate.describe.arrays import zeros
from vmstate.describe.infos import Info
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

SENSE_SIZE, OLD_SENSE_SIZE = 252, 96
UNIT_ATTENTION, POWER_ON_OR_RESET = 0x06, 0x29


class ScsiRequests(Info):
    """Requests in flight, each after a positive byte; a byte 0 at the end (vmstate_info_scsi_requests)."""

    name = "scsi-requests"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> tuple[()]:
        if cur.byte():
            raise cur.unknown("a SCSI request in flight is not modelled", offset=cur.pos - 1)
        return ()

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(b"\0")


def long_sense(device: ScsiDisk) -> bool:
    """There is more sense data than the old buffer holds."""
    return bool(device.sense_len > OLD_SENSE_SIZE)


SCSI_SENSE = VMStateDescription(
    "SCSIDevice/sense",
    version_id=1,
    minimum_version_id=1,
    needed=long_sense,
    fields=[UInt8("sense").part(OLD_SENSE_SIZE, SENSE_SIZE - OLD_SENSE_SIZE)],
)

SCSI_DEVICE = VMStateDescription(
    "SCSIDevice",
    version_id=1,
    minimum_version_id=1,
    fields=[
        UInt8("unit_attention.key"),
        UInt8("unit_attention.asc"),
        UInt8("unit_attention.ascq"),
        Bool("sense_is_ua"),
        UInt8("sense").part(0, OLD_SENSE_SIZE),
        UInt32("sense_len"),
        Field("requests", ScsiRequests(), attr="requests"),
    ],
    subsections=[SCSI_SENSE],
)

SCSI_DISK = VMStateDescription(
    "scsi-disk",
    version_id=1,
    minimum_version_id=1,
    fields=[
        Struct("qdev", SCSI_DEVICE, attr="."),
        *(
            Bool(name)
            for name in ("media_changed", "media_event", "eject_request", "tray_open", "tray_locked")
        ),
    ],
)


class ScsiDisk(Device):
    """A drive that was just powered on, and reports this to the next command."""

    description = SCSI_DISK

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.key, self.asc, self.ascq = UNIT_ATTENTION, POWER_ON_OR_RESET, 0
        self.sense_is_ua = False
        self.sense = WireArray("B", zeros(SENSE_SIZE))
        self.sense_len = 0
        self.requests: tuple[()] = ()
        self.media_changed = self.media_event = self.eject_request = False
        self.tray_open = self.tray_locked = False
