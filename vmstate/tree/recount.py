"""Counts and lengths: the arrays and buffers that they count are resized, and the vmdesc is updated.

Only a declaration says which field counts which.  It must read the section, and give the exact text of its
entry in the vmdesc.
"""

from __future__ import annotations

from typing import Any

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Field, VMStateDescription, WireArray, WireRecords, plan_of
from vmstate.describe.vmdesc import VmdescWriter
from vmstate.errors import EncodeError, Unsupported
from vmstate.tree.additions import inner_description
from vmstate.tree.contents import Contents
from vmstate.tree.decoded import Decoded, replayed
from vmstate.tree.paths import Place

_MOST = 1 << 24


@dataclass(frozen=True)
class Recounted:
    """A section's payload and entry with another count; ``entry`` is None without a vmdesc."""

    payload: bytes
    entry: bytes | None


def counted_by(contents: Contents, place: Place) -> tuple[Decoded, Field, list[Field]] | None:
    """Return the section by our declaration, the field at ``place``, and those it counts; None if none."""
    section = place.section
    inside = place.chain[1:-1]
    if section is None or any(node.kind != "subsection" for node in inside):
        return None
    decoded = contents.declared(section)
    if decoded is None or decoded.error is not None or decoded.description is None:
        return None
    owner = inner_description(decoded.description, inside)
    field = _field(owner, place.node.name)
    if owner is None or field is None or field.attr is None:
        return None
    users = [one for one in owner.fields if field.attr in (one.count, one.size)]
    return (decoded, field, users) if users else None


def _field(owner: VMStateDescription | None, name: str) -> Field | None:
    if owner is None:
        return None
    return next((field for field in owner.fields if field.name == name), None)


def recount(contents: Contents, decoded: Decoded, field: Field, users: list[Field], value: int) -> Recounted:
    """Return the section with another count; new elements are zeros.

    Raises Unsupported if the vmdesc, or the kind of the new elements, cannot be determined.
    """
    section, state = decoded.section, decoded.state
    entry = contents.entries.text_of(section)
    writer = None if entry is None else _writer(decoded, entry)
    if not 0 <= value <= _MOST:
        raise EncodeError(f"{field.name}: {value} elements are more than a stream could have")
    setattr(state, str(field.attr), value)
    for one in users:
        setattr(state, str(one.attr), _resized(one, getattr(state, str(one.attr)), value * one.multiply))
    payload = replayed(decoded)
    if payload is None or decoded.description is None:
        raise Unsupported(f"{section} cannot be written again", section=section.idstr)
    if writer is None:
        return Recounted(payload, None)
    text = writer.device(plan_of(decoded.description), section.idstr, section.instance_id, state)
    return Recounted(payload, text.encode())


def _writer(decoded: Decoded, entry: bytes) -> VmdescWriter:
    section, declared = decoded.section, decoded.declared
    assert declared is not None
    assert decoded.description is not None
    for release in declared.releases:
        writer = replace(VmdescWriter.at(release), replay=True)
        ids = (section.idstr, section.instance_id)
        if writer.device(plan_of(decoded.description), *ids, decoded.state).encode() == entry:
            return writer
    message = "the vmdesc is not as any release would write it, so it cannot follow the count"
    raise Unsupported(message, section=section.idstr)


def _resized(field: Field, value: Any, count: int) -> Any:
    if isinstance(value, WireArray):
        return WireArray(value.code, _cut(value.raw, count * value.width))
    if isinstance(value, WireRecords):
        return WireRecords(value.names, value.item, _cut(value.raw, count * value.item.size))
    if isinstance(value, bytes | bytearray | memoryview):
        return _cut(value, count)
    if isinstance(value, list) and count <= len(value):
        return value[:count]
    if isinstance(value, int):
        return value & ((1 << count) - 1)
    raise Unsupported(f"{field.name} cannot grow: the kind of its elements is not known")


def _cut(raw: bytes | bytearray | memoryview, size: int) -> bytes:
    return bytes(raw[:size]).ljust(size, b"\0")


def common(one: bytes, other: bytes) -> int:
    """Return the number of equal bytes at the beginning of both."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
