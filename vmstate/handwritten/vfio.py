"""The configuration of a PCI device that is passed through (hw/vfio/pci.c ``vmstate_vfio_pci_config``).

Nothing in the bytes says whether the device is on PCI Express: the one that fits every byte is taken.
"""

from __future__ import annotations

from typing import Any

from vmstate.describe import Field, Node, Struct, VMStateDescription
from vmstate.describe.description import Record
from vmstate.handwritten.msix import MSIX_STATE, announced_vectors, table_size
from vmstate.handwritten.pci_config import PCI_CONFIG, PCI_IRQ_STATE
from vmstate.handwritten.pci_device import pci_device
from vmstate.handwritten.virtio.part import exactly


class _Card(Record):
    def __init__(self) -> None:
        super().__init__(pci=Record(config=b""))

    @property
    def msix_size(self) -> int:
        return table_size(announced_vectors(self.pci.config))


def _has_vectors(card: Any, version_id: int) -> bool:
    """The device has interrupt vectors, and uses them here (vfio_msix_present)."""
    return announced_vectors(card.pci.config) > 0


def _layouts(express: bool) -> list[VMStateDescription]:
    device = Struct("parent_obj", pci_device(PCI_CONFIG, PCI_IRQ_STATE, express=express), attr="pci")
    msix = Field("msix", MSIX_STATE, attr="msix", size="msix_size", exists=_has_vectors)
    return [VMStateDescription("VFIOPCIDevice", 1, fields=fields) for fields in ([device, msix], [device])]


_LAYOUTS = [*_layouts(express=False), *_layouts(express=True)]


def configuration(data: memoryview, start: int, end: int) -> list[Node]:
    """Return the parts of a configuration; none if no layout fits (one with a display is not known)."""
    fits = (exactly(layout, _Card(), data, start, end) for layout in _LAYOUTS)
    return next((root.nodes for root in fits if root is not None), [])
