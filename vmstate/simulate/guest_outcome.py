"""What becomes of a guest on the KVM that it runs on: whether it goes on, in another mode, or not at all.

This is about kernels and hardware, not about QEMU: a guest may crash after a migration that QEMU accepted.
Read in Linux (arch/powerpc: prom_init.c, mm/init_64.c, platforms/pseries/setup.c, kvm/book3s_hv_nested.c)
and in the threads; never run on KVM.
"""

from __future__ import annotations

from vmstate.pseries.cas.guests import guest
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.rules.board import PATE1_GR
from vmstate.pseries.rules.client_architecture import offers_radix
from vmstate.pseries.rules.compat_register import processors
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.simulate.instance import Instance

RUNS = "runs"
WITHOUT_CAS = "runs, but its CAS call failed"
ON_HASH = "runs with a hash table, though it could have radix"
NO_INVALIDATION = "panics: Radix support requires either GTSE or RPT_INVALIDATE"
NOT_RADIX = "crashes: it has a hash table, and KVM is told that it is radix"
TLBIE = "crashes: it uses tlbie, which is privileged where the LPCR has GTSE off"


def guest_after(source: Instance | None, destination: Instance) -> str:
    """What becomes of the guest that booted on ``source`` and now is on ``destination`` (maybe the same)."""
    if destination.ended:
        return f"is gone: QEMU exits: {destination.machine.printed[-1]}"
    booted = source.negotiated if source is not None else None
    if booted is not None and booted.ended:
        return f"is gone: QEMU exits: {booted.messages[-1]}"
    translation = _translation(source if source is not None else destination, destination)
    return translation or _lost(source, destination) or _mode(destination)


def _translation(source: Instance, destination: Instance) -> str | None:
    """Whether a radix guest's way to invalidate translations works: by tlbie, or by H_RPT_INVALIDATE.

    Which of them it takes it decides as it boots, by what was negotiated then.
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
    # A KVM that itself runs in a guest cannot give its guests another GTSE than it has.
    return TLBIE if host is not None and host.level and not host.lpcr_gtse else None


def _lost(source: Instance | None, destination: Instance) -> str | None:
    """Whether the mode that was negotiated did not arrive: before 2.10 it was not in the stream."""
    if source is None or source.guest is None:
        return None
    mode = int(processors(source.machine)[0].compat_pvr)
    if not mode or processors(destination.machine)[0].compat_pvr:
        return None
    return f"runs without its compat mode {_name(source, mode)}: the destination was not told"


def _mode(destination: Instance) -> str:
    """Whether KVM runs the guest in the mode that QEMU takes it to be in."""
    real = destination.machine.kvm_compat.mode
    wanted = int(processors(destination.machine)[0].compat_pvr)
    if real is None or real == wanted:
        return _as_booted(destination)
    if not real:
        return f"runs without its compat mode {_name(destination, wanted)}: {_why(destination)}"
    if not wanted:
        return f"runs in compat mode {_name(destination, real)}, which QEMU takes to be off"
    return f"runs in compat mode {_name(destination, real)} instead of {_name(destination, wanted)}"


def _as_booted(instance: Instance) -> str:
    booted = instance.negotiated
    if booted is None or instance.guest is None:
        return RUNS
    if booted.refused:
        return WITHOUT_CAS
    able = guest(instance.guest).kernel.radix and offers_radix(instance.machine)
    return ON_HASH if able and booted.mmu == "hash" else RUNS


def _why(destination: Instance) -> str:
    host, written = destination.machine.host, destination.machine.kvm_compat.written
    if host is not None and host.compat_register == "ignored":
        return "KVM ignores the register"
    if not written:
        return "KVM was not told"
    return "KVM refused it" if written[-1].failed else "KVM was told another"


def _name(instance: Instance, pvr: int) -> str:
    return str(instance.machine.compat_table.modes[instance.machine.compat_table.index[pvr]].name)
