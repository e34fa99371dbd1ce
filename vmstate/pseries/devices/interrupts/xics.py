"""The XICS interrupt controller: sections ``ics`` (sources) and ``icp/server`` (presenters).

hw/intc/xics.c, hw/ppc/spapr.c (the dummies).  Under TCG nothing can fail after loading.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any

from vmstate.describe import (
    Struct,
    UInt8,
    UInt32,
    UInt32Equal,
    Unused,
    VMStateDescription,
    WireRecords,
)
from vmstate.errors import NotModelled
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

ICS_BASE = 0x1000  # the number of the first source
LSI, MSI = 1, 2  # flags of an allocated source
ASSERTED, SENT, REJECTED, MASKED_PENDING = 1, 2, 4, 8  # status

ICP = VMStateDescription(
    "icp/server", 1, 1, fields=[UInt32("xirr"), UInt8("pending_priority"), UInt8("mfrr")]
)


class Icp(Device):
    """The presenter of one processor: no interrupt pending, all masked."""

    description = ICP
    xirr = 0
    pending_priority = mfrr = 0xFF

    def __init__(self, machine: Machine, index: int) -> None:
        super().__init__(machine, instance_id=index)


def _never(icp: Icp) -> bool:
    """Never: a dummy is only loaded, in place of a processor that does not exist."""
    return False


#: Machine types up to 2.9 accept it for absent processors: 2.9 sent one for each possible processor.
DUMMY_ICP = VMStateDescription("icp/server", 1, 1, needed=_never, fields=[Unused(4), Unused(1), Unused(1)])


class DummyIcp(Device):
    """A presenter whose state is loaded and discarded, never sent (pre_2_10_vmstate_register_dummy_icp)."""

    description = DUMMY_ICP

    def __init__(self, machine: Machine, index: int) -> None:
        super().__init__(machine, instance_id=index)


_IRQ_FIELDS = ("server", "priority", "saved_priority", "status", "flags")
_IRQ_LAYOUT = struct.Struct(">IBBBB")
_STATUS = 6  # the offset of the status in it

ICS_IRQ = VMStateDescription(
    "ics/irq",
    2,
    1,
    fields=[
        UInt32("server"),
        UInt8("priority"),
        UInt8("saved_priority"),
        UInt8("status"),
        UInt8("flags"),
    ],
)
ICS = VMStateDescription("ics", 1, 1, fields=[UInt32Equal("nr_irqs"), Struct("irqs", ICS_IRQ)["nr_irqs"]])


@lru_cache(maxsize=64)
def _sources(count: int, claimed: tuple[tuple[int, bool], ...]) -> memoryview:
    """Return ``count`` masked sources; ``claimed``: the numbers in use, with True if level-triggered."""
    raw = bytearray(_IRQ_LAYOUT.pack(0, 0xFF, 0xFF, 0, 0) * count)
    for number, level in claimed:
        raw[(number - ICS_BASE) * _IRQ_LAYOUT.size + 7] = LSI if level else MSI
    return memoryview(bytes(raw))


class Ics(Device):
    """The sources; ``claimed`` maps the interrupts in use (from 0x1000 on) to True if level-triggered."""

    description = ICS
    irqs: Sequence[Any]

    def __init__(self, machine: Machine, claimed: Mapping[int, bool]) -> None:
        super().__init__(machine)
        self.nr_irqs = machine.nr_irqs
        self.irqs = WireRecords(_IRQ_FIELDS, _IRQ_LAYOUT, _sources(self.nr_irqs, tuple(claimed.items())))

    def claim(self, number: int) -> None:
        """Give a level-triggered interrupt to a device that is plugged (ics_set_irq_type)."""
        self.irqs[number - ICS_BASE].flags = LSI

    def free(self, number: int) -> None:
        """Take an interrupt from a device that was unplugged; its state is all zeros until the next reset."""
        irq = self.irqs[number - ICS_BASE]
        for name in _IRQ_FIELDS:
            setattr(irq, name, 0)

    def pulse(self, number: int) -> None:
        """Signal an interrupt that no guest has unmasked: it stays pending (ics_set_irq_msi).

        Raises NotModelled if a guest may receive it.
        """
        irq = self.irqs[number - ICS_BASE]
        if irq.priority != 0xFF:
            raise NotModelled(f"interrupt {number:#x} at a running guest is not modelled")
        irq.status |= MASKED_PENDING

    def resent_to(self) -> Iterator[int]:
        """Yield the servers of the sources that are signalled again after loading (ics_resend)."""
        for server, priority, _, status, flags in self._signalled():
            level = status & ASSERTED and not status & SENT
            if priority != 0xFF and (level if flags & LSI else status & REJECTED):
                yield server

    def _signalled(self) -> Iterable[tuple[int, ...]]:
        """Return the sources that may have a status: of a table, which is long, those that have one."""
        irqs, size = self.irqs, _IRQ_LAYOUT.size
        if not isinstance(irqs, WireRecords):
            return map(attrgetter(*_IRQ_FIELDS), irqs)
        statuses = bytes(irqs.raw)[_STATUS::size]
        if statuses == bytes(len(statuses)):
            return ()
        places = compress(range(0, len(irqs.raw), size), statuses)
        return [_IRQ_LAYOUT.unpack_from(irqs.raw, place) for place in places]
