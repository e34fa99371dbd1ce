"""``spapr_watchdog``: the four watchdog timers of PAPR (hw/watchdog/spapr_watchdog.c)."""

from __future__ import annotations

from vmstate.describe import Timer, UInt8, VMStateDescription
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

SINCE = "7.1"
TIMERS = 4
NEVER = 0xFFFFFFFFFFFFFFFF


def ticking(watchdog: SpaprWatchdog) -> bool:
    """The guest has started the timer."""
    return bool(watchdog.timer != NEVER)


SPAPR_WATCHDOG = VMStateDescription(
    "spapr_watchdog",
    version_id=1,
    minimum_version_id=1,
    needed=ticking,
    fields=[Timer("timer"), UInt8("action"), UInt8("leave_others")],
)


class SpaprWatchdog(Device):
    """A timer that the guest has not started."""

    description = SPAPR_WATCHDOG

    def __init__(self, machine: Machine, instance_id: int = 0) -> None:
        super().__init__(machine, instance_id=instance_id)
        self.timer = NEVER
        self.action = 0
        self.leave_others = 0
