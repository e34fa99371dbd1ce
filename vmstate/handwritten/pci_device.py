"""``PCIDevice``, which every PCI device sends first (hw/pci/pci.c vmstate_pci_device)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Field, Int32PositiveLe, VMStateDescription
from vmstate.describe.infos import Info
from vmstate.handwritten.pci_walk import CONVENTIONAL, EXPRESS

PINS = 4


def always(state: Any, version_id: int) -> bool:
    """Always: the device has this kind of configuration space."""
    return True


def never(state: Any, version_id: int) -> bool:
    """Never: the device has the other kind of configuration space."""
    return False


def pci_device(config: Info, irq_state: Info, *, express: bool) -> VMStateDescription:
    """Return the description, with what reads the configuration space and the levels of the pins."""
    return VMStateDescription(
        "PCIDevice",
        version_id=2,
        minimum_version_id=1,
        fields=[
            Int32PositiveLe("version_id"),
            Field("config", config, attr="config", size=CONVENTIONAL, exists=never if express else always),
            Field("config", config, attr="config", size=EXPRESS, exists=always if express else never),
            Field("irq_state", irq_state, attr="irq_state", size=4 * PINS, version_id=2),
        ],
    )
