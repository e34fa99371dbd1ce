"""The inside of bytes that QEMU writes by hand: a vmdesc names their type and their size, and nothing else.

``content_of`` returns their wire type, which names every byte; ``names_of_values`` the names of values.
Bytes that are not exactly as declared stay bytes: nothing is guessed.
"""

from __future__ import annotations

from vmstate.handwritten.content import ByteOrder
from vmstate.handwritten.msix import MSIX_STATE
from vmstate.handwritten.pci_config import PCI_CONFIG
from vmstate.handwritten.table import content_of, names_of_values

__all__ = ["MSIX_STATE", "PCI_CONFIG", "ByteOrder", "content_of", "names_of_values"]
