"""``scsi-disk``: SCSI disks and CD drives, ``scsi-hd`` and ``scsi-cd`` (hw/scsi/scsi-disk.c, scsi-bus.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import (
    Bool,
    Cursor,
    Field,
    Since,
    Struct,
    UInt8,
    UInt32,
    UInt64,
    VMStateDescription,
    WireArray,
    Writer,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.history import Span
from vmstate.describe.infos import Info
from vmstate.errors import NotModelled
from vmstate.pseries.board.block import ANSWERS, block, check_block_sizes, check_drive, errors, geometry
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property, harmless, not_modelled
from vmstate.pseries.board.scsi_bus import SCSI
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

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


def reservation_needed(device: ScsiDisk) -> bool:
    """The guest holds a reservation: of these disks none does, only those of the host (scsi-block)."""
    return bool(device.pr_key)


def reservation_post_load(device: ScsiDisk, version_id: int) -> int:
    """The destination takes over the guest's reservation, which its host's disk may refuse."""
    raise NotModelled(f"a SCSI reservation (key {device.pr_key:#x}) at the destination is not modelled")


SCSI_RESERVATION = Since(
    "11.0",
    VMStateDescription(
        "scsi-disk/pr",
        version_id=1,
        minimum_version_id=1,
        needed=reservation_needed,
        post_load=reservation_post_load,
        fields=[UInt64("qdev.pr_state.key", attr="pr_key"), UInt8("qdev.pr_state.resv_type")],
    ),
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
    subsections=[SCSI_RESERVATION],
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
        self.pr_key = self.resv_type = 0


DISK, CD = "scsi-hd", "scsi-cd"
#: A serial number of this length is also the device's id, in every release.
LONGEST_SERIAL = 20
EMULATED_REQUESTS, EMULATED_REQUESTS_SINCE = "migrate-emulated-scsi-request", "9.1"
_REQUESTS = "only requests in flight"


def _short(value: str) -> bool:
    return len(value) <= LONGEST_SERIAL


def removable(owner: str) -> Property:
    """Return the property of a disk that may be empty."""
    return Property(owner, "removable", "off", "bool")


def _common(owner: str) -> tuple[Property, ...]:
    quirks = ("quirk_mode_page_vendor_specific_apple",)
    return (
        *block(owner),
        *errors(owner),
        *harmless(owner, "OnOffAuto", ANSWERS, "write-cache"),
        *harmless(owner, "str", ANSWERS, "ver", "vendor", "product"),
        Property(owner, "serial", "", "str", Effect.HARMLESS, ANSWERS, values=_short),
        *harmless(owner, "str", ANSWERS, "device_id", span=Span("4.0")),
        *harmless(owner, "uint64", ANSWERS, "wwn", "port_wwn", "max_io_size"),
        *harmless(owner, "uint16", ANSWERS, "port_index"),
        *harmless(owner, "int32", ANSWERS, "scsi_version", span=Span("2.12")),
        *harmless(owner, "bool", _REQUESTS, EMULATED_REQUESTS, span=Span(EMULATED_REQUESTS_SINCE)),
        not_modelled(owner, EMULATED_REQUESTS, "bool", span=Span("8.2", EMULATED_REQUESTS_SINCE)),
        *harmless(owner, "bool", ANSWERS, *quirks, span=Span("7.1")),
        *harmless(owner, "bool", ANSWERS, "quirk_mode_page_set_block_size", span=Span("11.1")),
        not_modelled(owner, "quirk_mode_page_set_block_size", "bool", span=Span("11.0", "11.1")),
    )


_QUIRKS = ("quirk_mode_page_apple_vendor", "quirk_mode_sense_rom_use_dbd", "quirk_mode_page_truncated")
REMOVABLE = removable(DISK)
DISK_PROPERTIES = (
    *_common(DISK),
    *geometry(DISK),
    REMOVABLE,
    *harmless(DISK, "bool", ANSWERS, "dpofua"),
    *harmless(DISK, "uint64", ANSWERS, "max_unmap_size"),
    *harmless(DISK, "uint16", ANSWERS, "rotation_rate", span=Span("2.11")),
)
CD_PROPERTIES = (*_common(CD), *harmless(CD, "bool", ANSWERS, *_QUIRKS, span=Span("7.1")))


def check_disk(machine: Machine, option: DeviceOption) -> None:
    """Check a disk's drive (``scsi_realize``)."""
    check_drive(machine, option, empty=REMOVABLE.flag(machine, option))
    check_block_sizes(machine, option, DISK)


def check_cd(machine: Machine, option: DeviceOption) -> None:
    """Check a CD drive, which needs no -drive (``scsi_cd_realize``)."""
    check_block_sizes(machine, option, CD)


def _plug(driver: str, board: Board, option: DeviceOption | None) -> None:
    path = board.bus(SCSI, option).place(board.machine, driver, option)
    device = ScsiDisk(board.machine)
    device.driver = driver
    board.add_at(path, device)


def plug_disk(board: Board, option: DeviceOption | None) -> None:
    """Plug a disk."""
    _plug(DISK, board, option)


def plug_cd(board: Board, option: DeviceOption | None) -> None:
    """Plug a CD drive; the one of the board is on its own adapter."""
    _plug(CD, board, option)


DRIVERS = (
    Driver(
        DISK,
        plug_disk,
        bus=SCSI,
        check=check_disk,
        properties=DISK_PROPERTIES,
        drive_owner=DISK,
        examples=(
            "-drive if=none,id=d{0},file.driver=null-co -device virtio-scsi-pci -device scsi-hd,drive=d{0}",
        ),
    ),
    Driver(
        CD,
        plug_cd,
        bus=SCSI,
        check=check_cd,
        properties=CD_PROPERTIES,
        drive_owner=CD,
        examples=("-device spapr-vscsi -device scsi-cd", "-device virtio-scsi-pci -device scsi-cd,scsi-id=3"),
    ),
)
