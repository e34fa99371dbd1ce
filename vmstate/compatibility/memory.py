"""Fields in memory: those that overlap, and arrays that reach over what is behind them.

The facts come from a binary (VMStateField.offset, size, num, flags).  A struct covers what its description
names of it.  A field under a condition, or one that needs another version, may share its memory with another
on purpose; where a hand-written type keeps its value is known only for the elements of an array.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vmstate.compatibility.issue import Issue
from vmstate.compatibility.layout import BYTES, WIDTHS
from vmstate.schema import Description, SchemaField

_POINTER = 0x002
_ARRAY = 0x004
_POINTERS = 0x040  # VMS_ARRAY_OF_POINTER
_VARIABLE = 0x010 | 0x080 | 0x400 | 0x800  # VMS_VARRAY_*
_BUFFER_SIZE = 0x100  # VMS_VBUFFER
_POINTER_SIZE = 8
_DEPTH = 8
_ELEMENTS = 64  # structs of an array that are looked at


class _Extent(NamedTuple):
    """Bytes of a struct that loading a field writes."""

    start: int
    end: int
    field: SchemaField

    def __str__(self) -> str:
        return f"{self.field.name}: bytes {self.start} to {self.end - 1}"


def memory_issues(one: Description) -> Iterator[Issue]:
    """Yield an issue for each field that reaches into others, or behind the end of the struct."""
    extents = sorted(
        (extent for field in one.fields for extent in _extents(field, 0, _DEPTH)),
        key=lambda extent: (extent.start, -extent.end),
    )
    for i, first in enumerate(extents):
        reached: dict[str, _Extent] = {}
        for second in extents[i + 1 :]:
            if second.start >= first.end:
                break
            if _apart(first, second):
                continue
            reached.setdefault(second.field.name, second)
        if reached:
            yield _issue(one, first, list(reached.values()))
    yield from _beyond(one, extents)


def _apart(first: _Extent, second: _Extent) -> bool:
    """Return True if two fields may have the same memory: never both of them are loaded."""
    fields = (first.field, second.field)
    return (
        first.field is second.field
        or any(field.conditional for field in fields)
        or first.field.version_id != second.field.version_id
    )


def _issue(one: Description, first: _Extent, reached: list[_Extent]) -> Issue:
    path = f"{one.name}.{first.field.name}"
    second = reached[0]
    more = f", and {len(reached) - 1} more" if len(reached) > 1 else ""
    texts = (str(first), f"{second}{more}")
    if (first.start, first.end) == (second.start, second.end):
        return Issue("lint.memory.twice", path, "two fields are the same member", *texts)
    if second.start - first.start == _POINTER_SIZE and first.field.count is not None:
        return Issue("lint.pointer.array", path, "the array begins where there is room for a pointer", *texts)
    return Issue("lint.memory.overlap", path, "the field reaches into another one", *texts)


def _beyond(one: Description, extents: list[_Extent]) -> Iterator[Issue]:
    size = one.facts.struct_size if one.facts else None
    for extent in extents:
        if (
            size is not None
            and extent.end > size
            and (extent.field.count is not None or extent.start >= size)
        ):
            path = f"{one.name}.{extent.field.name}"
            texts = (str(extent), f"the struct has {size} bytes")
            yield Issue("lint.memory.beyond", path, "the field reaches behind its struct", *texts)


def _extents(field: SchemaField, base: int, depth: int) -> Iterator[_Extent]:
    """Yield the bytes of the struct that loading a field writes, as far as they are known."""
    facts = field.facts
    if (
        facts is None
        or facts.offset is None
        or field.must_exist
        or field.kind == "unused_buffer"
        or not depth
    ):
        return
    start, flags = base + facts.offset + (facts.start or 0) * (facts.size or 0), facts.flags or 0
    array = bool(flags & _ARRAY)
    count = (facts.num or 0) if array else 1
    if flags & (_POINTER | _VARIABLE | _BUFFER_SIZE) or count <= 0:
        return
    if flags & _POINTERS:
        yield _Extent(start, start + _POINTER_SIZE * count, field)
    elif field.kind in ("struct", "vstruct") and field.vmsd is not None:
        for i in range(min(count, _ELEMENTS)):
            for inner in field.vmsd.fields:
                at = start + i * (facts.size or 0)
                if not inner.conditional:
                    found = _extents(inner, at, depth - 1)
                    yield from (_Extent(first, end, field) for first, end, _ in found)
    elif facts.size and (field.kind in WIDTHS or field.kind in BYTES or array):
        yield _Extent(start, start + facts.size * count, field)
