"""The fate of a guest under KVM after a boot or a migration: it runs, runs in another mode, or crashes.

Kernels and hardware decide this, not QEMU: a guest may crash after a migration that QEMU accepted.  Derived
from Linux (arch/powerpc: prom_init.c, mm/init_64.c, platforms/pseries/setup.c, kvm/book3s_hv_nested.c) and
from the threads; never run on KVM.
"""

from __future__ import annotations

from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.rules.client_architecture import offers_radix
from vmstate.pseries.rules.compat_register import processors
from vmstate.pseries.tables.cpus import PATE1_GR
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.simulate.instance import Instance

RUNS = "runs"
WITHOUT_CAS = "runs, but its CAS call failed"
ON_HASH = "runs with a hash table, though it could use radix"
NO_INVALIDATION = "panics: Radix support requires either GTSE or RPT_INVALIDATE"
NOT_RADIX = "crashes: it has a hash table, but QEMU configures KVM for radix"
TLBIE = "crashes: it uses tlbie, which is privileged where the LPCR has GTSE off"


def guest_after(source: Instance | None, destination: Instance) -> str:
    """Return the fate of a guest that booted on ``source`` and is now on ``destination`` (or the same)."""
    if destination.ended:
        return f"is gone: QEMU exits: {destination.machine.printed[-1]}"
    booted = source.negotiated if source is not None else None
    if booted is not None and booted.ended:
        return f"is gone: QEMU exits: {booted.messages[-1]}"
    translation = _translation(source if source is not None else destination, destination)
    return translation or _lost(source, destination) or _mode(destination)


def _translation(source: Instance, destination: Instance) -> str | None:
    """Return how a radix guest fails to invalidate translations, by tlbie or H_RPT_INVALIDATE, or None.

    The guest chooses one of the two as it boots, by the options that it negotiated then.
    """
    spapr = next(destination.machine.registered(Spapr))
    booted = source.negotiated
    if booted is None or not spapr.patb_entry & PATE1_GR:
        return None
    if booted.mmu == "hash":
        return NOT_RADIX
    host = destination.machine.host
    if not spapr.ov5_cas.bitmap >> Ov5.MMU_RADIX_GTSE & 1:
        return None if source.machine.level("rpt-invalidate") else NO_INVALIDATION
    # A KVM that itself runs in a guest cannot give its guests a GTSE that differs from its own.
    return TLBIE if host is not None and host.level and not host.lpcr_gtse else None


def _lost(source: Instance | None, destination: Instance) -> str | None:
    """Return the outcome if the negotiated mode was lost, or None: before 2.10 streams did not have it."""
    if source is None or source.guest is None:
        return None
    mode = int(processors(source.machine)[0].compat_pvr)
    if not mode or processors(destination.machine)[0].compat_pvr:
        return None
    return f"runs without its compat mode {_name(source, mode)}: the stream does not have it"


def _mode(destination: Instance) -> str:
    """Return how the guest runs: KVM may not run it in the mode that QEMU assumes."""
    real = destination.machine.kvm_compat.mode
    wanted = int(processors(destination.machine)[0].compat_pvr)
    if real is None or real == wanted:
        return _as_booted(destination)
    if not real:
        return f"runs without its compat mode {_name(destination, wanted)}: {_why(destination)}"
    if not wanted:
        return f"runs in compat mode {_name(destination, real)}, which QEMU assumes to be off"
    return f"runs in compat mode {_name(destination, real)} instead of {_name(destination, wanted)}"


def _as_booted(instance: Instance) -> str:
    booted = instance.negotiated
    if booted is None or instance.guest is None:
        return RUNS
    if booted.refused:
        return WITHOUT_CAS
    able = instance.guest.kernel.radix and offers_radix(instance.machine)
    return ON_HASH if able and booted.mmu == "hash" else RUNS


def _why(destination: Instance) -> str:
    host, written = destination.machine.host, destination.machine.kvm_compat.written
    if host is not None and host.compat_register == "ignored":
        return "KVM ignores the register"
    if not written:
        return "QEMU did not set it in KVM"
    return "KVM refused it" if written[-1].failed else "QEMU set another in KVM"


def _name(instance: Instance, pvr: int) -> str:
    return str(instance.machine.compat_table.modes[instance.machine.compat_table.index[pvr]].name)
