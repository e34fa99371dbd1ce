"""Which interrupt controllers a machine has: hw/ppc/spapr_irq.c ``spapr_irq_init``, ``spapr_irq_check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmstate.pseries.refused import Refused
from vmstate.pseries.tables.compat import LOGICAL_3_00


def interrupt_mode(machine: Any, levels: Mapping[str, int]) -> str:
    """As asked or as the type has it (4.0 on): without POWER9, dual becomes XICS.

    Raises Refused for XIVE alone without POWER9.
    """
    del levels
    mode: str = machine.ic_mode or machine.flags.irq
    if machine.can_run(LOGICAL_3_00):
        return mode
    if mode == "xive":
        raise Refused("XIVE-only machines require a POWER9 CPU")
    return "xics" if mode == "dual" else mode
