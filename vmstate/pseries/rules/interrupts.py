"""The interrupt controllers of a machine, and their emulation in KVM.

hw/ppc/spapr_irq.c ``spapr_irq_init``, ``spapr_irq_check``, ``spapr_irq_init_kvm``; hw/intc/xics_kvm.c,
hw/intc/spapr_xive_kvm.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmstate.describe.history import Span
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.tables.compat import LOGICAL_3_00


def interrupt_mode(machine: Machine, levels: Mapping[str, int]) -> str:
    """Return the mode of the option or the machine type (4.0 on); without POWER9, dual becomes XICS.

    Raises Refused if only XIVE is requested, without POWER9.
    """
    del levels
    mode: str = machine.ic_mode or machine.flags.irq
    if machine.can_run(LOGICAL_3_00):
        return mode
    if mode == "xive":
        raise Refused("XIVE-only machines require a POWER9 CPU")
    return "xics" if mode == "dual" else mode


NO_XICS = "KVM and IRQ_XICS capability must be present for in-kernel XICS"
NO_XIVE = "IRQ_XIVE capability must be present for KVM"
NO_XIVE_PAGES = "XIVE: unable to set memory mapping: Invalid argument"
#: Before, the kernel's controller was created with the machine, and XIVE had none.
_MADE_WHEN_USED = Span("4.1")


def unavailable(machine: Machine, controller: str) -> str | None:
    """Return KVM's error if it cannot emulate ``controller`` (xics, xive), or None."""
    host = machine.host
    if host is None or machine.kernel_irqchip == "off" or not _MADE_WHEN_USED.covers(machine.release):
        return None
    if controller == "xive":
        if not host.xive:
            return NO_XIVE
        return None if host.maps_xive else NO_XIVE_PAGES
    return None if host.irq_xics else NO_XICS


def requested(machine: Machine, controller: str) -> str | None:
    """Return the line with which QEMU exits if KVM must emulate ``controller``, and cannot; else None."""
    lacks = unavailable(machine, controller)
    if lacks is None or machine.kernel_irqchip != "on":
        return None
    return f"kernel_irqchip requested but unavailable: {lacks}"


def falls_back(machine: Machine, controller: str) -> tuple[str, ...]:
    """Return QEMU's lines, when a guest begins to use ``controller``, if QEMU emulates it itself."""
    lacks = unavailable(machine, controller)
    if lacks is None:
        return ()
    warning = f"warning: kernel_irqchip allowed but unavailable: {lacks}"
    return warning, "Falling back to kernel-irqchip=off"
