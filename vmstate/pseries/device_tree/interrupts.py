"""The nodes of interrupt controllers and event sources."""

from __future__ import annotations

from vmstate.pseries.board.interrupts import IRQ_EPOW, IRQ_HOTPLUG
from vmstate.pseries.device_tree.fdt import Node, cells
from vmstate.pseries.device_tree.inputs import TreeInputs

PHANDLE = 0x1111

_XIVE_TIMA = 0x0006030203180000
_TIMA_PAGE = 1 << 16
_USER_RING, _OS_RING = 3, 2
_EQ_PAGE_SHIFT = 16
_HYPERVISOR_PRIORITY = 7


def write_controller(root: Node, inputs: TreeInputs) -> None:
    """Add the controller that is active after reset: XICS if the machine has it, else XIVE (spapr_irq_dt)."""
    if inputs.has_xics:
        _xics(root, inputs)
    else:
        _xive(root, inputs)


def _xics(root: Node, inputs: TreeInputs) -> None:
    """Add an XICS controller (hw/intc/xics_spapr.c xics_spapr_dt)."""
    node = root.add("interrupt-controller")
    node.text("device_type", "PowerPC-External-Interrupt-Presentation")
    node.text("compatible", "IBM,ppc-xicp")
    node.set("interrupt-controller")
    node.cells("ibm,interrupt-server-ranges", 0, inputs.cores.servers)
    _identify(node)


def _xive(root: Node, inputs: TreeInputs) -> None:
    """Add a XIVE controller (hw/intc/spapr_xive.c spapr_xive_dt)."""
    user, system = (_XIVE_TIMA + ring * _TIMA_PAGE for ring in (_USER_RING, _OS_RING))
    node = root.add(f"interrupt-controller@{user:x}")
    node.text("device_type", "power-ivpe")
    node.set("reg", b"".join(n.to_bytes(8, "big") for n in (user, _TIMA_PAGE, system, _TIMA_PAGE)))
    node.text("compatible", "ibm,power-ivpe")
    node.cells("ibm,xive-eq-sizes", _EQ_PAGE_SHIFT)
    node.cells("ibm,xive-lisn-ranges", 0, inputs.cores.servers)
    node.set("interrupt-controller")
    _identify(node)
    root.cells("ibm,plat-res-int-priorities", _HYPERVISOR_PRIORITY, 0xFF - _HYPERVISOR_PRIORITY)


def _identify(node: Node) -> None:
    node.cells("#interrupt-cells", 2)
    node.cells("linux,phandle", PHANDLE)
    node.cells("phandle", PHANDLE)


def write_events(root: Node, inputs: TreeInputs) -> None:
    """Add power and hotplug events, each with an interrupt (hw/ppc/spapr_events.c spapr_dt_events)."""
    sources = {"epow-events": IRQ_EPOW}
    if inputs.hotplug_events:
        sources["hot-plug-events"] = IRQ_HOTPLUG
    node = root.add("event-sources")
    for name, irq in sources.items():
        node.add(name).cells("interrupts", irq, 0)
    node.set("interrupt-controller")
    node.cells("#interrupt-cells", 2)
    node.set("interrupt-ranges", b"".join(cells(irq, 1) for irq in sources.values()))
