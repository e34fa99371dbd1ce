"""Rules of a pseries machine, as in QEMU; a proposal may replace each of them."""

from __future__ import annotations

from vmstate.pseries.machine import Rules
from vmstate.pseries.rules import board
from vmstate.pseries.rules.capability_levels import (
    default_levels,
    effective_levels,
    given_levels,
    is_sent,
    post_migration,
)
from vmstate.pseries.rules.client_architecture import offered, offers_gtse, tells_gtse
from vmstate.pseries.rules.compat_register import arch_compat
from vmstate.pseries.rules.interrupts import interrupt_mode

#: The rules as QEMU has them.
QEMU_RULES = Rules(
    default_levels=default_levels,
    given_levels=given_levels,
    effective_levels=effective_levels,
    cap_needed=is_sent,
    post_migration=post_migration,
    interrupt_mode=interrupt_mode,
    offers_gtse=offers_gtse,
    tells_gtse=tells_gtse,
    option_vector_5=offered,
    arch_compat=arch_compat,
    dummy_presenters=board.dummy_presenters,
    presenter_replaces_dummy=board.presenter_replaces_dummy,
    table_instance=board.table_instance,
    starts_radix=board.starts_radix,
    process_table_refusal=board.process_table_refusal,
    pvr_after_load=board.pvr_after_load,
    put_registers=board.put_registers,
    htab_pass_ends=board.htab_pass_ends,
    sends_zero_pages=board.sends_zero_pages,
)
