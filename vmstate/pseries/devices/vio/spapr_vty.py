"""``spapr_vty``: a virtual terminal (hw/char/spapr_vty.c)."""

from __future__ import annotations

from vmstate.describe import Buffer, UInt32, VMStateDescription
from vmstate.describe.arrays import zeros
from vmstate.pseries.devices.vio.spapr_vio import SpaprVio, VioDevice
from vmstate.pseries.machine import Machine

VTERM_BUFSIZE = 16

SPAPR_VTY = VMStateDescription(
    "spapr_vty",
    version_id=1,
    minimum_version_id=1,
    fields=[VioDevice("sdev"), UInt32("in"), UInt32("out"), Buffer("buf", VTERM_BUFSIZE)],
)


class SpaprVty(SpaprVio):
    """``in`` and ``out`` count the characters that went into and out of the ring ``buf``."""

    description = SPAPR_VTY

    def __init__(self, machine: Machine, reg: int, irq: int) -> None:
        super().__init__(machine, reg, irq)
        setattr(self, "in", 0)
        self.out = 0
        self.buf = zeros(VTERM_BUFSIZE)
