"""Check that a description would send the fields that a stream's vmdesc lists.

Every entry must be one of the description's fields, in order, with its type and size; what is left out must
be what a state may leave out: a conditional or newer field, an array of no elements, a subsection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmstate.dataclass import dataclass
from vmstate.describe.from_vmdesc import Pairs, member, sent_groups
from vmstate.describe.vmdesc import unique_names
from vmstate.errors import StreamError
from vmstate.schema.model import Description, SchemaField

_NUMBERED = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)
#: What stands for an element that is a null pointer; before 10.0 the element's own type, of one byte.
_NULL = frozenset({"nullptr", "ptr-marker"})
_STRUCT = "struct"
#: The name of a description in a program that sets it at run time.
NAMED_LATER = "?"
_DEPTH = 64


@dataclass(frozen=True)
class Misfit:
    """A difference between what was sent and a description: the path of the field, and what differs."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def misfits(description: Description, entry: Pairs) -> list[Misfit]:
    """Return the differences; none if the entry of a vmdesc is what the description may send."""
    try:
        return list(_group(description, entry, description.name, _DEPTH))
    except StreamError as error:
        return [Misfit(description.name, error.message)]


def _group(description: Description, entry: Pairs, path: str, depth: int) -> Iterator[Misfit]:
    if not depth:
        yield Misfit(path, "nested too deeply")
        return
    version = member(entry, "version", int, description.version_id)
    name = member(entry, "vmsd_name", str, description.name)
    if description.name not in (name, NAMED_LATER):
        yield Misfit(path, f"{name} was sent, not {description.name}")
    if version > description.version_id:
        yield Misfit(
            path, f"version {version} was sent; the description is of version {description.version_id}"
        )
    yield from _fields(description, entry, version, path, depth)
    allowed = list(description.subsections)
    for sent in _objects(entry, "subsections"):
        title = member(sent, "vmsd_name", str)
        inner = f"{path}/{title}"
        # Two may have one name (cpu/tlb6xx before 9.1): the one that fits was sent.
        tried = [
            (place, list(_group(one, sent, inner, depth - 1)))
            for place, one in enumerate(allowed)
            if one.name == title
        ]
        if not tried:
            yield Misfit(inner, "the description has no such subsection, or in another place")
            return
        place, found = min(tried, key=lambda pair: len(pair[1]))
        yield from found
        del allowed[: place + 1]


def _objects(entry: Pairs, key: str) -> list[Pairs]:
    items = member(entry, key, list, [None])
    if items == [None]:
        return []
    if not all(isinstance(item, list) for item in items):
        raise StreamError(f"{key!r} is not a list of objects")
    return list(items)


def _fields(description: Description, entry: Pairs, version: int, path: str, depth: int) -> Iterator[Misfit]:
    names = unique_names(description.fields)
    sent = _objects(entry, "fields")
    at = -1  # the field that the previous entry was of
    counted = 0
    for one in sent:
        title = member(one, "name", str)
        again = 0 <= at < len(names) and title == names[at] and description.fields[at].count is not None
        if not again:
            if at >= 0:
                yield from _short(description.fields[at], counted, f"{path}.{names[at]}")
            found = next((i for i in range(at + 1, len(names)) if names[i] == title), None)
            if found is None:
                yield Misfit(f"{path}.{title}", "the description has no such field here")
                return
            yield from _left_out(description, names, at + 1, found, version, path)
            at, counted = found, 0
        counted += member(one, "array_len", int, 1)
        yield from _field(description.fields[at], one, f"{path}.{title}", depth)
    if at >= 0:
        yield from _short(description.fields[at], counted, f"{path}.{names[at]}")
    yield from _left_out(description, names, at + 1, len(names), version, path)


def _short(field: SchemaField, counted: int, path: str) -> Iterator[Misfit]:
    """Yield a misfit if an array of a fixed number was sent with another number."""
    if (
        isinstance(field.count, int)
        and not field.marked
        and counted not in {1, field.count}
        and field.count != counted
    ):
        yield Misfit(path, f"{counted} elements were sent, not {field.count}")


def _left_out(
    description: Description, names: list[str], begin: int, end: int, version: int, path: str
) -> Iterator[Misfit]:
    for i in range(begin, end):
        one = description.fields[i]
        optional = one.conditional or one.must_exist or one.version_id > version
        if not (optional or one.count == 0 or isinstance(one.count, str)):
            yield Misfit(f"{path}.{names[i]}", "not sent, though nothing makes it optional")


def _field(field: SchemaField, sent: Pairs, path: str, depth: int) -> Iterator[Misfit]:
    kind, size = member(sent, "type", str), member(sent, "size", int)
    if field.pointers and (kind in _NULL or size == 1):
        return
    if field.kind is not None and kind != field.kind:
        yield Misfit(path, f"type {kind} was sent, not {field.kind}")
    elif isinstance(field.size, int) and size != field.size:
        yield Misfit(path, f"{size} bytes were sent, not {field.size}")
    elif field.vmsd is not None:
        inner = [member(sent, _STRUCT, list)] if kind == _STRUCT else sent_groups(sent)
        for number, group in enumerate(inner):
            wanted = field.key if field.key is not None and number % 2 == 0 else field.vmsd
            if group:
                yield from _group(wanted, group, path, depth - 1)
