"""Capability levels: those of a machine at its start, those in its stream, and a destination's comparison.

hw/ppc/spapr_caps.c: ``default_caps_with_cpu``, the ``needed`` hooks, ``spapr_caps_post_migration``.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.describe.history import Release
from vmstate.pseries.machine import Machine
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.capabilities import CapabilityAt, Kind, LevelCheck
from vmstate.pseries.tables.capability_apply import PAGE_SIZE_ASKED

#: Pages up to 16 GiB: the level of machine types to 2.12 where the host does not limit page sizes.
ANY_PAGE = 34


def default_levels(machine: Machine) -> dict[str, int]:
    """Return the machine type's levels, less those that the processor cannot have (default_caps_with_cpu)."""
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
    """Return the levels that count as set on the command line: those of ``cap-`` options only."""
    del machine
    return levels


def effective_levels(machine: Machine, defaults: dict[str, int], given: dict[str, int]) -> dict[str, int]:
    """Return the default levels, overridden by the given ones (``spapr_caps_init``)."""
    del machine
    return {**defaults, **given}


def limiting_page(host: Host | None, release: Release) -> int | None:
    """Return the size in bytes of the host page that limits a hash guest's pages; None: no limit."""
    if host is None or not host.needs_contiguous_pages:
        return None
    return PAGE_SIZE_ASKED.at(release)(host.page_sizes)


def is_sent(machine: Machine, capability: CapabilityAt) -> bool:
    """Return True if a source's stream has the capability's subsection (the ``needed`` hook).

    A separate condition (``migrate_needed``) is weaker than the usual one, and so replaces it.
    """
    if not capability.migrated:
        return False
    if capability.migrate_needed is not None:
        return capability.migrate_needed(machine)
    index = capability.index
    return bool(machine.given[index] and machine.effective_levels[index] != machine.default_levels[index])


def post_migration(machine: Machine, incoming: Sequence[int]) -> list[LevelCheck]:
    """Compare every capability, in index order (``spapr_caps_post_migration``).

    ``incoming`` starts as the destination's defaults (pre_load); levels in the stream replace them.  The load
    fails if any check fails, after all are made and reported.
    """
    own = machine.effective_levels
    return [LevelCheck(c.name, incoming[c.index], own[c.index]) for c in machine.capabilities]
