"""A guest's call of ``ibm,client-architecture-support`` (CAS) as data: its processors and its options.

In memory: pairs of PVR mask and PVR, the last of which has bits outside its mask; then the number of option
vectors less one; then each vector, after its length less one (LoPAPR B.6.2.3, hw/ppc/spapr_ovec.c).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError
from vmstate.pseries.tables.option_vectors import bits_of_bytes

_ALL = 0xFFFFFFFF
_MOST_PVRS = 512  # then cas_check_pvr gives up


class PvrEntry(NamedTuple):
    """Processors that a guest can run on: those whose PVR under ``mask`` is ``value``.

    A ``value`` with bits outside of ``mask`` ends the table, and is never matched.
    """

    mask: int
    value: int

    @property
    def ends(self) -> bool:
        """True if this is the end of the table."""
        return bool(~self.mask & self.value & _ALL)

    def matches(self, pvr: int) -> bool:
        """Return True if the entry matches a processor with this PVR."""
        return pvr & self.mask == self.value & self.mask


@dataclass(frozen=True)
class ArchitectureCall:
    """The data that a guest passes: its PVR table with the end, and option vectors, numbered from 1."""

    pvrs: tuple[PvrEntry, ...]
    vectors: tuple[bytes, ...]

    def vector(self, number: int) -> frozenset[int] | None:
        """Return the bits of an option vector, by their places in QEMU's bitmap; None if it is missing."""
        if not 1 <= number <= len(self.vectors):
            return None
        return bits_of_bytes(self.vectors[number - 1])

    def tobytes(self) -> bytes:
        """Return the structure as it is in the guest's memory."""
        parts = [struct.pack(">II", entry.mask, entry.value) for entry in self.pvrs]
        parts.append(bytes([len(self.vectors) - 1]))
        for vector in self.vectors:
            parts += [bytes([len(vector) - 1]), vector]
        return b"".join(parts)

    @staticmethod
    def parse(data: bytes) -> ArchitectureCall:
        """Read the structure; bytes that follow it are ignored.

        Raises ConfigurationError if ``data`` ends inside the table or the vectors.
        """
        pvrs: list[PvrEntry] = []
        try:
            while len(pvrs) < _MOST_PVRS and not (pvrs and pvrs[-1].ends):
                pvrs.append(PvrEntry(*struct.unpack_from(">II", data, 8 * len(pvrs))))
            at = 8 * len(pvrs)
            count = data[at] + 1
            at += 1
            vectors = []
            for _ in range(count):
                length = data[at] + 1
                vectors.append(_exactly(data[at + 1 : at + 1 + length], length))
                at += 1 + length
        except (struct.error, IndexError):
            raise ConfigurationError(f"CAS structure is cut off after {len(data)} bytes") from None
        return ArchitectureCall(tuple(pvrs), tuple(vectors))


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) < length:
        raise IndexError
    return bytes(data)
