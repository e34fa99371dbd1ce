"""The rules of the machine that a proposal may replace, each with QEMU's own as what it is now.

A rule of a device (``needed``, ``post_load``, …) is a hook of its description and is replaced there
(:class:`Hook`); these are the rules that stand outside of any description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

from vmstate.describe import VMStateDescription
from vmstate.describe.history import History, Release
from vmstate.errors import DeclarationError
from vmstate.pseries.rules import board as board_rules
from vmstate.pseries.rules.capability_levels import (
    LevelCheck,
    default_levels,
    effective_levels,
    given_levels,
    is_sent,
    post_migration,
)
from vmstate.pseries.rules.compat_register import arch_compat
from vmstate.pseries.rules.interrupts import interrupt_mode
from vmstate.pseries.tables.accelerators import Accelerator, Host
from vmstate.pseries.tables.capabilities import CapabilityAt
from vmstate.pseries.tables.machine_class import ClassFlags
from vmstate.pseries.tables.option_vectors import Ov5, offered, offers_gtse, tells_gtse


class MachineView(Protocol):
    """What a rule sees of a machine, while it starts and while it runs."""

    @property
    def release(self) -> Release:
        """The QEMU release."""

    @property
    def type_name(self) -> str:
        """The machine type: ``pseries-4.1``."""

    @property
    def flags(self) -> ClassFlags:
        """What the machine type switches."""

    @property
    def accelerator(self) -> Accelerator:
        """TCG, or KVM with its host."""

    @property
    def tcg(self) -> bool:
        """Whether this is TCG."""

    @property
    def host(self) -> Host | None:
        """The KVM host; None under TCG."""

    @property
    def ic_mode(self) -> str | None:
        """The option ``ic-mode`` as given; None where it was not."""

    @property
    def properties_given(self) -> tuple[str, ...]:
        """The machine properties that the command line set, in the order in which they were."""

    def can_run(self, pvr: int) -> bool:
        """Whether the processor can run the mode with this logical PVR, under max-cpu-compat."""

    def older_than(self, version: str) -> bool:
        """Whether the machine type is of an older version than this one."""


Levels = dict[str, int]


@dataclass(frozen=True)
class Rules:
    """What QEMU does.  Levels are by a capability's name without ``cap-``.

    ``default_levels``: those of the machine type, less what the processor cannot have
    (``default_caps_with_cpu``).  ``given_levels``: what counts as set on the command line; it gets what the
    ``cap-`` options set.  ``effective_levels``: what is in force, from both.  ``cap_needed``: whether a
    capability's subsection is sent.  ``post_migration``: the comparisons that a destination makes, of what
    came (or was assumed) with its own levels.  ``interrupt_mode``: xics, xive or dual, from the option and
    the levels in force.  ``offers_gtse``, ``option_vector_5``: what the machine offers at CAS;
    ``tells_gtse``: whether its device tree says that tlbie may be used.
    ``arch_compat``: the value that the ioctl for ``KVM_REG_PPC_ARCH_COMPAT`` writes when the mode goes from
    ``old`` to ``new``; None where it is not made.

    Those of :mod:`vmstate.pseries.rules.board` say there what they are: how many dummy presenters there are
    and whether a real one replaces its own, a DMA window's instance, whether a guest starts with radix, what
    a destination says of a process table, which PVR a processor goes on with, whether a pass over no hash
    table ends, whether pages of zeros are sent.
    """

    default_levels: Callable[[Any], Levels] = default_levels
    given_levels: Callable[[Any, Levels], Levels] = given_levels
    effective_levels: Callable[[Any, Levels, Levels], Levels] = effective_levels
    cap_needed: Callable[[Any, CapabilityAt], bool] = is_sent
    post_migration: Callable[[Any, Sequence[int]], list[LevelCheck]] = post_migration
    interrupt_mode: Callable[[Any, Mapping[str, int]], str] = interrupt_mode
    offers_gtse: Callable[[Any], bool] = offers_gtse
    tells_gtse: Callable[[Any], bool] = tells_gtse
    option_vector_5: Callable[[Any], set[Ov5]] = offered
    arch_compat: Callable[[Any, int, int], int | None] = arch_compat
    dummy_presenters: Callable[[Any], int] = board_rules.dummy_presenters
    presenter_replaces_dummy: Callable[[Any], bool] = board_rules.presenter_replaces_dummy
    table_instance: Callable[[Any, int, int], int] = board_rules.table_instance
    starts_radix: Callable[[Any], bool] = board_rules.starts_radix
    process_table_refusal: Callable[[Any, int], str | None] = board_rules.process_table_refusal
    pvr_after_load: Callable[[Any, int, int], int] = board_rules.pvr_after_load
    htab_pass_ends: Callable[[Any], bool] = board_rules.htab_pass_ends
    sends_zero_pages: Callable[[Any], bool] = board_rules.sends_zero_pages

    def replaced(self, rule: Rule) -> Rules:
        """These rules with one of them replaced; the new one gets the old as its first argument.

        Raises DeclarationError if there is no rule of that name.
        """
        if rule.name not in RULE_NAMES:
            raise DeclarationError(f"no such rule: {rule.name!r}; there are {', '.join(sorted(RULE_NAMES))}")
        return replace(self, **{rule.name: partial(rule.function, getattr(self, rule.name))})


#: The rules as QEMU has them.
QEMU_RULES = Rules()
RULE_NAMES = frozenset(f.name for f in fields(Rules))


class Rule(NamedTuple):
    """Another rule in the place of that of :class:`Rules` with this name."""

    name: str
    function: Callable[..., Any]


class Hook(NamedTuple):
    """Another hook (``needed``, ``pre_load``, ``post_load``, ``pre_save``) of the description named so.

    The function gets the hook that was there (or None) as its first argument, then what QEMU gives a hook.
    """

    description: str
    name: str
    function: Callable[..., Any]


HOOK_NAMES = frozenset({"needed", "pre_load", "post_load", "pre_save"})


class Redescribed(NamedTuple):
    """Another description in the place of that of this name: what ``function`` makes of the one merged."""

    description: str
    function: Callable[[VMStateDescription], VMStateDescription]


def checked_hook(hook: Hook) -> Hook:
    """The hook itself; raises DeclarationError if there is none of that name."""
    if hook.name not in HOOK_NAMES:
        raise DeclarationError(f"no such hook: {hook.name!r}; there are {', '.join(sorted(HOOK_NAMES))}")
    return hook


Change = Hook | Redescribed


@cache
def hooked(description: VMStateDescription, changes: tuple[Change, ...]) -> VMStateDescription:
    """``description`` with these changes in it and in its subsections; itself if none of them is its own."""
    changed: dict[str, Any] = {}
    own = [change for change in changes if change.description == description.name]
    for change in own:
        if isinstance(change, Redescribed):
            description = change.function(description)
    for change in own:
        if isinstance(change, Hook):
            merged = changed.get(change.name, getattr(description, change.name))
            changed[change.name] = _over(merged, change.function)
    parts = [hooked(part, changes) for part in description.subsections]
    if any(new is not old for new, old in zip(parts, description.subsections, strict=True)):
        changed["subsections"] = parts
    return replace(description, **changed) if changed else description


def _over(merged: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(merged, History):
        return partial(function, merged)
    changes = ((points, partial(function, value)) for points, value in merged.changes)
    return History(partial(function, merged.first), *changes)
