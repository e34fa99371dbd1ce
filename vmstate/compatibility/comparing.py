"""Two schemas compared: sections paired, each pair compared in both directions, and what was not compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from vmstate.compatibility.compat import compat_issues
from vmstate.compatibility.descriptions import Descriptions
from vmstate.compatibility.issue import Direction, Issue
from vmstate.compatibility.not_compared import unknown
from vmstate.compatibility.rules import RULES, Category
from vmstate.dataclass import dataclass, field, replace
from vmstate.errors import Severity
from vmstate.schema import Description, Knows, Origin, Schema

_BREAKING = (Category.WIRE, Category.LOAD, Category.SEMANTIC)


@dataclass(frozen=True)
class Comparison:
    """The issues between two schemas; ``pairs``: labels of both sides that were compared."""

    old: Schema
    new: Schema
    issues: tuple[Issue, ...]
    pairs: tuple[tuple[str, str], ...] = field(repr=False, default=())

    def compatible(self, direction: Direction) -> bool:
        """Return True if nothing at all is lost or read otherwise in a direction."""
        return not any(
            direction in issue.directions and RULES[issue.rule].category in _BREAKING for issue in self.issues
        )

    def breaks(self, direction: Direction) -> bool:
        """Return True if a rule of severity error applies in a direction."""
        return any(
            direction in issue.directions and RULES[issue.rule].severity is Severity.ERROR
            for issue in self.issues
        )


def compare(
    old: Schema,
    new: Schema,
    directions: Iterable[Direction] = tuple(Direction),
    uses: frozenset[str] = frozenset(),
) -> Comparison:
    """Compare two schemas.  ``uses``: sections that a machine has, wherever only one side knows them."""
    wanted = tuple(directions)
    pairs = _pairs(old, new)
    found: dict[Issue, list[str]] = {}
    dumps = old.origin is new.origin is Origin.DUMP
    for direction in wanted:
        forward = direction is Direction.FORWARD
        source, target = (old, new) if forward else (new, old)
        descriptions = Descriptions(source, target, direction)
        for one, other in pairs.both:
            ours, theirs = old.descriptions[one], new.descriptions[other]
            sides = (ours, theirs) if forward else (theirs, ours)
            for issue in descriptions.section(*sides):
                found.setdefault(issue, []).append(one)
            for issue in _names(*sides, (one, other), direction, dumps=dumps):
                found.setdefault(issue, []).append(one)
        for issue in _one_sided(source, target, pairs, direction, uses):
            found.setdefault(issue, [])
    for one, other in pairs.both:
        for issue in inner_names(old.descriptions[one], new.descriptions[other], wanted):
            found.setdefault(issue, []).append(one)
    merged = _both_ways(found)
    issues = [replace(issue, within=_within(issue, labels)) for issue, labels in merged.items()]
    issues += compat_issues(old, new, wanted)
    issues += unknown(old, new, pairs.both, wanted)
    return Comparison(old, new, tuple(sorted(issues, key=_order)), tuple(pairs.both))


def _order(issue: Issue) -> tuple[int, int, str, str]:
    rule = RULES[issue.rule]
    return (list(Severity).index(rule.severity), list(Category).index(rule.category), issue.path, issue.rule)


def _within(issue: Issue, labels: list[str]) -> tuple[str, ...]:
    owner = issue.path.partition(".")[0]
    return tuple(dict.fromkeys(label for label in labels if label != owner))


def inner_names(old: Description, new: Description, directions: tuple[Direction, ...]) -> Iterator[Issue]:
    """Yield the differences of inner descriptions that are not on the wire: names and versions."""
    names = [Counter(one.name for one in side.fields) for side in (old, new)]
    theirs = {one.name: one.vmsd for one in new.fields if names[1][one.name] == 1}
    for one in old.fields:
        other = theirs.get(one.name) if names[0][one.name] == 1 else None
        if one.vmsd is None or other is None or one.vmsd == other:
            continue
        path = f"{new.name}.{one.name}"
        if one.vmsd.name != other.name:
            message = "the inner description has another name"
            yield Issue("description.renamed", path, message, one.vmsd.name, other.name, directions)
        if one.vmsd.version_id != other.version_id:
            first, second = f"version {one.vmsd.version_id}", f"version {other.version_id}"
            message = "the inner description has another version"
            yield Issue("version.nested", path, message, first, second, directions)
        yield from inner_names(one.vmsd, other, directions)


def _both_ways(found: Mapping[Issue, list[str]]) -> dict[Issue, list[str]]:
    """Join issues that are the same in both directions."""
    merged: dict[Issue, list[str]] = {}
    for issue, labels in found.items():
        if issue.rule == "subsection.only-read" and _refused(issue, found):
            continue
        other = next((d for d in Direction if d not in issue.directions), None)
        twin = replace(issue, directions=(other,)) if other else None
        turned = _turned(issue, other)
        if issue.directions == (Direction.FORWARD,) and (twin in found or turned in found):
            both = replace(issue, directions=tuple(Direction))
            merged[both] = labels + found.get(twin or issue, []) + found.get(turned or issue, [])
        elif issue.directions == (Direction.BACKWARD,) and (twin in found or _original(issue) in found):
            continue
        else:
            merged[issue] = labels
    return merged


def _refused(issue: Issue, found: Mapping[Issue, list[str]]) -> bool:
    """Return True if the other direction has reported the subsection that only one side has."""
    rules = ("subsection.unknown", "subsection.always")
    return any(other.path == issue.path and other.rule in rules for other in found)


def _turned(issue: Issue, other: Direction | None) -> Issue | None:
    """Return the other direction's issue of the same difference: a removed field is an added one."""
    rule = {"field.removed": "field.added", "field.added": "field.removed"}.get(issue.rule)
    if rule is None or other is None:
        return None
    sent = rule == "field.removed"
    message = "the destination does not read the field" if sent else "the source does not send the field"
    return replace(issue, rule=rule, message=message, directions=(other,))


