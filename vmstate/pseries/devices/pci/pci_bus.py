"""``PCIBUS``: the interrupt lines of a PCI bus (hw/pci/pci.c)."""

from __future__ import annotations

from vmstate.describe import Int32, Int32Equal, VMStateDescription, WireArray
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.interrupts import PCI_NUM_PINS
from vmstate.pseries.machine import Machine

PCIBUS = VMStateDescription(
    "PCIBUS",
    version_id=1,
    minimum_version_id=1,
    fields=[Int32Equal("nirq"), Int32("irq_count")["nirq"]],
)


class PciBus(Device):
    """A bus: the root bus of a host bridge has four lines, none of them raised, others have no lines."""

    description = PCIBUS

    def __init__(self, machine: Machine, instance_id: int = 0, lines: int = PCI_NUM_PINS) -> None:
        super().__init__(machine, instance_id=instance_id)
        self.nirq = lines
        self.irq_count = WireArray.filled("i", lines)
