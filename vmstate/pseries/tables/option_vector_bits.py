"""What the bits of option vector 5 are called, where PAPR puts them, and what they mean.

LoPAPR B.6.2.3; QEMU include/hw/ppc/spapr_ovec.h; Linux arch/powerpc/include/asm/prom.h.  Bytes count from 1,
bits from 0, the most significant one.  Only names; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bitstring import Bits

from vmstate.pseries.tables.option_vectors import Ov5


@dataclass(frozen=True, slots=True)
class VectorBit:
    """One bit of an option vector: its name, its place, and what a guest says by setting it."""

    name: str
    byte: int
    bit: int
    meaning: str

    @property
    def index(self) -> int:
        """Its place in QEMU's bitmap."""
        return (self.byte - 1) * 8 + self.bit

    @property
    def place(self) -> str:
        """Its place as PAPR says it."""
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
    VectorBit("PRRN", 5, 1, "hears of changed resources while it runs"),
    VectorBit("FORM2_AFFINITY", 5, 2, "associativity lists of form 2, with explicit distances"),
    VectorBit("HP_EVT", 6, 5, "hot-plug events come as an event source of their own"),
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
    """The bit at a place of the bitmap; one that has no name is called after its place."""
    byte, bit = index // 8 + 1, index % 8
    return VECTOR_5.get(index) or VectorBit(f"byte{byte}bit{bit}", byte, bit, "no meaning known")


def bits_of_bytes(data: bytes) -> frozenset[int]:
    """The places of the bits that are set in a vector as a guest passes it (guest_byte_to_bitmap)."""
    return frozenset(Bits.from_bytes(data).findall("0b1"))


def bits_of_bitmap(bitmap: int) -> Iterator[int]:
    """The places of the bits that are set in QEMU's bitmap, lowest first."""
    length = bitmap.bit_length()
    if length:
        yield from sorted(length - 1 - place for place in Bits(uint=bitmap, length=length).findall("0b1"))


def bytes_of_bits(bits: Iterable[int], length: int) -> bytes:
    """The bytes of a vector, as a guest passes them, with these bits set; ``length`` of them at least."""
    data = bytearray(length)
    for index in bits:
        byte, bit = divmod(index, 8)
        data.extend(bytes(max(0, byte + 1 - len(data))))
        data[byte] |= 0x80 >> bit
    return bytes(data)


def bitmap_of(bits: Iterable[int]) -> int:
    """QEMU's bitmap with these bits set."""
    return sum(1 << bit for bit in set(bits))
