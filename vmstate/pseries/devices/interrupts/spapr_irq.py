"""Interrupts by their numbers, of whatever controllers the machine has (hw/ppc/spapr_irq.c)."""

from __future__ import annotations

from vmstate.describe import History
from vmstate.describe.cursor import signed
from vmstate.errors import NotModelled
from vmstate.pseries.board.interrupts import XIRQ_BASE
from vmstate.pseries.devices.interrupts.xive import SpaprXive
from vmstate.pseries.machine import Machine

_FIRST_MSI = XIRQ_BASE + 0x300
_PAGE = 4096 * 8

#: In 10.2 the number became the same for all machine types.
_COUNT = History("smc->nr_xirqs", ("10.2", "SPAPR_NR_XIRQS"))


def pulse(machine: Machine, number: int) -> None:
    """Send an interrupt (spapr_qirq).

    Raises Aborts if no device has that number, NotModelled where ``cpu/tm`` has overwritten memory.
    """
    irq, count = signed(number), _COUNT.at(machine.release)
    if irq < XIRQ_BASE:
        raise machine.ends(_asserted("spapr_qirq", "irq >= SPAPR_XIRQ_BASE"))
    if irq >= machine.nr_irqs + XIRQ_BASE:
        raise machine.ends(_asserted("spapr_qirq", f"irq < ({count} + SPAPR_XIRQ_BASE)"))
    if not all(xive.is_claimed(irq) for xive in machine.registered(SpaprXive)):
        raise machine.ends(_asserted("spapr_qirq", "xive_eas_is_valid(&spapr->xive->eat[irq])"))
    if any(getattr(entry.device, "overrun", False) for entry in machine.entries):
        raise NotModelled("an interrupt is sent when cpu/tm has overwritten the way to its presenter")


def free_msi(machine: Machine, first: int, count: int) -> None:
    """Take message interrupts from a device (spapr_irq_msi_free, spapr_irq_free).  Raises Aborts."""
    irq, number = signed(first), signed(count)
    start, size = signed(irq - _FIRST_MSI), machine.nr_irqs - _FIRST_MSI + XIRQ_BASE
    if machine.irq != "xics-legacy":
        if start < 0:
            raise machine.ends(_asserted("bitmap_clear", "start >= 0 && nr >= 0"))
        if count and start + count > size + _PAGE:
            raise machine.ends(None)  # bits are cleared far past the end of the map
    if irq < XIRQ_BASE:
        raise machine.ends(_asserted("spapr_irq_free", "irq >= SPAPR_XIRQ_BASE"))
    if irq + number > machine.nr_irqs + XIRQ_BASE:
        end = f"(irq + num) <= ({_COUNT.at(machine.release)} + SPAPR_XIRQ_BASE)"
        raise machine.ends(_asserted("spapr_irq_free", end))
    for xive in machine.registered(SpaprXive):
        for freed in range(irq, irq + number):
            xive.free(freed)


def _asserted(function: str, text: str) -> str:
    return f"{function}: Assertion `{text}' failed."
