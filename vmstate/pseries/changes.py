"""Changes that a proposal, or a user's own release, makes to declarations: rules, hooks, subsections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from vmstate.dataclass import dataclass, field, fields, replace
from vmstate.describe import VMStateDescription
from vmstate.describe.history import History
from vmstate.errors import DeclarationError
from vmstate.pseries.machine import Rules
from vmstate.savevm.entries import Entry

RULE_NAMES = frozenset(f.name for f in fields(Rules))


class Rule(NamedTuple):
    """A replacement for the rule of :class:`Rules` with this name."""

    name: str
    function: Callable[..., Any]


class Hook(NamedTuple):
    """A replacement for a hook (``needed``, ``pre_load``, ``post_load``, ``pre_save``) of a description.

    The function gets the previous hook (or None) as its first argument, then the arguments of a hook.
    """

    description: str
    name: str
    function: Callable[..., Any]


def with_rule(rules: Rules, rule: Rule) -> Rules:
    """Return ``rules`` with one of them replaced; the new one gets the old as its first argument.

    Raises DeclarationError for an unknown name.
    """
    if rule.name not in RULE_NAMES:
        raise DeclarationError(f"no such rule: {rule.name!r}; rules: {', '.join(sorted(RULE_NAMES))}")
    return replace(rules, **{rule.name: partial(rule.function, getattr(rules, rule.name))})


HOOK_NAMES = frozenset({"needed", "pre_load", "post_load", "pre_save"})


class Redescribed(NamedTuple):
    """A replacement for the description of this name: the result of ``function`` for the merged one."""

    description: str
    function: Callable[[VMStateDescription], VMStateDescription]


def checked_hook(hook: Hook) -> Hook:
    """Return the hook.  Raises DeclarationError for an unknown name."""
    if hook.name not in HOOK_NAMES:
        raise DeclarationError(f"no such hook: {hook.name!r}; hooks: {', '.join(sorted(HOOK_NAMES))}")
    return hook


Change = Hook | Redescribed


@cache
def hooked(description: VMStateDescription, changes: tuple[Change, ...]) -> VMStateDescription:
    """Return ``description`` with the changes to it and its subsections; itself if there are none."""
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


@dataclass(frozen=True, eq=False)
class Subsection:
    """An additional subsection, the last of the description named ``to`` (``cpu``, ``spapr``, …).

    ``reset``: the attributes that it adds to the device's state, with their values after reset.  Its own span
    (``Since("11.2", …)``) gives the releases that have it.
    """

    to: str
    description: VMStateDescription
    reset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A unique name: the description that it is in, and its name on the wire."""
        return f"{self.to}: {self.description.name}"


@cache
def _extended(description: VMStateDescription, more: tuple[VMStateDescription, ...]) -> VMStateDescription:
    return replace(description, subsections=[*description.subsections, *more])


def change_descriptions(
    subsections: Sequence[Subsection], hooks: tuple[Change, ...], entries: Iterable[Entry]
) -> None:
    """Give registered sections their additional subsections, with the state, and their replaced hooks."""
    for entry in entries:
        description = getattr(entry, "description", None)
        if not isinstance(description, VMStateDescription):
            continue
        added = [one for one in subsections if one.to == description.name]
        if added:
            description = _extended(description, tuple(one.description for one in added))
            for one in added:
                vars(entry).update(one.reset)
        vars(entry)["description"] = hooked(description, hooks)
