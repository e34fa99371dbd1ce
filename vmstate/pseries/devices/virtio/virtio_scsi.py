"""virtio-scsi: SCSI adapters (hw/scsi/virtio-scsi.c)."""

from __future__ import annotations

from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import PROPERTIES, VirtioDevice, VirtioModel, options
from vmstate.pseries.options import DeviceOption


class VirtioScsi(VirtioDevice):
    """A SCSI adapter."""

    description = virtio("virtio-scsi", 1)
    model = VirtioModel(0x1004, 8, 0x010000, 36, 0x6)


NUM_QUEUES = Property("virtio-scsi-device", "num_queues")
QUEUE_SIZE = Property("virtio-scsi-device", "virtqueue_size", "256")
VECTORS = Property("virtio-scsi-pci", "vectors")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug an adapter: a queue for each processor, one for control and one for events."""
    machine = board.machine
    count = NUM_QUEUES.number(machine, option, machine.topology.cpus)
    size = QUEUE_SIZE.number(machine, option)
    vectors = VECTORS.number(machine, option, count + 3)
    adapter = VirtioScsi(machine, options(machine, option, [size] * (count + 2), vectors))
    board.plug_pci(adapter, "virtio-scsi-pci", option)


DRIVERS = (
    Driver(
        "virtio-scsi-pci",
        plug,
        properties=(NUM_QUEUES, QUEUE_SIZE, VECTORS, *PROPERTIES),
        examples=("-device virtio-scsi-pci", "-device virtio-scsi-pci,addr=7"),
    ),
)
