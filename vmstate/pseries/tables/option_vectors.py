"""Option vector 5: what a machine offers a guest at client-architecture-support (CAS).

Bits of include/hw/ppc/spapr_ovec.h by their place in QEMU's bitmap: (byte - 1) * 8 + bit.  On the wire
(``spapr_option_vector_ov5_cas``) the 2048 bits are 32 big-endian words of 64, each with its lowest bit first.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from bitstring import BitArray

#: Bits of one option vector (OV_MAXBITS), and bytes on the wire.
BITS = 256 * 8
WIRE_BYTES = BITS // 8


class Ov5(IntEnum):
    """A bit of option vector 5 by its place in the bitmap."""

    DRCONF_MEMORY = 10
    FORM1_AFFINITY = 32
    FORM2_AFFINITY = 34
    HP_EVT = 45
    HPT_RESIZE = 47
    DRMEM_V2 = 168
    XIVE_BOTH = 176
    XIVE_EXPLOIT = 177
    MMU_BOTH = 184
    MMU_RADIX_300 = 185
    MMU_RADIX_GTSE = 201


def to_wire(bits: Iterable[int]) -> bytes:
    """The 256 bytes of a vector with these bits set (migration/vmstate-types.c put_bitmap)."""
    vector = BitArray.from_bytes(bytes(WIRE_BYTES))
    for bit in bits:
        word, place = divmod(bit, 64)
        vector.set(True, word * 64 + 63 - place)
    return vector.tobytes()


def from_wire(data: bytes) -> frozenset[int]:
    """The bits that are set in the 256 bytes of a vector."""
    vector = BitArray.from_bytes(data)
    places = vector.findall("0b1")
    return frozenset(place // 64 * 64 + 63 - place % 64 for place in places)
