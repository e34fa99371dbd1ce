"""The configuration of a PCI device that is passed through (hw/vfio/pci.c ``vmstate_vfio_pci_config``).

Nothing in the bytes says whether the device is on PCI Express, or whether it sends its vectors
(vfio_msix_present): the layout that fits every byte is taken.
"""

from __future__ import annotations

from vmstate.describe import Node, Struct, VMStateDescription
from vmstate.handwritten.msix import Card
from vmstate.handwritten.virtio.part import exactly
from vmstate.handwritten.virtio.pci import MSIX, PCI_DEVICE, PCIE_DEVICE

_LAYOUTS = [
    VMStateDescription("VFIOPCIDevice", 1, fields=[Struct("parent_obj", device, attr="pci"), *msix])
    for device in (PCI_DEVICE, PCIE_DEVICE)
    for msix in ([MSIX], [])
]


def configuration(data: memoryview, start: int, end: int) -> list[Node]:
    """Return the parts of a configuration; none if no layout fits (one with a display is not known)."""
    fits = (exactly(layout, Card(), data, start, end) for layout in _LAYOUTS)
    return next((root.nodes for root in fits if root is not None), [])
