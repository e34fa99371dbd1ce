"""An interrupt controller in the kernel: whether KVM can play it, and what QEMU says if not.

hw/ppc/spapr_irq.c ``spapr_irq_init_kvm``; hw/intc/xics_kvm.c, hw/intc/spapr_xive_kvm.c.
"""

from __future__ import annotations

from typing import Any

from vmstate.describe.history import Span

NO_XICS = "KVM and IRQ_XICS capability must be present for in-kernel XICS"
NO_XIVE = "IRQ_XIVE capability must be present for KVM"
#: Before, the kernel's was made with the machine, and XIVE had none.
_MADE_WHEN_USED = Span("4.1")


def unavailable(machine: Any, controller: str) -> str | None:
    """What KVM lacks to play ``controller`` (xics, xive); None if it can, is not to, or there is no KVM."""
    host = machine.host
    if host is None or machine.kernel_irqchip == "off" or not _MADE_WHEN_USED.covers(machine.release):
        return None
    if controller == "xive":
        return None if host.xive else NO_XIVE
    return None if host.irq_xics else NO_XICS


def falls_back(machine: Any, controller: str) -> tuple[str, ...]:
    """The lines that say that QEMU plays ``controller`` itself, as a guest begins to use it."""
    lacks = unavailable(machine, controller)
    if lacks is None:
        return ()
    warning = f"warning: kernel_irqchip allowed but unavailable: {lacks}"
    return warning, "Falling back to kernel-irqchip=off"
