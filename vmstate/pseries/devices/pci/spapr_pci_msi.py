"""Loading the message interrupts of a PCI host bridge (spapr_pci_post_load).

They go into a table by device.  If a device occurs twice, the interrupts of its first entry are freed
(spapr_phb_destroy_msi), though they were never claimed: numbers out of range end QEMU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe import History
from vmstate.describe.cursor import signed
from vmstate.pseries.board.interrupts import XIRQ_BASE
from vmstate.pseries.machine import Machine

if TYPE_CHECKING:
    from vmstate.pseries.devices.pci.spapr_pci import SpaprPci

_FIRST_MSI = XIRQ_BASE + 0x300
_PAGE = 4096 * 8
_BEYOND = "spapr_irq_free: Assertion `(irq + num) <= ({} + SPAPR_XIRQ_BASE)' failed."
#: In 10.2 the number became the same for all machine types.
BEYOND = History(_BEYOND.format("smc->nr_xirqs"), ("10.2", _BEYOND.format("SPAPR_NR_XIRQS")))


def msi_post_load(phb: SpaprPci, version_id: int) -> int:
    """Put the list into the table."""
    kept: dict[int, tuple[int, int]] = {}
    for entry in phb.msi_devs or ():
        before = kept.get(entry.key)
        if before is not None:
            _free(phb.machine, *before)
        kept[entry.key] = entry.first_irq, entry.num
    return 0


def _free(machine: Machine, first: int, count: int) -> None:
    irq = signed(first)
    start, size = signed(irq - _FIRST_MSI), machine.nr_irqs - _FIRST_MSI + XIRQ_BASE
    if machine.irq != "xics-legacy":
        if start < 0:
            raise machine.ends("bitmap_clear: Assertion `start >= 0 && nr >= 0' failed.")
        if count and start + count > size + _PAGE:
            raise machine.ends(None)  # bits are cleared far past the end of the map
    if irq < XIRQ_BASE:
        raise machine.ends("spapr_irq_free: Assertion `irq >= SPAPR_XIRQ_BASE' failed.")
    if irq + signed(count) > machine.nr_irqs + XIRQ_BASE:
        raise machine.ends(BEYOND.at(machine.release))
