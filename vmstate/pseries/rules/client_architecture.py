"""The machine's offer at client-architecture-support: option vector 5, radix translation, tlbie.

hw/ppc/spapr.c ``spapr_machine_init``, ``spapr_dt_ov5_platform_support``.
"""

from __future__ import annotations

from vmstate.describe.history import History
from vmstate.pseries.machine import Machine
from vmstate.pseries.tables.compat import LOGICAL_3_00
from vmstate.pseries.tables.option_vectors import Ov5

_GTSE_FOR_ALL = History(False, ("2.10", True), (("2.11.2", "2.12.1", "3.0"), False))
_GTSE_FOR_POWER9 = History(False, (("2.11.2", "2.12.1", "3.0"), True))
_RADIX_TOO = History(False, ("5.1", True))
_DRMEM_V2 = History(False, ("3.0", True))
_XIVE_OFFERED = History(False, ("4.0", True))
_FORM2 = History(False, ("6.2", True))
_HPT_RESIZE = History(False, ("2.10", True))


def offers_radix(machine: Machine) -> bool:
    """Return True if a guest may use radix translation: TCG or KVM, and the processor, can do it."""
    host, release = machine.host, machine.release
    if host is not None and not host.radix:
        return False
    power9 = machine.can_run(LOGICAL_3_00)
    return _GTSE_FOR_ALL.at(release) or (power9 and _GTSE_FOR_POWER9.at(release))


def offers_gtse(machine: Machine) -> bool:
    """Return True if option vector 5 lets a radix guest use tlbie: always, if radix is offered."""
    return offers_radix(machine)


def tells_gtse(machine: Machine) -> bool:
    """Return True if the device tree offers tlbie in ``ibm,arch-vec-5-platform-support``, byte 26: always.

    hw/ppc/spapr.c ``spapr_dt_ov5_platform_support``.  The guest's CAS call depends on it.
    """
    del machine
    return True


def offered(machine: Machine) -> set[Ov5]:
    """Return option vector 5 as the machine offers it (``spapr_machine_init``)."""
    flags, release = machine.flags, machine.release
    gtse = machine.rules.offers_gtse(machine)
    conditions = (
        (Ov5.DRCONF_MEMORY, flags.dr_lmb_enabled),
        (Ov5.FORM1_AFFINITY, True),
        (Ov5.FORM2_AFFINITY, _FORM2.at(release) and not flags.pre_6_2_numa_affinity),
        (Ov5.HP_EVT, machine.modern_hotplug_events),
        (Ov5.HPT_RESIZE, _HPT_RESIZE.at(release) and machine.resize_hpt != "disabled"),
        (Ov5.DRMEM_V2, _DRMEM_V2.at(release)),
        (Ov5.XIVE_EXPLOIT, _XIVE_OFFERED.at(release) and machine.irq in {"xive", "dual"}),
        (Ov5.MMU_RADIX_300, _RADIX_TOO.at(release) and offers_radix(machine)),
        (Ov5.MMU_RADIX_GTSE, gtse),
    )
    return {bit for bit, condition in conditions if condition}
