"""Setting a compat mode, in QEMU and in KVM (target/ppc/compat.c ``ppc_set_compat``).

Each vcpu has a register KVM_REG_PPC_ARCH_COMPAT, which an ioctl writes.  KVM HV runs the guest in that mode;
KVM PR has no handler, so the ioctl fails.
"""

from __future__ import annotations

from typing import Protocol, cast

from vmstate.describe import WireArray
from vmstate.describe.history import History
from vmstate.pseries.machine import CompatRegister, Machine
from vmstate.pseries.tables.cpus import CpuAt

#: True if a change of the mode writes the old mode to the register, by mistake.
_WRITES_OLD = History(False, ("2.10", True), (("2.10.2", "2.11"), False))
#: 2.9 stored the mode before it called KVM, so a failure left it stored.
_STORED_FIRST = History(True, ("2.10", False))
KVM_REFUSES = "Unable to set CPU compatibility mode in KVM: Invalid argument"


def arch_compat(machine: Machine, old: int, new: int) -> int | None:
    """Return the value for ``KVM_REG_PPC_ARCH_COMPAT`` when the mode changes from ``old`` to ``new``.

    None: there is no ioctl.  Modes are logical PVRs, 0 for none.  2.9 does not compare the two itself, but
    sets a mode only if it differs from the previous one (``spapr_cpu_init``,
    ``h_client_architecture_support``).
    """
    if old == new:
        return None
    return old if _WRITES_OLD.at(machine.release) else new


class Processor(Protocol):
    """The parts of a processor's device that these rules use."""

    machine: Machine
    model: CpuAt
    compat_pvr: int
    spr: WireArray


def new_register(machine: Machine) -> CompatRegister:
    """Return the register as it is before QEMU has written to it."""
    return CompatRegister(mode=None if machine.host is None else 0)


def write_register(machine: Machine, register: CompatRegister, old: int, new: int) -> str | None:
    """Change the mode from ``old`` to ``new`` in KVM, if QEMU does so; return the error, or None."""
    if machine.host is None:
        return None
    value = machine.rules.arch_compat(machine, old, new)
    if value is None or register.write(machine.host.compat_register, value, too_new=_too_new(machine, value)):
        return None
    return KVM_REFUSES


def _too_new(machine: Machine, value: int) -> bool:
    """Return True for a mode newer than the host's own (the kernel's ``kvmppc_set_arch_compat``)."""
    limit = machine.host.compat_limit if machine.host is not None else ""
    modes = machine.compat_table
    newest = modes.by_name(limit) if limit else None
    return newest is not None and modes.index[value] > modes.index[newest.pvr]


def set_compat(cpu: Processor, pvr: int, old: int | None = None) -> str | None:
    """Put a processor in a mode, 0 for none; return the error, or None (``ppc_set_compat``).

    ``old``: the mode that QEMU assumes it to be in, if not the stored one.  On an error the mode is
    unchanged, except in 2.9.
    """
    machine = cpu.machine
    refusal: str | None = machine.compat_table.refusal(cpu.model, pvr)
    if refusal is not None:
        return refusal
    if _STORED_FIRST.at(machine.release):
        refusal = write_register(machine, machine.kvm_compat, cpu.compat_pvr, pvr)
        store_compat(cpu, pvr)
        return refusal
    refusal = write_register(machine, machine.kvm_compat, cpu.compat_pvr if old is None else old, pvr)
    if refusal is None:
        store_compat(cpu, pvr)
    return refusal


def store_compat(cpu: Processor, pvr: int) -> None:
    """Store a mode and its PCR."""
    cpu.compat_pvr = pvr
    cpu.spr[SPR_PCR] = cpu.machine.compat_table.pcr(cpu.model, pvr)


SPR_PCR = 338


def set_compat_all(machine: Machine, pvr: int) -> str | None:
    """Put every processor in a mode, in order; stop at the first error (``ppc_set_compat_all``).

    A guest's client-architecture-support call prints the error and returns H_HARDWARE; a reset ends QEMU.
    """
    for cpu in processors(machine):
        refusal = set_compat(cpu, pvr)
        if refusal is not None:
            return refusal
    return None


def negotiate_compat(machine: Machine, pvr: int) -> str | None:
    """Set the mode that was agreed on at CAS; do nothing if it is already set."""
    boot = next(iter(processors(machine)))
    return None if boot.compat_pvr == pvr else set_compat_all(machine, pvr)


def processors(machine: Machine) -> list[Processor]:
    """Return the processors of a running machine, in order."""
    return [cast(Processor, entry.device) for entry in machine.entries if entry.device.idstr == "cpu"]
