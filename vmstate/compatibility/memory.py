"""Fields in memory: those that overlap, and arrays that reach over what is behind them.

The facts come from a binary (VMStateField.offset, size, num, flags).  A field under a condition, or one that
needs another version, may share its memory with another on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vmstate.compatibility.issue import Issue
from vmstate.compatibility.layout import QUEUES
from vmstate.schema import Description, SchemaField

_ARRAY = 0x004
_POINTER = 0x002
_VARIABLE = 0x010 | 0x080 | 0x400 | 0x800  # VMS_VARRAY_*
_BUFFER_SIZE = 0x100  # VMS_VBUFFER
_POINTERS = 0x040  # VMS_ARRAY_OF_POINTER
_POINTER_SIZE = 8


class _Extent(NamedTuple):
    """The bytes of a field in its struct."""

    start: int
    end: int
    field: SchemaField
    fixed: bool


def memory_issues(one: Description) -> Iterator[Issue]:
    """Yield an issue for each field that reaches into another, or behind the end of the struct."""
    extents = sorted(
        (extent for field in one.fields if (extent := _extent(field)) is not None),
        key=lambda extent: extent[:2],
    )
    for i, first in enumerate(extents):
        for second in extents[i + 1 :]:
            if second.start >= first.end:
                break
            issue = _overlap(one, first, second)
            if issue is not None:
                yield issue
    size = one.facts.struct_size if one.facts else None
    for extent in extents:
        if size is not None and extent.end > size:
            path = f"{one.name}.{extent.field.name}"
            texts = (f"bytes {extent.start} to {extent.end - 1}", f"the struct has {size} bytes")
            yield Issue("lint.memory.beyond", path, "the field reaches behind its struct", *texts)


def _extent(field: SchemaField) -> _Extent | None:
    """Return the bytes that loading a field writes in the struct itself; None if that is not known."""
    facts = field.facts
    if facts is None or facts.offset is None or field.must_exist or field.kind in (*QUEUES, "tmp"):
        return None
    if field.kind == "unused_buffer":
        return None
    flags = facts.flags or 0
    if flags & _POINTER:
        return _Extent(facts.offset, facts.offset + _POINTER_SIZE, field, fixed=True)
    if flags & _VARIABLE or isinstance(field.count, str):
        return _Extent(facts.offset, facts.offset + 1, field, fixed=False)
    if flags & _BUFFER_SIZE or isinstance(field.size, str) or not facts.size or facts.size < 0:
        return None
    element = _POINTER_SIZE if flags & _POINTERS else facts.size
    count = facts.num if flags & _ARRAY and facts.num is not None else 1
    if facts.num and not flags and field.count:
        count = facts.num
    if count <= 0:
        return None
    start = facts.offset
    return _Extent(start, start + element * count, field, fixed=True)


def _overlap(one: Description, first: _Extent, second: _Extent) -> Issue | None:
    if first.field.conditional or second.field.conditional:
        return None  # one of them may be there in place of the other
    if not (first.fixed and second.fixed) or first.field.version_id != second.field.version_id:
        return None
    path = f"{one.name}.{first.field.name}"
    texts = (_bytes(first), _bytes(second))
    if (first.start, first.end) == (second.start, second.end):
        return Issue("lint.memory.twice", path, "two fields are the same member", *texts)
    if second.start >= first.start and second.end <= first.end and first.field.kind == "buffer":
        return Issue("lint.memory.twice", path, "a field is inside another", *texts)
    if second.start - first.start == _POINTER_SIZE and first.field.count is not None:
        return Issue("lint.pointer.array", path, "the array begins where there is room for a pointer", *texts)
    return Issue("lint.memory.overlap", path, "the field reaches into another one", *texts)


def _bytes(extent: _Extent) -> str:
    return f"{extent.field.name}: bytes {extent.start} to {extent.end - 1}"
