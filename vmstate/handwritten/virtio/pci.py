"""The part of virtio-pci: the PCI device before the rest, its state of virtio 1 at the end.

hw/virtio/virtio-pci.c ``virtio_pci_save_config``, ``virtio_pci_save_queue``, ``vmstate_virtio_pci``.
"""

from __future__ import annotations

from typing import Any

from vmstate.describe import Bool, Field, Since, Struct, UInt8, UInt16, UInt32, VMStateDescription
from vmstate.handwritten.msix import MSIX_STATE
from vmstate.handwritten.pci_config import PCI_CONFIG, PCI_IRQ_STATE
from vmstate.handwritten.pci_device import pci_device
from vmstate.handwritten.virtio.common import MAX_QUEUES, QUEUE, QUEUE_WITHOUT_VECTOR
from vmstate.handwritten.virtio.names import NO_VECTOR


def has_vectors(state: Any, version_id: int) -> bool:
    """The device has interrupt vectors."""
    return bool(state.vectors)


def no_vectors(state: Any, version_id: int) -> bool:
    """The device has one interrupt line and no vectors."""
    return not state.vectors


PCI_DEVICE, PCIE_DEVICE = (
    pci_device(PCI_CONFIG, PCI_IRQ_STATE, express=express) for express in (False, True)
)
MSIX = Field("msix", MSIX_STATE, attr="msix", size="msix_size", exists=has_vectors)
VECTORS = (
    MSIX,
    UInt16("config_vector", exists=has_vectors, words=NO_VECTOR),
)
QUEUES = (
    Struct("vq", QUEUE, attr="queues", exists=has_vectors)["nr_queues"],
    Struct("vq", QUEUE_WITHOUT_VECTOR, attr="queues", exists=no_vectors)["nr_queues"],
)

MODERN_QUEUE = VMStateDescription(
    "virtio_pci/modern_queue_state",
    1,
    1,
    fields=[
        UInt16("num"),
        UInt8("unused"),
        Bool("enabled"),
        *(
            UInt32(f"{ring}[{half}]", attr=f"{ring}_{half}")
            for ring in ("desc", "avail", "used")
            for half in (0, 1)
        ),
    ],
)
FEATURES_128 = VMStateDescription(
    "virtio_pci/modern_state/features128", 1, 1, fields=[UInt32("guest_features").part(2, 2)]
)
MODERN_STATE = VMStateDescription(
    "virtio_pci/modern_state",
    1,
    1,
    fields=[
        UInt32("dfselect"),
        UInt32("gfselect"),
        UInt32("guest_features").part(0, 2),
        Struct("vqs", MODERN_QUEUE, attr="modern_queues")[MAX_QUEUES],
    ],
    subsections=[Since("10.2", FEATURES_128)],
)
VIRTIO_PCI = VMStateDescription("virtio_pci", 1, 1, subsections=[MODERN_STATE])
