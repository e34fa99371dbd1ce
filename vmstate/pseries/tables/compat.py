"""Compatibility modes: the table, the modes of a processor, and the effect of setting one.

Rules of target/ppc/compat.c.  A mode is named by its logical PVR; 0 means raw mode.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import ALWAYS, Release, Span, reached
from vmstate.pseries.tables.cpus import (
    ISA_2_05,
    ISA_2_06,
    ISA_2_07,
    ISA_3_00,
    ISA_3_10,
    TM_DIS,
    VSX_DIS,
    CpuAt,
)

LOGICAL_2_05 = 0x0F000002
LOGICAL_2_06 = 0x0F000003
LOGICAL_2_06_PLUS = 0x0F100003
LOGICAL_2_07 = 0x0F000004
LOGICAL_3_00 = 0x0F000005
LOGICAL_3_10 = 0x0F000006
LOGICAL_3_10_P11 = 0x0F000007

#: Since this release a mode must not be numerically above the processor's own logical PVR.  The check is
#: meant to keep POWER10 from running as POWER11; it also limits power7+ (0x0f100003) to POWER7.
_OWN_PVR_LIMITS_SINCE = "9.2"


@dataclass(frozen=True, slots=True)
class CompatMode:
    """One row of QEMU's ``compat_table``: name, logical PVR, PCR bits, the level that it stands for."""

    name: str
    pvr: int
    pcr: int
    level: int
    max_vthreads: int
    span: Span = ALWAYS


_FROM_3_10 = ISA_3_10
_FROM_3_00 = ISA_3_00 | _FROM_3_10
_FROM_2_07 = ISA_2_07 | _FROM_3_00
_FROM_2_06 = ISA_2_06 | _FROM_2_07
_FROM_2_05 = ISA_2_05 | _FROM_2_06

#: Oldest first: the order decides which modes are between two limits.
COMPAT_MODES: tuple[CompatMode, ...] = (
    CompatMode("power6", LOGICAL_2_05, _FROM_2_05 | TM_DIS | VSX_DIS, ISA_2_05, 2),
    CompatMode("power7", LOGICAL_2_06, _FROM_2_06 | TM_DIS, ISA_2_06, 4),
    CompatMode("power7+", LOGICAL_2_06_PLUS, _FROM_2_06 | TM_DIS, ISA_2_06, 4),
    CompatMode("power8", LOGICAL_2_07, _FROM_2_07, ISA_2_07, 8),
    CompatMode("power9", LOGICAL_3_00, _FROM_3_00, ISA_3_00, 8),
    CompatMode("power10", LOGICAL_3_10, _FROM_3_10, ISA_3_10, 8, Span("5.0")),
    CompatMode("power11", LOGICAL_3_10_P11, _FROM_3_10, ISA_3_10, 8, Span("9.2")),
)


@dataclass(frozen=True)
class CompatTable:
    """The modes that one release knows, with its rules."""

    modes: tuple[CompatMode, ...]
    own_pvr_limits: bool
    index: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {mode.pvr: place for place, mode in enumerate(self.modes)})

    def by_name(self, name: str) -> CompatMode | None:
        """Return the mode of that name (names are compared exactly), or None."""
        return next((mode for mode in self.modes if mode.name == name), None)

    def check(self, cpu: CpuAt, pvr: int, minimum: int = 0, maximum: int = 0) -> bool:
        """Return True if ``cpu`` can run as ``pvr``, between ``minimum`` and ``maximum``.

        ``ppc_check_compat``; the limits are logical PVRs of the table, 0 for none.
        """
        place = self.index.get(pvr)
        if place is None:
            return False
        if (minimum and place < self.index[minimum]) or (maximum and place > self.index[maximum]):
            return False
        if self.own_pvr_limits and pvr > cpu.family.logical_pvr:
            return False
        return bool(cpu.pcr_supported & self.modes[place].level)

    def refusal(self, cpu: CpuAt, pvr: int) -> str | None:
        """Return the message of ``ppc_set_compat`` if ``cpu`` cannot be put in mode ``pvr``, or None."""
        if not pvr:
            return None
        if pvr not in self.index:
            return f"Unknown compatibility PVR 0x{pvr:08x}"
        if not self.check(cpu, pvr):
            return f"Compatibility PVR 0x{pvr:08x} not valid for CPU"
        return None

    def pcr(self, cpu: CpuAt, pvr: int) -> int:
        """Return the PCR of ``cpu`` in mode ``pvr``, which it must be able to run (``ppc_set_compat``)."""
        return self.modes[self.index[pvr]].pcr & cpu.family.pcr_mask if pvr else 0


def compat_table(modes: Sequence[CompatMode], release: Release) -> CompatTable:
    """Return the table of ``release``, out of all ``modes``."""
    known = tuple(mode for mode in modes if mode.span.covers(release))
    return CompatTable(known, reached(_OWN_PVR_LIMITS_SINCE, release))
