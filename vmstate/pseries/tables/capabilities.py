"""The capability table of pseries machines: names, levels, subsections, defaults, checks.

``capability_table`` of hw/ppc/spapr_caps.c and the class defaults of hw/ppc/spapr.c.  A later level
is a superset of all earlier ones.  The ``apply`` functions are in capability_apply.py.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Points, Release, Span, at
from vmstate.pseries.tables import capability_apply as rules
from vmstate.pseries.tables.compat import (
    LOGICAL_2_06,
    LOGICAL_2_06_PLUS,
    LOGICAL_2_07,
    LOGICAL_3_00,
    LOGICAL_3_10,
)
from vmstate.pseries.tables.machine_class import OfType


class Kind(Enum):
    """The form of a level on the command line."""

    BOOL = "bool"
    STRING = "string"
    PAGE_SIZE = "int"


#: Returns True if a machine's stream carries a capability.
MigrateNeeded = Callable[[OfType], bool]


@dataclass(frozen=True)
class Capability:
    """One capability: its property is ``cap-NAME``, its subsection ``spapr/cap/SUBSECTION``.

    ``default`` is the level of the newest machine type.  ``help``: the answer to ``cap-NAME=?``; empty if
    there is none.  ``needs``: the mode (logical PVR) that the processor must be able to run, else the default
    is 0.  ``migrated``: the releases whose streams carry it; ``migrate_needed``: the condition for that,
    called with the machine, if it is not the usual one.  ``after``: the capability that it follows in the
    table; empty: it is the last.
    """

    name: str
    subsection: str
    default: int
    span: Span
    kind: Kind = Kind.BOOL
    values: tuple[str, ...] | History[tuple[str, ...]] = ()
    help: str | History[str] = ""
    needs: int | History[int] = 0
    apply: Callable[[rules.Applying, int], None] = rules.accept
    migrated: Span = ALWAYS
    migrate_needed: MigrateNeeded | History[MigrateNeeded | None] | None = None
    after: str = ""

    @property
    def property_name(self) -> str:
        """The machine property: ``cap-htm``."""
        return f"cap-{self.name}"


@dataclass(frozen=True)
class CapabilityAt:
    """A capability as one release has it; ``index`` is its place in that release's table."""

    index: int
    name: str
    property_name: str
    subsection: str
    kind: Kind
    values: tuple[str, ...]
    help: str
    needs: int
    apply: Callable[[rules.Applying, int], None]
    migrated: bool
    migrate_needed: MigrateNeeded | None


def capability_at(capability: Capability, index: int, release: Release) -> CapabilityAt:
    """Return ``capability`` as ``release`` has it."""
    return CapabilityAt(
        index=index,
        name=capability.name,
        property_name=capability.property_name,
        subsection=f"spapr/cap/{capability.subsection}",
        kind=capability.kind,
        values=at(capability.values, release),
        help=at(capability.help, release),
        needs=at(capability.needs, release),
        apply=capability.apply,
        migrated=capability.migrated.covers(release),
        migrate_needed=at(capability.migrate_needed, release),
    )


class LevelCheck(NamedTuple):
    """One comparison after migration: the incoming (or assumed) level and the destination's own."""

    name: str
    incoming: int
    own: int

    @property
    def message(self) -> str | None:
        """The destination's line (a warning is marked as one), or None if the levels are equal."""
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
        """True if this alone makes the load fail (-EINVAL)."""
        return self.incoming > self.own


#: Capabilities came with 2.12 and, because of Spectre, with the stable 2.11.1.
_SPECTRE: Points = ("2.11.1", "2.12")
_TRISTATE = ("broken", "workaround", "fixed")
_TRISTATE_HELP_2_12 = "broken - no protection, workaround - workaround available, fixed - fixed in hardware"
#: 2.11 has no help.
_TRISTATE_HELP = History("", ("2.12", _TRISTATE_HELP_2_12))
_FIXED_BY_KIND = ("broken", "workaround", "fixed-ibs", "fixed-ccd")
_IBS_HELP = (
    "broken - no protection, fixed-ibs - indirect branch serialisation, fixed-ccd - cache count disabled"
)
_IBS_HELP_4_0 = (
    "broken - no protection, workaround - count cache flush, fixed-ibs - indirect branch serialisation,"
    " fixed-ccd - cache count disabled, fixed-na - fixed in hardware (no longer applicable)"
)


def _not_pre_4_1(machine: OfType) -> bool:
    return not machine.flags.pre_4_1_migration


CAPABILITIES: tuple[Capability, ...] = (
    Capability("htm", "htm", 0, Span(_SPECTRE), needs=LOGICAL_2_07, apply=rules.htm),
    Capability("vsx", "vsx", 1, Span(_SPECTRE), needs=LOGICAL_2_06, apply=rules.vsx),
    Capability("dfp", "dfp", 1, Span(_SPECTRE), needs=LOGICAL_2_06, apply=rules.dfp),
    Capability(
        "cfpc",
        "cfpc",
        1,
        Span(_SPECTRE),
        Kind.STRING,
        _TRISTATE,
        _TRISTATE_HELP,
        # 2.11 never reduces the level; 2.12 required POWER9, which left POWER8 without protection.
        needs=History(0, ("2.12", LOGICAL_3_00), ("3.0", LOGICAL_2_07)),
        apply=rules.safe_cache,
    ),
    Capability(
        "sbbc",
        "sbbc",
        1,
        Span(_SPECTRE),
        Kind.STRING,
        _TRISTATE,
        _TRISTATE_HELP,
        needs=History(0, ("2.12", LOGICAL_2_06_PLUS)),
        apply=rules.safe_bounds_check,
    ),
    Capability(
        "ibs",
        "ibs",
        1,
        Span(_SPECTRE),
        Kind.STRING,
        History(_TRISTATE, ("2.12", _FIXED_BY_KIND), ("4.0", (*_FIXED_BY_KIND, "fixed-na"))),
        History("", ("2.12", _IBS_HELP), ("4.0", _IBS_HELP_4_0)),
        needs=History(0, ("2.12", LOGICAL_2_06)),
        apply=rules.safe_indirect_branch,
    ),
    Capability(
        "hpt-max-page-size",
        "hpt_maxpagesize",
        16,
        Span("3.0"),
        Kind.PAGE_SIZE,
        apply=rules.hpt_max_page_size,
        migrated=Span("4.1"),
        migrate_needed=History(None, ("4.1", _not_pre_4_1), ("10.2", None)),
    ),
    Capability("nested-hv", "nested_kvm_hv", 0, Span("3.1"), apply=rules.nested_hv),
    Capability("large-decr", "large_decr", 1, Span("4.0"), needs=LOGICAL_3_00, apply=rules.large_decrementer),
    Capability("ccf-assist", "ccf_assist", 1, Span("4.0"), apply=rules.ccf_assist),
    Capability("fwnmi", "fwnmi", 1, Span("5.0"), apply=rules.fwnmi),
    Capability("rpt-invalidate", "rpt_invalidate", 0, Span("6.1"), apply=rules.rpt_invalidate),
    Capability(
        "ail-mode-3",
        "ail_mode_3",
        1,
        Span("8.1"),
        needs=LOGICAL_2_07,
        apply=rules.ail_mode_3,
        migrated=Span(("8.2.5", "9.0.1", "9.1")),
    ),
    Capability("nested-papr", "nested_papr", 0, Span("9.0"), apply=rules.nested_papr),
    Capability("dawr1", "dawr1", 1, Span("10.0"), needs=LOGICAL_3_10, apply=rules.dawr1),
)
