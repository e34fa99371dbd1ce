"""Everything that a comparison leaves out, with numbers: it is never silent about that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmstate.compatibility.issue import Direction, Issue
from vmstate.schema import Description, Knows, Schema


def unknown(
    old: Schema, new: Schema, pairs: Sequence[tuple[str, str]], directions: tuple[Direction, ...]
) -> Iterator[Issue]:
    """Yield one issue for each kind of thing that could not be compared, with their number."""
    if old.machine and new.machine and old.machine != new.machine:
        message = "the two sides are of different machine types"
        yield Issue("machine.differs", "*", message, old.machine, new.machine, directions)
    for schema in (old, new):
        for note in schema.notes:
            yield Issue("not-compared.source", schema.source, note, directions=directions)
    counts = _Counts()
    for label, other in pairs:
        counts.add(old.descriptions[label])
        counts.add(new.descriptions[other])
    untyped = _lacking(Knows.TYPES, old, new)
    if untyped:
        message = f"no types in {untyped}: a changed type of the same size is not found"
        yield Issue("not-compared.types", "*", message, directions=directions)
    for rule, what, count in (
        ("not-compared.by-hand", "part is written by hand|parts are written by hand",
         counts.by_hand),
        ("not-compared.conditions", "condition is|conditions are", counts.conditions),
        ("not-compared.hooks", "hook is|hooks are", counts.hooks),
    ):  # fmt: skip
        if count:
            one, many = what.split("|")
            text = f"{count} {one if count == 1 else many}" + (" C code" if "hand" not in what else "")
            message = f"{text}: only that both sides have them was compared"
            yield Issue(rule, "*", message, directions=directions)
    unversioned = _lacking(Knows.VERSIONS, old, new)
    if unversioned:
        message = f"{unversioned}: the oldest version that is accepted is not known"
        yield Issue("not-compared.versions", "*", message, directions=directions)
    sent = _lacking(Knows.UNSENT, old, new)
    if sent:
        message = f"{sent}: only what one state sends was compared"
        yield Issue("not-compared.unsent", "*", message, directions=directions)


def _lacking(fact: Knows, *schemas: Schema) -> str:
    """Return the sources that do not know something, in words; empty if all do."""
    return " and ".join(dict.fromkeys(one.source for one in schemas if fact not in one.knows))


class _Counts:
    """Numbers of things that are code; each description counts once."""

    def __init__(self) -> None:
        self.by_hand = self.conditions = self.hooks = 0
        self._seen: dict[int, Description] = {}

    def add(self, one: Description) -> None:
        """Count what a description, and those inside it, have."""
        if id(one) in self._seen:
            return
        self._seen[id(one)] = one
        self.by_hand += one.opaque
        self.conditions += one.conditional
        self.hooks += len(one.hooks)
        for each in one.fields:
            self.conditions += each.conditional
            self.by_hand += each.size is None and each.vmsd is None and each.kind is not None
        for part in one.inner():
            self.add(part)
