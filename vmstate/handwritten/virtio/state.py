"""The state that a virtio device's bytes are read into."""

from __future__ import annotations

from vmstate.handwritten.msix import Card

VERSION_1 = 1 << 32
#: Later than any release: descriptions are as the newest one has them.
NEWEST = "999.0"
LITTLE_ENDIAN, BIG_ENDIAN = 1, 2  # enum virtio_device_endian


class VirtioState(Card):
    """One device's values, and what follows from them."""

    guest_features_low: int
    guest_features_64 = 0
    device_endian: int | None = None