def _original(issue: Issue) -> Issue | None:
    return _turned(issue, Direction.FORWARD)


# ---- pairs of sections


@dataclass(frozen=True)
class _Pairs:
    both: list[tuple[str, str]]
    old_only: list[str]
    new_only: list[str]


def _pairs(old: Schema, new: Schema) -> _Pairs:
    """Pair the sections of both sides: by label, else by the names of descriptions, like ones first."""
    ours, theirs = _outer(old, new), _outer(new, old)
    alike = old.origin is new.origin
    both: list[tuple[str, str]] = []
    if alike and old.origin in (Origin.DUMP, Origin.STREAM):
        both += [(label, label) for label in ours if label in set(theirs)]
    used_old, used_new = {one for one, _ in both}, {other for _, other in both}
    groups: dict[str, list[str]] = {}
    for label in theirs:
        if label not in used_new or old.in_use != new.in_use:
            groups.setdefault(new.descriptions[label].name, []).append(label)
    repeated = old.in_use or new.in_use
    for alike_only in (True, False):
        for label in ours:
            if label in used_old:
                continue
            one = old.descriptions[label]
            candidates = groups.get(one.name, [])
            free = [c for c in candidates if c not in used_new] or (candidates if repeated else [])
            best = _best(one, {c: new.descriptions[c] for c in free}, alike_only=alike_only)
            if best is not None:
                both.append((label, best))
                used_old.add(label)
                used_new.add(best)
    if new.in_use and not old.in_use:
        both += list(_again(old, new, ours, theirs, used_new))
    return _Pairs(both, _without(ours, used_old), _without(theirs, used_new))


def _best(one: Description, others: Mapping[str, Description], *, alike_only: bool) -> str | None:
    """Return the label of the description that is most like another one."""
    alike = next((label for label, other in others.items() if _bare(other) == _bare(one)), None)
    if alike is not None or alike_only or not others:
        return alike
    return min(others, key=lambda label: _distance(one, others[label]))


