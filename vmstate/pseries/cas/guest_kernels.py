"""Guest kernels: what each tells the machine at CAS, depending on what the machine says that it supports.

Rules of Linux, arch/powerpc/kernel/prom_init.c; others may be declared as far as they are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vmstate.pseries.cas.client_architecture import ArchitectureCall, PvrEntry
from vmstate.pseries.tables.option_vectors import Ov5, bits_of_bytes, bytes_of_bits

#: Bytes of vector 5 on which a machine and a guest must agree, and the two bits of 23 and 24 that matter.
XIVE_BYTE, MMU_BYTE, RADIX_BYTE = 23, 24, 26
CHOICE = 0xC0
NOTHING, ONLY_NEW, EITHER, SWITCHABLE = 0x00, 0x40, 0x80, 0xC0
GTSE = 0x40

Support = Mapping[int, int]
"""``ibm,arch-vec-5-platform-support``: what the machine supports, by byte of vector 5; empty before 2.10."""


@dataclass(frozen=True)
class GuestKernel:
    """One kernel.  ``vectors`` are its option vectors before it has looked at what the machine supports.

    ``radix``: it can ask for radix translation; ``radix_needs_gtse``: only where tlbie is allowed.
    ``xive``: it can ask for XIVE.  ``switches``: the words of its command line that it knows of.
    ``registers``: it registers its areas (processors', machine checks') with the machine as it boots.
    """

    name: str
    pvrs: tuple[PvrEntry, ...]
    vectors: tuple[bytes, ...]
    radix: bool = False
    radix_needs_gtse: bool = False
    xive: bool = False
    switches: tuple[str, ...] = ()
    registers: bool = True


@dataclass(frozen=True)
class Guest:
    """A kernel with its command line."""

    kernel: GuestKernel
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As a person types it."""
        return " ".join((self.kernel.name, *self.words))

    def says(self, switch: str) -> bool:
        """Whether its command line has a switch that this kernel knows; ``NAME`` may be given a yes or no."""
        name, _, wanted = switch.partition("=")
        if name not in self.kernel.switches:
            return False
        if wanted:
            return switch in self.words
        values = (word.partition("=")[2] for word in self.words if word.partition("=")[0] == name)
        return next(values, "off").lower() not in {"0", "n", "no", "off"}

    def call(self, support: Support) -> ArchitectureCall:
        """What it passes to a machine that supports this (prom_check_platform_support)."""
        kernel = self.kernel
        asked: set[int] = set()
        gtse = bool(support.get(RADIX_BYTE, 0) & GTSE) and not self.says("radix_hcall_invalidate=on")
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
        return offered == ONLY_NEW or not self.says("disable_radix")

    def _wants_xive(self, support: Support) -> bool:
        offered = support.get(XIVE_BYTE, NOTHING) & CHOICE
        if not self.kernel.xive:
            return False
        return offered == ONLY_NEW or (offered == EITHER and not self.says("xive=off"))
