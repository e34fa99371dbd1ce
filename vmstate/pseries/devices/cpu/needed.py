"""The conditions under which parts of ``cpu`` are sent (target/ppc/machine.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe.history import Points

if TYPE_CHECKING:
    from vmstate.pseries.devices.cpu.cpu import Cpu

MSR_TS = 3 << 33  # the two bits that hold the state of a transaction

#: The property behind ``cpu/rtas_stopped``; machine types up to 10.0 clear it.
RTAS_STOPPED_SINCE: Points = ("10.2.1", "11.0")


def fpu(cpu: Cpu) -> bool:
    """Always: every pseries processor has floating point."""
    return True


def altivec(cpu: Cpu) -> bool:
    """The processor has AltiVec (PPC_ALTIVEC): all but POWER5+."""
    return bool(cpu.model.family.altivec)


def vsx(cpu: Cpu) -> bool:
    """The processor has VSX (PPC2_VSX): POWER7 and later, whatever cap-vsx is."""
    return bool(cpu.model.family.vsx)


def segment_registers(cpu: Cpu) -> bool:
    """Never: every pseries processor has a 64-bit hash MMU instead."""
    return False


def slb(cpu: Cpu) -> bool:
    """Always: every pseries processor has a 64-bit hash MMU."""
    return True


def software_tlb(cpu: Cpu) -> bool:
    """Never: no pseries processor has a software-managed TLB."""
    return False


def transaction(cpu: Cpu) -> bool:
    """A transaction is running: MSR[TS] is not zero."""
    return bool(cpu.msr & MSR_TS)


def bhrb(cpu: Cpu) -> bool:
    """The processor has a branch history buffer (POWERPC_FLAG_BHRB): POWER10 and POWER11."""
    return bool(cpu.model.family.bhrb)


def compat(cpu: Cpu) -> bool:
    """A compat mode is set, and the machine type may send it (2.10 and later)."""
    return not cpu.machine.flags.cpu_pre_2_10_migration and cpu.compat_pvr != 0


def reservation(cpu: Cpu) -> bool:
    """QEMU records or replays an execution, which is not modelled."""
    return False


def rtas_stopped(cpu: Cpu) -> bool:
    """The property ``rtas-stopped-state`` is on: machine types after 10.0."""
    return bool(cpu.machine.flags.rtas_stopped_state)


def pre_2_8_migration(cpu: Cpu, version_id: int) -> bool:
    """The property ``pre-2.8-migration`` of processors is on: machine types up to 2.7."""
    return bool(cpu.machine.flags.cpu_pre_2_8_migration)


def pre_3_0_migration(cpu: Cpu, version_id: int) -> bool:
    """The property ``pre-3.0-migration`` of processors is on: machine types up to 2.12."""
    return bool(cpu.machine.flags.cpu_pre_3_0_migration)
