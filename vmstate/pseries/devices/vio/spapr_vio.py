"""``spapr_vio``: the state that devices on the virtual I/O bus send first (hw/ppc/spapr_vio.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from vmstate.describe import Field, Struct, UInt32, UInt32Equal, UInt64, VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.pci.spapr_iommu import SpaprIommu, add_window
from vmstate.pseries.machine import Machine

#: Properties of each device on the bus whose -global counts where the bus is laid out.
GLOBALS = frozenset({"reg"})

SPAPR_VIO = VMStateDescription(
    "spapr_vio",
    version_id=1,
    minimum_version_id=1,
    fields=[
        UInt32Equal("reg"),
        UInt32Equal("irq"),
        UInt64("signal_state"),
        UInt64("crq.qladdr"),
        UInt32("crq.qsize"),
        UInt32("crq.qnext"),
    ],
)


def VioDevice(name: str) -> Field:
    """Return the common part, under its name in the device's structure (VMSTATE_SPAPR_VIO)."""
    return Struct(name, SPAPR_VIO, attr=".")


class SpaprVio(Device):
    """A device on the VIO bus: ``reg`` is its unit address, ``irq`` its interrupt number.

    Its section is named after its place: ``vty@71000000/spapr_vty``.
    """

    rtce_window_size: ClassVar[int] = 0

    def __init__(self, machine: Machine, reg: int, irq: int) -> None:
        super().__init__(machine)
        self.reg = reg
        self.irq = irq
        self.signal_state = 0
        self.qladdr = 0
        self.qsize = 0
        self.qnext = 0


D = TypeVar("D", bound=SpaprVio)


def plug_vio(board: Board, make: Callable[[Machine, int, int], D]) -> D:
    """Plug the next device of the VIO bus, and its DMA window if it has one."""
    placed, irq = board.next_vio()
    device = make(board.machine, placed.reg, irq)
    if device.rtce_window_size:
        add_window(board, SpaprIommu(board.machine, placed.reg, device.rtce_window_size))
    board.add_at(placed.path, device)
    return device
