"""Guest kernels: their calls at CAS, depending on the support that the machine announces.

Rules of Linux, arch/powerpc/kernel/prom_init.c; other kernels may be declared if they follow them.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.cas.client_architecture import ArchitectureCall, PvrEntry
from vmstate.pseries.tables.option_vectors import Ov5, bits_of_bytes, bytes_of_bits

#: Bytes of vector 5 on which a machine and a guest must agree, and the two bits of 23 and 24 that matter.
XIVE_BYTE, MMU_BYTE, RADIX_BYTE = 23, 24, 26
CHOICE = 0xC0
NOTHING, ONLY_NEW, EITHER, SWITCHABLE = 0x00, 0x40, 0x80, 0xC0
GTSE = 0x40

Support = Mapping[int, int]
"""``ibm,arch-vec-5-platform-support``: the machine's support, by byte of vector 5; empty before 2.10."""


@dataclass(frozen=True)
class GuestKernel:
    """One kernel.  ``vectors`` are its option vectors before it has read the machine's support.

    ``radix``: it can ask for radix translation; ``radix_needs_gtse``: only where tlbie is allowed.
    ``xive``: it can ask for XIVE.  ``switches``: the words of its command line that it knows.
    ``registers``: it registers its areas (for processors and machine checks) with the machine as it boots.
    ``linux``: the version of Linux whose drivers it has; None if they are not known.
    ``answers``: the kinds of connectors whose devices it takes in and releases without the help of programs;
    of others it only reads that they changed.  None if that is not known.
    """

    name: str
    pvrs: tuple[PvrEntry, ...]
    vectors: tuple[bytes, ...]
    radix: bool = False
    radix_needs_gtse: bool = False
    xive: bool = False
    switches: tuple[str, ...] = ()
    registers: bool = True
    linux: Release | None = None
    answers: frozenset[DrcType] | None = None


@dataclass(frozen=True)
class Guest:
    """A kernel with its command line."""

    kernel: GuestKernel
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The guest as typed on a command line."""
        return " ".join((self.kernel.name, *self.words))

    def has_switch(self, switch: str) -> bool:
        """Return True if its command line has a switch that this kernel knows: ``NAME``, or ``NAME=VALUE``.

        ``NAME=on`` and the like mean ``NAME``; ``NAME=off`` and the like mean no switch.
        """
        name, _, wanted = switch.partition("=")
        if name not in self.kernel.switches:
            return False
        if wanted:
            return switch in self.words
        values = (word.partition("=")[2] for word in self.words if word.partition("=")[0] == name)
        return next(values, "off").lower() not in {"0", "n", "no", "off"}

    def call(self, support: Support) -> ArchitectureCall:
        """Return its call to a machine with this support (prom_check_platform_support)."""
        kernel = self.kernel
        asked: set[int] = set()
        gtse = bool(support.get(RADIX_BYTE, 0) & GTSE) and not self.has_switch("radix_hcall_invalidate=on")
        if self._wants_radix(support) and (gtse or not kernel.radix_needs_gtse):
            asked |= {Ov5.MMU_RADIX_300, Ov5.MMU_RADIX_GTSE} if gtse else {Ov5.MMU_RADIX_300}
        if self._wants_xive(support):
            asked.add(Ov5.XIVE_EXPLOIT)
        vectors = list(kernel.vectors)
        if asked:
            vectors[4] = bytes_of_bits(bits_of_bytes(vectors[4]) | asked, len(vectors[4]))
        return ArchitectureCall(kernel.pvrs, tuple(vectors))

    def _wants_radix(self, support: Support) -> bool:
        offered = support.get(MMU_BYTE, NOTHING) & CHOICE
        if not self.kernel.radix or offered == NOTHING:
            return False
        return offered == ONLY_NEW or not self.has_switch("disable_radix")

    def _wants_xive(self, support: Support) -> bool:
        offered = support.get(XIVE_BYTE, NOTHING) & CHOICE
        if not self.kernel.xive:
            return False
        return offered == ONLY_NEW or (offered == EITHER and not self.has_switch("xive=off"))
