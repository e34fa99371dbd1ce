"""The section ``cpu_common``: state of all processors of all machines (cpu.c, from 8.0 hw/core/cpu-*.c)."""

from __future__ import annotations

from vmstate.describe import Bool, Int32, UInt32, VMStateDescription
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

INTERRUPT_EXIT = 0x01  # a bit that old QEMU used; cleared when loaded


def _exception_pending(cpu: CpuCommon) -> bool:
    """An exception is pending."""
    return bool(cpu.exception_index != -1)


def _crashed(cpu: CpuCommon) -> bool:
    """The guest has reported a crash (panic) on this processor."""
    return bool(cpu.crash_occurred)


def _pre_load(cpu: CpuCommon) -> int:
    """Assume that no exception is pending, unless a subsection sets one."""
    cpu.exception_index = -1
    return 0


def _post_load(cpu: CpuCommon, version_id: int) -> int:
    """Clear the interrupt bit that only old releases used."""
    cpu.interrupt_request &= ~INTERRUPT_EXIT
    return 0


CPU_COMMON = VMStateDescription(
    "cpu_common",
    1,
    1,
    pre_load=_pre_load,
    post_load=_post_load,
    fields=[UInt32("halted"), UInt32("interrupt_request")],
    subsections=[
        VMStateDescription(
            "cpu_common/exception_index",
            1,
            1,
            needed=_exception_pending,
            fields=[Int32("exception_index")],
        ),
        VMStateDescription(
            "cpu_common/crash_occurred", 1, 1, needed=_crashed, fields=[Bool("crash_occurred")]
        ),
    ],
)


class CpuCommon(Device):
    """The common state after reset: all processors but the first wait for the guest to start them."""

    description = CPU_COMMON
    interrupt_request = 0
    exception_index = -1
    crash_occurred = False
    halted = 0

    def __init__(self, machine: Machine, index: int) -> None:
        super().__init__(machine, instance_id=index)
        self.halted = int(index != 0)
