"""Processors: families, models, and the PVRs that a release accepts for each.

Families have the values of QEMU's class (target/ppc/cpu_init.c), models their PVR (target/ppc/cpu-models.c).
"""

from __future__ import annotations

from collections.abc import Callable

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Release, Span, at

# Bits of the PCR (Processor Compatibility Register): facilities switched off, and ISA levels.
VEC_DIS = 1 << 63
VSX_DIS = 1 << 62
TM_DIS = 1 << 61
ISA_2_05 = 1 << 1
ISA_2_06 = 1 << 2
ISA_2_07 = 1 << 3
ISA_3_00 = 1 << 4
ISA_3_10 = 1 << 5

#: SPR 287, the processor version register (target/ppc/cpu.h).
SPR_PVR = 287
#: PATE1_GR: the guest translates by radix trees, and has no hash table (target/ppc/mmu-book3s-v3.h).
PATE1_GR = 1 << 63

# Parts of a server processor's PVR.
FAMILY_MASK = 0xFFFF0000
MAJOR_MASK = 0x00000F00
MINOR_MASK = 0x0000000F

#: A class hook: (PVR of the class, another PVR) -> True if the other PVR belongs to the class.
PvrRule = Callable[[int, int], bool]


def same_pvr(own: int, pvr: int) -> bool:
    """Return True for exactly the class's own PVR (the default hook)."""
    return own == pvr


def same_base(own: int, pvr: int) -> bool:
    """Return True if the upper halves are equal: the best-match rule of POWER7 and POWER8."""
    return pvr & FAMILY_MASK == own & FAMILY_MASK


def same_major(own: int, pvr: int) -> bool:
    """Return True if base and major DD level are equal: the rule of POWER9 (to 8.0), POWER10, POWER11."""
    return same_base(own, pvr) and pvr & MAJOR_MASK == own & MAJOR_MASK


def same_dd2(own: int, pvr: int) -> bool:
    """Return True by the rule of POWER9 from 8.1 on: DD2.0 and DD2.1 are v2.0, DD2.2 and DD2.3 are v2.2."""
    if not same_major(own, pvr) or pvr & MAJOR_MASK != 0x200:
        return False
    return own & MINOR_MASK == (0 if pvr & MINOR_MASK < 2 else 2)


def among(*bases: int) -> PvrRule:
    """Return the rule before 7.2: any PVR of the family matches, whatever the class."""

    def rule(own: int, pvr: int) -> bool:
        del own
        return pvr & FAMILY_MASK in bases

    return rule


@dataclass(frozen=True)
class CpuFamily:
    """The values that all models of a family share.

    ``pcr_mask`` and ``pcr_supported`` are the class's bits of the PCR; ``logical_pvr`` its own mode (9.2 on).
    ``isa`` is the newest ISA (2.07 as 207) that the instruction flags announce.  ``mmu`` is QEMU's MMU model.
    """

    name: str
    isa: int
    mmu: str
    bus: str
    pcr_mask: int = 0
    pcr_supported: int | History[int] = 0
    logical_pvr: int = 0
    pvr_match: PvrRule | History[PvrRule] = same_pvr
    altivec: bool = True
    vsx: bool = False
    dfp: bool = False
    bhrb: bool = False
    decrementer_bits: int = 32
    slb_entries: int = 32


@dataclass(frozen=True)
class CpuModel:
    """A processor that a pseries machine accepts.

    ``name`` is QEMU's since 2.11 (lower case); ``old_name`` the spelling that 2.9 and 2.10 require.
    ``aliases`` maps a short name to the releases in which it means this model; ``deprecated`` is the reason
    in a release's warning that the model will be removed.
    """

    name: str | History[str]
    family: str
    pvr: int | History[int]
    old_name: str
    aliases: tuple[tuple[str, Span], ...] = ()
    span: Span = ALWAYS
    deprecated: str | History[str] = ""


@dataclass(frozen=True)
class CpuAt:
    """A model as one release has it: histories resolved, with the values of its family."""

    name: str
    pvr: int
    family: CpuFamily
    pvr_match: PvrRule
    pcr_supported: int
    old_name: str
    aliases: tuple[str, ...]
    deprecated: str = ""

    @property
    def type_name(self) -> str:
        """The QOM type: ``power9_v2.0-powerpc64-cpu``."""
        return f"{self.name}-powerpc64-cpu"

    def matches(self, pvr: int) -> bool:
        """Return True if a PVR is this processor's own or a relative's (target/ppc/machine.c pvr_match)."""
        return pvr == self.pvr or self.pvr_match(self.pvr, pvr)


def cpu_at(model: CpuModel, family: CpuFamily, release: Release) -> CpuAt:
    """Return ``model`` as ``release`` has it."""
    return CpuAt(
        name=at(model.name, release),
        pvr=at(model.pvr, release),
        family=family,
        pvr_match=at(family.pvr_match, release),
        pcr_supported=at(family.pcr_supported, release),
        old_name=model.old_name,
        aliases=tuple(alias for alias, span in model.aliases if span.covers(release)),
        deprecated=at(model.deprecated, release),
    )
