"""``timer``: QEMU's clocks (cpus.c up to 5.1, softmmu/cpu-timers.c after)."""

from __future__ import annotations

from vmstate.describe import Int16, Int64, Since, Timer, Until, Unused, VMStateDescription
from vmstate.describe.history import History
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

#: A timer that the destination lacks is a null pointer (migration/vmstate.c ``vmstate_load_state``).
NO_TIMER = History(
    "vmstate_load_state: Assertion `first_elem || !n_elems || !size' failed.",
    ("11.1", "vmstate_load_vmsd: Assertion `first_elem || !n_elems || !size' failed."),
)


#: The time of a timer that is not set.
NEVER = (1 << 64) - 1


def counting_instructions(timers: Timers) -> bool:
    """Return True if virtual time follows instructions (``icount_state_needed``)."""
    return timers.machine.icount is not None


def warps(timers: Timers) -> bool:
    """Return True if idle time passes as real time (``warp_timer_state_needed``)."""
    return timers.machine.icount is not None and timers.machine.icount_sleep


def adjusts(timers: Timers) -> bool:
    """Return True if the speed is adjusted, with ``shift=auto`` (``adjust_timers_state_needed``)."""
    return timers.machine.icount == "auto"


def warp_timer_pre_load(timers: Timers) -> int:
    """End QEMU if this machine lacks the timer."""
    if not warps(timers):
        raise timers.machine.ends(NO_TIMER.at(timers.machine.release))
    return 0


def adjust_timers_pre_load(timers: Timers) -> int:
    """End QEMU if this machine lacks the timers."""
    if not adjusts(timers):
        raise timers.machine.ends(NO_TIMER.at(timers.machine.release))
    return 0


WARP_TIMER = VMStateDescription(
    "timer/icount/warp_timer",
    version_id=1,
    minimum_version_id=1,
    needed=warps,
    pre_load=warp_timer_pre_load,
    fields=[Int64("vm_clock_warp_start"), Timer("icount_warp_timer")],
)

ADJUST_TIMERS = VMStateDescription(
    "timer/icount/timers",
    version_id=1,
    minimum_version_id=1,
    needed=adjusts,
    pre_load=adjust_timers_pre_load,
    fields=[Timer("icount_rt_timer"), Timer("icount_vm_timer")],
)

SHIFT_1 = VMStateDescription(
    "timer/icount/shift",
    version_id=1,
    minimum_version_id=1,
    needed=adjusts,
    fields=[Int16("icount_time_shift")],
)

SHIFT_2 = VMStateDescription(
    "timer/icount/shift",
    version_id=2,
    minimum_version_id=2,
    needed=adjusts,
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
        if machine.icount is not None:
            self._count_instructions(automatic=machine.icount == "auto")

    def _count_instructions(self, *, automatic: bool) -> None:
        """Set the state of ``-icount`` before the guest has run."""
        self.qemu_icount_bias = self.qemu_icount = self.last_delta = 0
        self.vm_clock_warp_start = -1 if automatic else 0
        self.icount_warp_timer = NEVER
        self.icount_rt_timer, self.icount_vm_timer = 1_000_000_000, 100_000_000
        self.icount_time_shift = 3
