"""``timer``: QEMU's clocks (cpus.c up to 5.1, softmmu/cpu-timers.c after)."""

from __future__ import annotations

from vmstate.describe import Int16, Int64, Since, Timer, Until, Unused, VMStateDescription
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine


def counting_instructions(timers: Timers) -> bool:
    """``-icount`` was given, which is not modelled."""
    return False


WARP_TIMER = VMStateDescription(
    "timer/icount/warp_timer",
    version_id=1,
    minimum_version_id=1,
    needed=counting_instructions,
    fields=[Int64("vm_clock_warp_start"), Timer("icount_warp_timer")],
)

ADJUST_TIMERS = VMStateDescription(
    "timer/icount/timers",
    version_id=1,
    minimum_version_id=1,
    needed=counting_instructions,
    fields=[Timer("icount_rt_timer"), Timer("icount_vm_timer")],
)

SHIFT_1 = VMStateDescription(
    "timer/icount/shift",
    version_id=1,
    minimum_version_id=1,
    needed=counting_instructions,
    fields=[Int16("icount_time_shift")],
)

SHIFT_2 = VMStateDescription(
    "timer/icount/shift",
    version_id=2,
    minimum_version_id=2,
    needed=counting_instructions,
    fields=[Int16("icount_time_shift"), Int64("last_delta")],
)

ICOUNT = VMStateDescription(
    "timer/icount",
    version_id=1,
    minimum_version_id=1,
    needed=counting_instructions,
    fields=[Int64("qemu_icount_bias"), Int64("qemu_icount")],
    subsections=[
        Since("2.12", WARP_TIMER),
        Since("2.12", ADJUST_TIMERS),
        Until("6.0", Since("5.1", SHIFT_1)),
        Since("6.0", SHIFT_2),
    ],
)

TIMER = VMStateDescription(
    "timer",
    version_id=2,
    minimum_version_id=1,
    fields=[
        Int64("cpu_ticks_offset"),
        Until("3.1", Int64("dummy")),
        Since("3.1", Unused(8)),
        Int64("cpu_clock_offset", 2),
    ],
    subsections=[ICOUNT],
)


class Timers(Device):
    """The clocks of a machine that has not run: all offsets are zero."""

    description = TIMER

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.cpu_ticks_offset = 0
        self.dummy = 0
        self.cpu_clock_offset = 0
