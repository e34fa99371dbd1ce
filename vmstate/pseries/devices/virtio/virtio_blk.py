"""virtio-blk: disks (hw/block/virtio-blk.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Cursor, Field, VMStateDescription, Writer
from vmstate.describe.infos import Info
from vmstate.errors import Unsupported
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import PROPERTIES, VirtioDevice, VirtioModel, options
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


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
    model = VirtioModel(0x1001, 2, 0x010000, 57)
    requests: tuple[()] = ()


NUM_QUEUES = Property("virtio-blk-device", "num-queues")
QUEUE_SIZE = Property("virtio-blk-device", "queue-size", "256")
VECTORS = Property("virtio-blk-pci", "vectors")


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a disk without an existing drive (``virtio_blk_device_realize``)."""
    drive = option.get("drive")
    if drive is None:
        raise Refused(f"{option.text}: drive property not set")
    if drive not in machine.drives:
        raise Refused(f"{option.text}: Property 'virtio-blk-device.drive' can't find value '{drive}'")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a disk: a queue for each processor, and a vector for each queue and the configuration."""
    machine = board.machine
    count = NUM_QUEUES.number(machine, option, machine.topology.cpus)
    size = QUEUE_SIZE.number(machine, option)
    vectors = VECTORS.number(machine, option, count + 1)
    disk = VirtioBlk(machine, options(machine, option, [size] * count, vectors))
    board.plug_pci(disk, "virtio-blk-pci", option)


DRIVERS = (
    Driver("virtio-blk-pci", plug, check=check, properties=(NUM_QUEUES, QUEUE_SIZE, VECTORS, *PROPERTIES)),
)
