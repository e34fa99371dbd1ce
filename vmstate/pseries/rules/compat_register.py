"""When QEMU tells KVM of a compat mode, and what becomes of it (target/ppc/compat.c ``ppc_set_compat``).

The register is KVM_REG_PPC_ARCH_COMPAT, one of each vcpu, written by an ioctl.  KVM HV runs the guest in
that mode; KVM PR has no handler, so that the ioctl fails.
"""

from __future__ import annotations

from typing import Protocol, cast

from vmstate.describe import WireArray
from vmstate.describe.history import History
from vmstate.pseries.machine import CompatRegister, Machine
from vmstate.pseries.tables.cpus import CpuAt

#: What goes into the register when the mode changes: at first the old mode, by mistake.
_WRITES_OLD = History(False, ("2.10", True), (("2.10.2", "2.11"), False))
#: 2.9 stored the mode before it told KVM, so that a failure left it stored.
_STORED_FIRST = History(True, ("2.10", False))
KVM_REFUSES = "Unable to set CPU compatibility mode in KVM: Invalid argument"


def arch_compat(machine: Machine, old: int, new: int) -> int | None:
    """The value that is written to ``KVM_REG_PPC_ARCH_COMPAT`` as the mode goes from ``old`` to ``new``.

    None where there is no ioctl: modes are logical PVRs, 0 for none.  2.9 has no test of its own, but calls
    this only to set a mode that was not set before, or another than that which was (``spapr_cpu_init``,
    ``h_client_architecture_support``).
    """
    if old == new:
        return None
    return old if _WRITES_OLD.at(machine.release) else new


class Processor(Protocol):
    """A processor as its device has it."""

    machine: Machine
    model: CpuAt
    compat_pvr: int
    spr: WireArray


def new_register(machine: Machine) -> CompatRegister:
    """As it is before QEMU has written to it."""
    return CompatRegister(mode=None if machine.host is None else 0)


def tell_kvm(machine: Machine, register: CompatRegister, old: int, new: int) -> str | None:
    """Tell KVM, if QEMU does, that the mode goes from ``old`` to ``new``; the error, None without one."""
    if machine.host is None:
        return None
    value = machine.rules.arch_compat(machine, old, new)
    if value is None or register.write(machine.host.compat_register, value):
        return None
    return KVM_REFUSES


def set_compat(cpu: Processor, pvr: int, old: int | None = None) -> str | None:
    """``ppc_set_compat``: put a processor of an instance in a mode, 0 for none; the error, None without one.

    ``old``: the mode that QEMU takes it to be in, if not that which is stored.  An error leaves it as it is.
    """
    machine = cpu.machine
    refusal: str | None = machine.compat_table.refusal(cpu.model, pvr)
    if refusal is not None:
        return refusal
    if _STORED_FIRST.at(machine.release):
        refusal = tell_kvm(machine, machine.kvm_compat, cpu.compat_pvr, pvr)
        store_compat(cpu, pvr)
        return refusal
    refusal = tell_kvm(machine, machine.kvm_compat, cpu.compat_pvr if old is None else old, pvr)
    if refusal is None:
        store_compat(cpu, pvr)
    return refusal


def store_compat(cpu: Processor, pvr: int) -> None:
    """The mode and the PCR that goes with it."""
    cpu.compat_pvr = pvr
    cpu.spr[SPR_PCR] = cpu.machine.compat_table.pcr(cpu.model, pvr)


SPR_PCR = 338


def set_compat_all(machine: Machine, pvr: int) -> str | None:
    """``ppc_set_compat_all``: every processor in turn; the first error ends it.

    A guest's client-architecture-support call prints an error and returns H_HARDWARE; a reset ends QEMU.
    """
    for cpu in processors(machine):
        refusal = set_compat(cpu, pvr)
        if refusal is not None:
            return refusal
    return None


def negotiate_compat(machine: Machine, pvr: int) -> str | None:
    """What CAS does with the mode that was agreed on: nothing if it is the one that is set already."""
    boot = next(iter(processors(machine)))
    return None if boot.compat_pvr == pvr else set_compat_all(machine, pvr)


def processors(machine: Machine) -> list[Processor]:
    """Return the processors of a running machine, in order."""
    return [cast(Processor, entry.device) for entry in machine.entries if entry.device.idstr == "cpu"]
