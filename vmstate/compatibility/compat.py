"""Compat properties of machine types: a new property must be turned off for every type of the old release."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.compatibility.issue import Direction, Issue
from vmstate.schema import CompatProperty, Schema


def compat_issues(old: Schema, new: Schema, directions: tuple[Direction, ...]) -> Iterator[Issue]:
    """Yield compat properties that came with the new release, in the list of a type that is too old.

    Lists add up: what a type sets, each older one sets too.  So a property that came for the types of the old
    release is set by the newest of them.
    """
    common = [name for name in new.machines if name in old.machines]
    if not common:
        return
    newest = common[0]
    given = {entry[:2] for entry in new.machines[newest]}
    seen: set[CompatProperty] = set()
    for name in common[1:]:
        before = {entry[:2] for entry in old.machines[name]}
        for entry in new.machines[name]:
            if entry[:2] in before or entry[:2] in given or entry in seen:
                continue
            seen.add(entry)
            driver, prop, value = entry
            message = f"{name} has it since the new release, {newest} has not"
            yield Issue("compat.version", f"{driver}.{prop}", message, None, value, directions)
