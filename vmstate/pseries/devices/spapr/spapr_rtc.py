"""``spapr/rtc``: the real-time clock of RTAS (hw/ppc/spapr_rtc.c)."""

from __future__ import annotations

from vmstate.describe import Int64, VMStateDescription
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

SPAPR_RTC = VMStateDescription("spapr/rtc", version_id=1, minimum_version_id=1, fields=[Int64("ns_offset")])


class SpaprRtc(Device):
    """``ns_offset``: nanoseconds from the guest's clock to the host's.

    It includes the fraction of the second at which the machine was made, so it differs between runs.
    """

    description = SPAPR_RTC

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.ns_offset = 0
