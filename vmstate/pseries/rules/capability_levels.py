"""Which levels a machine starts with, which of them its stream carries, and what a destination makes of them.

hw/ppc/spapr_caps.c: ``default_caps_with_cpu``, the ``needed`` hooks, ``spapr_caps_post_migration``.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.describe.history import Release
from vmstate.pseries.machine import Machine
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.capabilities import CapabilityAt, Kind, LevelCheck
from vmstate.pseries.tables.capability_apply import PAGE_SIZE_ASKED

#: Everything up to 16 GiB: what machine types to 2.12 allow where the host does not limit page sizes.
ANY_PAGE = 34


def default_levels(machine: Machine) -> dict[str, int]:
    """``default_caps_with_cpu``: the machine type's levels, less what the processor cannot have."""
    levels = {}
    page = limiting_page(machine.host, machine.release)
    for capability in machine.capabilities:
        wanted = level = machine.class_levels[capability.name]
        if capability.needs and not machine.can_run(capability.needs):
            level = 0
        if capability.kind is Kind.PAGE_SIZE and not wanted:
            level = ANY_PAGE if page is None else page.bit_length() - 1
        levels[capability.name] = level
    return levels


def given_levels(machine: Machine, levels: dict[str, int]) -> dict[str, int]:
    """What counts as set on the command line: what ``cap-`` options set, and nothing else."""
    del machine
    return levels


def effective_levels(machine: Machine, defaults: dict[str, int], given: dict[str, int]) -> dict[str, int]:
    """``spapr_caps_init``: the defaults, and on top what was given."""
    del machine
    return {**defaults, **given}


def limiting_page(host: Host | None, release: Release) -> int | None:
    """The size in bytes of the host page that limits a hash guest's pages; None where nothing does."""
    if host is None or not host.needs_contiguous_pages:
        return None
    return PAGE_SIZE_ASKED.at(release)(host.page_sizes)


def is_sent(machine: Machine, capability: CapabilityAt) -> bool:
    """The ``needed`` hook: whether the capability's subsection is in a source's stream.

    A condition of its own (``migrate_needed``) binds weaker than the usual one, and so replaces it.
    """
    if not capability.migrated:
        return False
    if capability.migrate_needed is not None:
        return capability.migrate_needed(machine)
    index = capability.index
    return bool(machine.given[index] and machine.effective_levels[index] != machine.default_levels[index])


def post_migration(machine: Machine, incoming: Sequence[int]) -> list[LevelCheck]:
    """``spapr_caps_post_migration``: every capability compared, in index order.

    ``incoming`` starts as the destination's defaults (pre_load) and has the levels that came in the stream.
    The load fails if any check fails; all are made, and told, first.
    """
    own = machine.effective_levels
    return [LevelCheck(c.name, incoming[c.index], own[c.index]) for c in machine.capabilities]
