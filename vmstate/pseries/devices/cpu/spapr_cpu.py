"""The section ``spapr_cpu``: areas of memory that a guest registered for a processor.

hw/ppc/spapr_cpu_core.c vmstate_spapr_cpu_state; from 3.0, and not for machine types up to 2.12.
"""

from __future__ import annotations

from vmstate.describe import UInt64, VMStateDescription
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine


def _has_slb_shadow(cpu: SpaprCpu) -> bool:
    """The guest has registered an SLB shadow buffer."""
    return bool(cpu.slb_shadow_addr)


def _has_dispatch_log(cpu: SpaprCpu) -> bool:
    """The guest has registered a dispatch trace log."""
    return bool(cpu.dtl_addr)


def _has_vpa(cpu: SpaprCpu) -> bool:
    """The guest has registered a virtual processor area (VPA)."""
    return bool(cpu.vpa_addr)


SLB_SHADOW = VMStateDescription(
    "spapr_cpu/vpa/slb_shadow",
    1,
    1,
    needed=_has_slb_shadow,
    fields=[UInt64("slb_shadow_addr"), UInt64("slb_shadow_size")],
)
DISPATCH_TRACE_LOG = VMStateDescription(
    "spapr_cpu/vpa/dtl",
    1,
    1,
    needed=_has_dispatch_log,
    fields=[UInt64("dtl_addr"), UInt64("dtl_size")],
)
VPA = VMStateDescription(
    "spapr_cpu/vpa",
    1,
    1,
    needed=_has_vpa,
    fields=[UInt64("vpa_addr")],
    subsections=[SLB_SHADOW, DISPATCH_TRACE_LOG],
)
SPAPR_CPU = VMStateDescription("spapr_cpu", 1, 1, subsections=[VPA])


class SpaprCpu(Device):
    """The areas of a processor: none is registered until a guest runs."""

    description = SPAPR_CPU
    vpa_addr = slb_shadow_addr = slb_shadow_size = dtl_addr = dtl_size = 0

    def __init__(self, machine: Machine, index: int) -> None:
        super().__init__(machine, instance_id=index)
