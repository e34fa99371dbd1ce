"""Option vector 5, with which a machine and a guest negotiate at client-architecture-support (CAS).

Bits by name, place and meaning: LoPAPR B.6.2.3; QEMU include/hw/ppc/spapr_ovec.h; Linux
arch/powerpc/include/asm/prom.h.  PAPR counts bytes from 1, and bits from 0, the most significant one.  A
bit's place in QEMU's bitmap is (byte - 1) * 8 + bit.  On the wire (``spapr_option_vector_ov5_cas``) the 2048
bits are 32 big-endian words of 64, each with its lowest bit first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from vmstate.dataclass import dataclass

#: Bits of one option vector (OV_MAXBITS), and bytes on the wire.
BITS = 256 * 8
WIRE_BYTES = BITS // 8
_WORDS = struct.Struct(f">{BITS // 64}Q")


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


@dataclass(frozen=True, slots=True)
class VectorBit:
    """One bit of an option vector: its name, its place, and its meaning when a guest sets it."""

    name: str
    byte: int
    bit: int
    meaning: str

    @property
    def index(self) -> int:
        """The bit's place in QEMU's bitmap."""
        return (self.byte - 1) * 8 + self.bit

    @property
    def place(self) -> str:
        """The bit's place in PAPR's words."""
        return f"byte {self.byte}, bit {self.bit}"


_BITS = (
    VectorBit("LPAR", 2, 0, "runs in a logical partition"),
    VectorBit("SPLPAR", 2, 1, "may share processors with other partitions"),
    VectorBit("DRCONF_MEMORY", 2, 2, "takes memory from ibm,dynamic-reconfiguration-memory"),
    VectorBit("LARGE_PAGES", 2, 3, "can use large pages"),
    VectorBit("DONATE_DEDICATE_CPU", 2, 6, "can give away time of a dedicated processor"),
    VectorBit("MSI", 2, 7, "message-signalled interrupts, PCI Express"),
    VectorBit("CMO", 4, 0, "cooperative memory overcommitment"),
    VectorBit("XCMO", 4, 1, "extended cooperative memory overcommitment"),
    VectorBit("FORM1_AFFINITY", 5, 0, "associativity lists of form 1"),
    VectorBit("PRRN", 5, 1, "is notified of changed resources while it runs"),
    VectorBit("FORM2_AFFINITY", 5, 2, "associativity lists of form 2, with explicit distances"),
    VectorBit("HP_EVT", 6, 5, "hot-plug events have a separate event source"),
    VectorBit("HPT_RESIZE", 6, 7, "can resize its hash page table"),
    VectorBit("PFO_HW_RNG", 17, 0, "platform facility: random numbers"),
    VectorBit("PFO_HW_842", 17, 1, "platform facility: 842 compression"),
    VectorBit("PFO_HW_ENCR", 17, 2, "platform facility: encryption"),
    VectorBit("SUB_PROCESSORS", 21, 7, "knows sub-processors"),
    VectorBit("DRMEM_V2", 22, 0, "reads ibm,dynamic-memory-v2, a row for many blocks"),
    VectorBit("DRC_INFO", 22, 1, "reads ibm,drc-info"),
    VectorBit("XIVE_BOTH", 23, 0, "interrupts: XICS or XIVE (a platform offers it; a guest must choose)"),
    VectorBit("XIVE_EXPLOIT", 23, 1, "interrupts: XIVE, used directly; without this bit XICS"),
    VectorBit("MMU_BOTH", 24, 0, "translation: hash or radix (a platform offers it; a guest must choose)"),
    VectorBit("MMU_RADIX_300", 24, 1, "translation: radix of ISA 3.00; without this bit hash"),
    VectorBit("HASH_SEG_TBL", 25, 0, "hash translation with segment tables"),
    VectorBit("HASH_GTSE", 25, 1, "hash translation: the guest may use tlbie"),
    VectorBit("MMU_RADIX_GTSE", 26, 1, "radix translation: the guest may use tlbie (GTSE)"),
)

#: The named bits of option vector 5, by their place in QEMU's bitmap.
VECTOR_5: dict[int, VectorBit] = {bit.index: bit for bit in _BITS}
assert all(VECTOR_5[bit.value].name == bit.name for bit in Ov5)


def vector_bit(index: int) -> VectorBit:
    """Return the bit at a place of the bitmap; one without a name is named after its place."""
    byte, bit = index // 8 + 1, index % 8
    return VECTOR_5.get(index) or VectorBit(f"byte{byte}bit{bit}", byte, bit, "no meaning known")


def bits_of_bytes(data: bytes) -> frozenset[int]:
    """Return the places of the bits that are set in a guest's vector (guest_byte_to_bitmap)."""
    return frozenset(
        8 * byte + bit for byte, value in enumerate(data) for bit in range(8) if value & 0x80 >> bit
    )


def bits_of_bitmap(bitmap: int) -> Iterator[int]:
    """Return the places of the bits that are set in QEMU's bitmap, lowest first."""
    return (place for place in range(bitmap.bit_length()) if bitmap >> place & 1)


def bytes_of_bits(bits: Iterable[int], length: int) -> bytes:
    """Return a guest's vector of at least ``length`` bytes with these bits set."""
    data = bytearray(length)
    for index in bits:
        byte, bit = divmod(index, 8)
        data.extend(bytes(max(0, byte + 1 - len(data))))
        data[byte] |= 0x80 >> bit
    return bytes(data)


def bitmap_of(bits: Iterable[int]) -> int:
    """Return QEMU's bitmap with these bits set."""
    return sum(1 << bit for bit in set(bits))


def to_wire(bits: Iterable[int]) -> bytes:
    """Return the 256 bytes of a vector with these bits set (migration/vmstate-types.c put_bitmap)."""
    bitmap = bitmap_of(bits)
    return _WORDS.pack(*(bitmap >> 64 * word & (1 << 64) - 1 for word in range(BITS // 64)))


def from_wire(data: bytes) -> frozenset[int]:
    """Return the bits that are set in the 256 bytes of a vector."""
    return frozenset(bits_of_bitmap(sum(word << 64 * at for at, word in enumerate(_WORDS.unpack(data)))))
