"""virtio-rng: a source of random numbers (hw/virtio/virtio-rng.c)."""

from __future__ import annotations

from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import PROPERTIES, VirtioDevice, VirtioModel, options
from vmstate.pseries.options import DeviceOption


class VirtioRng(VirtioDevice):
    """A source of random numbers."""

    description = virtio("virtio-rng", 1)
    model = VirtioModel(0x1005, 4, 0x00FF00, 0, 0x0)


VECTORS = Property("virtio-rng-pci", "vectors", "2")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a source."""
    machine = board.machine
    source = VirtioRng(machine, options(machine, option, [8], VECTORS.number(machine, option)))
    board.plug_pci(source, "virtio-rng-pci", option)


DRIVERS = (
    Driver(
        "virtio-rng-pci",
        plug,
        properties=(VECTORS, *PROPERTIES),
        examples=("-device virtio-rng-pci", "-device virtio-rng-pci,addr=9"),
    ),
)