def _bare(one: Description) -> tuple[object, ...]:
    """Return what the fields of a description are, without facts of the C structs."""
    return tuple((f.name, f.kind, f.size, f.count, f.version_id) for f in one.fields)


def _without(labels: list[str], used: set[str]) -> list[str]:
    return [label for label in labels if label not in used]


def _again(
    old: Schema, new: Schema, ours: list[str], theirs: list[str], used: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield pairs for the further sections of a stream that have one description of the old side."""
    by_name = {old.descriptions[label].name: label for label in reversed(ours)}
    for label in theirs:
        known = by_name.get(new.descriptions[label].name)
        if label not in used and known is not None:
            used.add(label)
            yield (known, label)


def _outer(schema: Schema, other: Schema) -> list[str]:
    """Return the labels that are not only parts of others: a part is compared where it is contained."""
    own, theirs = contained(schema), contained(other)
    standing = {one.name for one in other.descriptions.values() if id(one) not in theirs}
    return [
        label for label, one in schema.descriptions.items() if id(one) not in own or (one.name in standing)
    ]


def contained(schema: Schema) -> set[int]:
    """Return the places in memory of descriptions that are parts of others."""
    inner: set[int] = set()
    seen: set[int] = set()
    todo = list(schema.descriptions.values())
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            parts = list(one.inner())
            inner |= {id(part) for part in parts}
            todo += parts
    return inner


def _distance(one: Description, other: Description) -> int:
    names = {f.name for f in one.fields} ^ {f.name for f in other.fields}
    return len(names) + abs(len(one.fields) - len(other.fields))


# ---- beyond the layouts


def _names(
    source: Description, target: Description, labels: tuple[str, str], direction: Direction, *, dumps: bool
) -> Iterator[Issue]:
    """Yield issues about names, which are the sections' in the stream, and about what frames a section."""
    if source.opaque or target.opaque:
        return
    ways = (direction,)
    old, new = (source, target) if direction is Direction.FORWARD else (target, source)
    if old.name != new.name:
        yield Issue("device.idstr", new.name, "the section has another name", old.name, new.name, ways)
    elif dumps and labels[0] != labels[1]:
        message = "the device type has another name"
        yield Issue("device.renamed", new.name, message, labels[0], labels[1], ways)
    if old.priority != new.priority:
        first, second = str(old.priority), str(new.priority)
        yield Issue("priority.changed", new.name, "the priority differs", first, second, ways)
    oldest = (old.minimum_version_id, new.minimum_version_id)
    if None not in oldest and oldest[0] != oldest[1]:
        first, second = (f"accepts versions from {version} on" for version in oldest)
        yield Issue("version.window", new.name, "another oldest version is accepted", first, second, ways)


def _one_sided(
    source: Schema, target: Schema, pairs: _Pairs, direction: Direction, uses: frozenset[str]
) -> Iterator[Issue]:
    forward = direction is Direction.FORWARD
    mine, theirs = (pairs.old_only, pairs.new_only) if forward else (pairs.new_only, pairs.old_only)
    ways = (direction,)
    for label in mine:
        one = source.descriptions[label]
        old, new = ("has it", None) if forward else (None, "has it")
        described = target.origin is Origin.BINARY and not one.opaque
        complete = Knows.SECTIONS in target.knows or described
        used = source.in_use or one.name in uses or label in uses
        if used and complete:
            yield Issue("device.missing", label, "the destination has no such section", old, new, ways)
        elif used:
            rule = "not-compared.by-hand" if one.opaque else "not-compared.description"
            yield Issue(rule, label, "nothing is known of it on the destination", old, new, ways)
        elif not one.opaque:
            yield Issue("device.one-sided", label, "only one side has it", old, new, ways)
    if source.in_use:
        for label in theirs:
            one = target.descriptions[label]
            if one.name in uses or label in uses:
                old, new = (None, "has it") if forward else ("has it", None)
                yield Issue("device.reset", label, "the source does not send it", old, new, ways)
