"""Which levels a machine starts with, which of them its stream carries, and what a destination makes of them.

hw/ppc/spapr_caps.c: ``default_caps_with_cpu``, the ``needed`` hooks, ``spapr_caps_post_migration``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vmstate.describe.history import Release
from vmstate.pseries.accelerators import Host
from vmstate.pseries.capabilities import CapabilityAt, Kind
from vmstate.pseries.capability_rules import PAGE_SIZE_ASKED
from vmstate.pseries.compat import CompatTable
from vmstate.pseries.cpus import CpuAt

#: Everything up to 16 GiB: what machine types to 2.12 allow where the host does not limit page sizes.
ANY_PAGE = 34


def default_levels(
    table: Sequence[CapabilityAt],
    class_levels: Mapping[str, int],
    cpu: CpuAt,
    compat: CompatTable,
    max_compat: int,
    backing_page: int | None = None,
) -> list[int]:
    """The default level of every capability, by index: the machine type's, less what ``cpu`` cannot have.

    ``backing_page`` is the size in bytes of the host pages that limit a hash guest's (None: they do not).
    """
    levels = []
    for capability in table:
        level = class_levels[capability.name]
        if capability.needs and not compat.check(cpu, capability.needs, 0, max_compat):
            level = 0
        if capability.kind is Kind.PAGE_SIZE and not class_levels[capability.name]:
            level = ANY_PAGE if backing_page is None else backing_page.bit_length() - 1
        levels.append(level)
    return levels


def limiting_page(host: Host | None, release: Release) -> int | None:
    """The size in bytes of the host page that limits a hash guest's pages; None where nothing does."""
    if host is None or not host.needs_contiguous_pages:
        return None
    return PAGE_SIZE_ASKED.at(release)(host.page_sizes)


def is_sent(
    capability: CapabilityAt,
    defaults: Sequence[int],
    effective: Sequence[int],
    given: Sequence[bool],
    pre_4_1: bool,
) -> bool:
    """The ``needed`` hook: whether the capability's subsection is in a source's stream.

    ``given``: set on the command line; ``pre_4_1``: the machine type's class flag pre_4_1_migration.
    """
    if not capability.migrated:
        return False
    index = capability.index
    if capability.always_sent:
        return not pre_4_1
    return given[index] and effective[index] != defaults[index]


@dataclass(frozen=True, slots=True)
class LevelCheck:
    """One comparison after migration: the level that came (or was assumed) and the destination's own."""

    name: str
    incoming: int
    own: int

    @property
    def message(self) -> str | None:
        """What the destination prints (a warning is marked as one), or None if the levels are equal."""
        if self.incoming == self.own:
            return None
        higher = self.incoming > self.own
        text = (
            f"cap-{self.name} {'higher' if higher else 'lower'} level ({self.incoming}) "
            f"in incoming stream than on destination ({self.own})"
        )
        return text if higher else f"warning: {text}"

    @property
    def fails(self) -> bool:
        """Whether this alone makes the load fail (-EINVAL)."""
        return self.incoming > self.own


def post_migration(
    table: Sequence[CapabilityAt], migrated: Sequence[int], effective: Sequence[int]
) -> list[LevelCheck]:
    """``spapr_caps_post_migration``: every capability compared, in index order.

    ``migrated`` starts as the destination's defaults (pre_load) and has the levels that came in the stream.
    The load fails if any check fails; all are made, and told, first.
    """
    return [LevelCheck(c.name, migrated[c.index], effective[c.index]) for c in table]
