"""The other virtio devices that people plug: disks, balloon, random numbers, serial ports."""

from __future__ import annotations

from typing import Any

from vmstate.describe import (
    Cursor,
    Field,
    Since,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    Until,
    VMStateDescription,
    Writer,
    scalar,
)
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.describe.infos import Info, Scalar
from vmstate.errors import Unsupported
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import VirtioDevice, VirtioModel, VirtioOptions
from vmstate.pseries.machine import Machine

STORAGE, SERIAL, OTHER = 0x010000, 0x078000, 0x00FF00

# Disks, as in virtio-blk.c and virtio-scsi.c.


class BlkRequests(Info):
    """Requests in flight, each after a byte 1; a byte 0 at the end."""

    name = "requests"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> tuple[()]:
        if cur.byte():
            raise Unsupported("a virtio-blk request in flight", offset=cur.pos - 1)
        return ()

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(b"\0")


BLK = VMStateDescription(
    "virtio-blk-device",
    version_id=2,
    minimum_version_id=2,
    fields=[Field("requests", BlkRequests(), attr="requests")],
)


class VirtioBlk(VirtioDevice):
    """A disk."""

    description = virtio("virtio-blk", 2, BLK, by_hand=True)
    model = VirtioModel(0x1001, 2, STORAGE, 57)
    requests: tuple[()] = ()


class VirtioScsi(VirtioDevice):
    """A SCSI adapter."""

    description = virtio("virtio-scsi", 1)
    model = VirtioModel(0x1004, 8, STORAGE, 36, 0x6)


# Balloons, as in virtio-balloon.c.


def hints(balloon: Any) -> bool:
    """The property ``free-page-hint``, off by default."""
    return bool(balloon.free_page_hint)


def poison(balloon: Any) -> bool:
    """The property ``page-poison``, off for machine types up to 5.0."""
    return bool(balloon.page_poison)


def _hint(prefix: str) -> VMStateDescription:
    return VMStateDescription(
        "virtio-balloon-device/free-page-report",
        1,
        1,
        needed=hints,
        fields=[UInt32(f"{prefix}_cmd_id", attr="cmd_id"), UInt32(f"{prefix}_status", attr="hint_status")],
    )


def _poison(name: str) -> VMStateDescription:
    return VMStateDescription(name, 1, 1, needed=poison, fields=[UInt32("poison_val")])


#: Its name had a slip, so that a destination stopped looking for subsections when it saw one.
POISON_RENAMED = "6.2"

BALLOON = VMStateDescription(
    "virtio-balloon-device",
    version_id=1,
    minimum_version_id=1,
    fields=[UInt32("num_pages"), UInt32("actual")],
    subsections=[
        Until("5.1", Since("4.0", _hint("free_page_report"))),
        Since("5.1", _hint("free_page_hint")),
        Until(POISON_RENAMED, Since("5.1", _poison("vitio-balloon-device/page-poison"))),
        Since(POISON_RENAMED, _poison("virtio-balloon-device/page-poison")),
    ],
)


class VirtioBalloon(VirtioDevice):
    """A balloon without air.  Its page poisoning is offered, but only used by a guest that asks for it."""

    description = virtio("virtio-balloon", 1, BALLOON)
    model = VirtioModel(0x1002, 5, OTHER, 16, 0x2)
    num_pages = actual = poison_val = cmd_id = hint_status = 0
    free_page_hint = page_poison = False


# Random numbers, as in virtio-rng.c.


class VirtioRng(VirtioDevice):
    """A source of random numbers."""

    description = virtio("virtio-rng", 1)
    model = VirtioModel(0x1005, 4, OTHER, 0, 0x0)


# Serial ports, as in virtio-serial-bus.c.


class Same(Scalar):
    """A number that must be the local one; if not, nothing is said (virtio_serial_load_device)."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        at = cur.pos
        number: int = super().get(cur, field, state, size, old)
        if cur.judge and number != old:
            message = f"{field.name} is not that of the destination"
            raise LoadFailure(-EINVAL, message, offset=at, found=number, expected=old)
        return number


SameUInt32 = scalar(Same("uint32", "I"))

PORT = VMStateDescription(
    "port",
    fields=[UInt32("id"), UInt8("guest_connected"), UInt8("host_connected"), UInt32("elem_popped")],
)

SERIAL_PORTS = VMStateDescription(
    "virtio-serial",
    version_id=3,
    minimum_version_id=3,
    fields=[
        UInt16("cols"),
        UInt16("rows"),
        UInt32("max_nr_ports"),
        SameUInt32("ports_map"),
        SameUInt32("nr_active_ports"),
        Struct("ports", PORT)["nr_active_ports"],
    ],
)


class VirtioSerial(VirtioDevice):
    """An adapter for 31 ports, without any; number 0 is kept for a console.

    The number of ports goes out in the byte order of the host, which is little-endian here.
    """

    description = virtio("virtio-console", 3, SERIAL_PORTS, by_hand=True)
    model = VirtioModel(0x1003, 3, SERIAL, 12, 0x2)
    cols = rows = 0
    max_nr_ports = 31 << 24
    ports_map = 1
    nr_active_ports = 0

    def __init__(self, machine: Machine, options: VirtioOptions) -> None:
        super().__init__(machine, options)
        self.ports: list[Any] = []
