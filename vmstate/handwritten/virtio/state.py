"""The state that a virtio device's bytes are read into."""

from __future__ import annotations

from vmstate.describe import Record
from vmstate.handwritten.msix import announced_vectors, table_size

VERSION_1 = 1 << 32
#: Later than any release: descriptions are as the newest one has them.
NEWEST = "999.0"
LITTLE_ENDIAN, BIG_ENDIAN = 1, 2  # enum virtio_device_endian


class VirtioState(Record):
    """One device's values, and what follows from them."""

    pci: Record
    guest_features_low: int
    guest_features_64 = 0
    device_endian: int | None = None

    @property
    def vectors(self) -> int:
        """The number of interrupt vectors that the device on PCI announces."""
        return announced_vectors(self.pci.config)

    @property
    def msix_size(self) -> int:
        """The size of the vector table and the pending bits in bytes."""
        return table_size(self.vectors)
