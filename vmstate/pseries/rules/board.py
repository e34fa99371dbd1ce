"""Small rules of the machine's board and its hooks, as in QEMU; a proposal may replace each of them."""

from __future__ import annotations

from vmstate.describe.history import History
from vmstate.pseries.machine import Machine
from vmstate.pseries.tables.compat import LOGICAL_3_00

MMU_REFUSED = "Process table config unsupported by the host"

_RADIX_FROM_RESET = History(False, ("2.10", True))
_RADIX_NEEDS_POWER9 = History(False, (("2.10.2", "2.11.1", "2.12"), True))
_MMU_CONFIGURED = History(False, ("2.10", True))
_PVR_OF_THE_HOST = History(False, ("2.10", True))
#: Before, QEMU ignored it.
_PUT_MAY_FAIL = History(False, ("8.2", True))


def dummy_presenters(machine: Machine) -> int:
    """Return the number of dummy ``icp/server`` entries, which only receive (machine types up to 2.9).

    hw/ppc/spapr.c ``spapr_init_cpus`` (``xics_system_init`` before 2.12): one for each server number.
    """
    return int(machine.topology.max_servers)


def presenter_replaces_dummy(machine: Machine) -> bool:
    """Return True if a processor's presenter replaces its dummy when it is registered (8.2 on).

    hw/intc/xics.c ``icp_realize``: otherwise both exist for a moment, with the same name and instance.
    """
    del machine
    return True


def table_instance(machine: Machine, liobn: int, number: int) -> int:
    """Return the instance of the ``number``-th ``spapr_iommu``: its logical bus number.

    hw/ppc/spapr_iommu.c ``spapr_tce_table_realize``.
    """
    del machine, number
    return liobn


def starts_radix(machine: Machine) -> bool:
    """Return True if a guest starts without a hash table: KVM begins in radix mode where it can.

    hw/ppc/spapr.c ``spapr_machine_reset``.
    """
    release = machine.release
    if machine.host is None or not machine.host.radix or not _RADIX_FROM_RESET.at(release):
        return False
    return bool(machine.can_run(LOGICAL_3_00) or not _RADIX_NEEDS_POWER9.at(release))


def process_table_refusal(machine: Machine, entry: int) -> str | None:
    """Return a destination's message if its KVM cannot use the incoming process table; None if it can.

    hw/ppc/spapr.c ``spapr_post_load``, ``kvmppc_configure_v3_mmu``; TCG is not asked.
    """
    host = machine.host
    if not entry or host is None or not _MMU_CONFIGURED.at(machine.release):
        return None
    return None if host.radix else MMU_REFUSED


def pvr_after_load(machine: Machine, incoming: int, own: int) -> int:
    """Return the PVR that a processor has after a load: KVM HV accepts only the host's own.

    target/ppc/machine.c ``cpu_post_load``, ``kvmppc_pvr_workaround_required``.
    """
    host = machine.host
    hv = host is not None and host.flavour == "hv"
    return own if hv and _PVR_OF_THE_HOST.at(machine.release) else incoming


def put_registers(machine: Machine, pvr: int) -> str | None:
    """Return the line with which QEMU exits if its KVM refuses a processor's registers after a load, or None.

    accel/kvm/kvm-all.c ``do_kvm_cpu_synchronize_post_init``: KVM HV takes no other PVR than the host's.  A
    load that failed synchronizes too.
    """
    host = machine.host
    if host is None or host.flavour != "hv" or not _PUT_MAY_FAIL.at(machine.release):
        return None
    return None if pvr == host.pvr else "Failed to put registers after init: Invalid argument"


def htab_pass_ends(machine: Machine) -> bool:
    """Return True if a pass over a missing hash table reports that it is done (``htab_save_iterate``)."""
    del machine
    return True


def sends_zero_pages(machine: Machine) -> bool:
    """Return True if pages of zeros are sent at all (migration/ram.c, ``ram_save_block``)."""
    del machine
    return True
