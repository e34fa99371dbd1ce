"""One schema alone: declarations that are known to end in trouble, one rule for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from vmstate.compatibility.comparing import contained
from vmstate.compatibility.issue import Issue, subsection_path
from vmstate.compatibility.layout import QUEUES
from vmstate.compatibility.memory import memory_issues
from vmstate.compatibility.rules import RULES
from vmstate.errors import Severity
from vmstate.schema import Description, Knows, Origin, Schema

_FIRST = 1  # descriptions begin with version 0 or 1
_SIGNED = ("int8", "int16", "int32", "int64", "int32 le")


def lint(schema: Schema) -> tuple[Issue, ...]:
    """Return the issues of a schema; each description is linted once, wherever it is contained."""
    found: dict[Issue, None] = {}
    for note in schema.notes:
        found.setdefault(Issue("lint.not-read", schema.source, note))
    for one in _every(schema):
        for check in _CHECKS:
            for issue in check(one, schema):
                found.setdefault(issue)
    for issue in (*_orphans(schema), *_twice(schema), *_capabilities(schema)):
        found.setdefault(issue)
    order = list(Severity)
    return tuple(sorted(found, key=lambda i: (order.index(RULES[i.rule].severity), i.rule, i.path)))


def _every(schema: Schema) -> Iterator[Description]:
    seen: dict[int, Description] = {}
    todo = list(schema.descriptions.values())[::-1]
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            if not one.opaque:
                yield one
            todo += one.inner()


def _equal(one: Description, _schema: Schema) -> Iterator[Issue]:
    for field in one.fields:
        if field.kind is not None and field.kind.endswith(" equal"):
            yield Issue("lint.equal", f"{one.name}.{field.name}", f"the field is an {field.kind}")


def _versions(one: Description, schema: Schema) -> Iterator[Issue]:
    oldest = one.minimum_version_id
    if oldest is None or Knows.VERSIONS not in schema.knows:
        return
    if oldest > one.version_id:
        message = f"minimum_version_id is {oldest}, version_id {one.version_id}"
        yield Issue("lint.version.window", one.name, message)
        return
    for field in one.fields:
        path = f"{one.name}.{field.name}"
        if field.conditional or field.must_exist or field.kind in QUEUES or field.kind == "tmp":
            continue
        if field.version_id > one.version_id:
            message = f"the field needs version {field.version_id}, the newest is {one.version_id}"
            yield Issue("lint.field.never-sent", path, message)
        elif field.version_id > max(oldest, _FIRST):
            message = f"the field came with version {field.version_id}"
            yield Issue("lint.version.bumped", path, message)
    needed = {f.version_id for f in one.fields}
    if (
        one.version_id > max(oldest, _FIRST)
        and one.version_id not in needed
        and one.fields
        and "post_load" not in one.hooks
    ):
        message = f"version_id is {one.version_id}, and no field needs it"
        yield Issue("lint.version.needless", one.name, message)


def _subsections(one: Description, schema: Schema) -> Iterator[Issue]:
    for name, number in Counter(sub.name for sub in one.subsections).items():
        if number > 1:
            path, message = subsection_path(one.name, name), f"{number} subsections have this name"
            yield Issue("lint.subsection.duplicate", path, message)
    for sub in one.subsections:
        path = subsection_path(one.name, sub.name)
        if not sub.name.startswith(one.name) or len(sub.name) <= len(one.name):
            message = f"the name does not begin with {one.name}"
            yield Issue("lint.subsection.prefix", path, message)
        if not sub.conditional and Knows.CONDITIONS in schema.knows:
            yield Issue("lint.subsection.unneeded", path, "the subsection has no needed")


def _counts(one: Description, schema: Schema) -> Iterator[Issue]:
    if Knows.COUNTS not in schema.knows:
        return
    before: dict[str, str | None] = {}
    later = {field.name: field.kind or "" for field in one.fields}
    for field in one.fields:
        path = f"{one.name}.{field.name}"
        for number in (field.count, field.size):
            if not isinstance(number, str):
                continue
            if number in before:
                if before[number] in _SIGNED:
                    message = f"{number} is an {before[number]}"
                    yield Issue("lint.size.signed", path, message)
            elif number in later:
                if later[number].endswith(" equal"):
                    continue  # the destination's own number counts, and the incoming one must be the same
                yield Issue("lint.size.late", path, f"{number} comes after it")
            else:
                yield Issue("lint.size.unsent", path, f"{number or 'its number'} is not among the fields")
        before[field.name] = field.kind


def _structs(one: Description, schema: Schema) -> Iterator[Issue]:
    for field in one.fields:
        if field.kind in ("struct", "vstruct") and field.vmsd is None and not schema.in_use:
            yield Issue(
                "lint.struct.undescribed", f"{one.name}.{field.name}", "the struct has no description"
            )
    if one.fields or one.subsections or schema.in_use or one.unmigratable:
        return
    if "/" not in one.name:  # that a subsection is there may say enough
        yield Issue("lint.description.empty", one.name, "there are no fields and no subsections")


def _memory(one: Description, schema: Schema) -> Iterator[Issue]:
    if Knows.MEMORY in schema.knows:
        yield from memory_issues(one)


_CHECKS: tuple[Callable[[Description, Schema], Iterator[Issue]], ...] = (
    *(_equal, _versions, _subsections, _counts, _structs, _memory),
)


def _orphans(schema: Schema) -> Iterator[Issue]:
    """Yield descriptions that are named like a subsection of another, but that none contains."""
    parts = contained(schema)
    names = {one.name for one in schema.descriptions.values() if not one.opaque}
    for one in schema.descriptions.values():
        owner = one.name.rpartition("/")[0]
        if owner in names and id(one) not in parts and not schema.in_use and not one.opaque:
            yield Issue("lint.subsection.orphan", one.name, f"{owner} does not have it as a subsection")


def _twice(schema: Schema) -> Iterator[Issue]:
    """Yield sections of a stream whose state another section contains as a struct."""
    if schema.origin is not Origin.STREAM:
        return
    standing = {one: label for label, one in schema.descriptions.items() if not one.opaque}
    for label, one in schema.descriptions.items():
        for field in one.fields:
            other = standing.get(field.vmsd) if field.vmsd is not None else None
            if other is not None and other != label:
                message = f"section {other} sends the same description"
                yield Issue("lint.state.twice", f"{label}.{field.name}", message)


def _capabilities(schema: Schema) -> Iterator[Issue]:
    """Yield the capabilities that no subsection carries."""
    sent = {sub.name for one in _every(schema) for sub in one.subsections}
    for name in schema.capabilities:
        if name not in sent:
            yield Issue("lint.capability.unsent", name, "no description has this subsection")
