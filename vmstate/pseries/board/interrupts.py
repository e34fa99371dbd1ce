"""The interrupt numbers of a machine's devices (hw/ppc/spapr_irq.c).

Machine types up to 3.0 allocate the lowest free number, in the order in which devices are made; later
types have a range for each kind of device, so that a number depends on the device alone.
"""

from __future__ import annotations

from collections.abc import Iterable

PCI_NUM_PINS = 4
XIRQ_BASE = 0x1000
IRQ_EPOW = XIRQ_BASE
IRQ_HOTPLUG = XIRQ_BASE + 1
IRQ_PCI_LSI = XIRQ_BASE + 0x200


class InterruptNumbers:
    """The numbers in use; ``lsi`` maps each to True if it is level sensitive.

    ``legacy``: machine types up to 3.0 (``legacy_irq_allocation``).  ``hotplug_events``: the machine has
    a separate interrupt for hotplug events (types from 2.8 on).
    """

    def __init__(self, *, legacy: bool, hotplug_events: bool) -> None:
        self.legacy = legacy
        self.lsi: dict[int, bool] = {}
        self._claim(IRQ_EPOW, lsi=False)
        if hotplug_events:
            self._claim(IRQ_HOTPLUG, lsi=False)

    def free(self, numbers: Iterable[int]) -> None:
        """Free the numbers of a device that was unplugged."""
        for number in numbers:
            del self.lsi[number]

    def vio(self, own: int) -> int:
        """Claim the number of a device on the VIO bus; ``own``: the one derived from its address."""
        return self._claim(own, lsi=False)

    def given(self, number: int) -> int:
        """Claim the number that the command line gives."""
        self.lsi[number] = False
        return number

    def pci_lsi(self, phb_index: int) -> tuple[int, ...]:
        """Claim the four line interrupts of a host bridge."""
        first = IRQ_PCI_LSI + phb_index * PCI_NUM_PINS
        return tuple(self._claim(first + pin, lsi=True) for pin in range(PCI_NUM_PINS))

    def _claim(self, number: int, *, lsi: bool) -> int:
        if self.legacy:
            number = XIRQ_BASE
            while number in self.lsi:
                number += 1
        self.lsi[number] = lsi
        return number
