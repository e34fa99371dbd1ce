"""Fields as plain Python values: int, bool, str, bytes, None; lists of them; dicts for structs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from vmstate.describe import Node, WireArray, WireRecords
from vmstate.describe.infos import SCALARS
from vmstate.errors import EncodeError, quantity
from vmstate.tree.nodes import is_open, taken_apart

Value: TypeAlias = Any
"""An int, bool, str, bytes or None, or a list, tuple or dict of such values."""

_RAW = (str, bytes, bytearray, memoryview)
_AROUND = frozenset({"header", "footer"})


def value_of(data: memoryview, node: Node) -> Value:
    """Return the value of a node in ``data``, the bytes of its stream.

    Structs, sections and subsections are dicts by name, without headers and footers; arrays are lists.
    Bytes without a more specific type are bytes.
    """
    if isinstance(node.value, WireRecords):
        return [dict(zip(node.value.names, row, strict=True)) for row in _rows(node.value)]
    if is_open(node):
        inner = [child for child in node.children if child.kind not in _AROUND]
        if inner and all(child.name.startswith("[") for child in inner):
            return [value_of(data, child) for child in inner]
        return {child.name: value_of(data, child) for child in inner}
    if node.kind in ("section", "subsection", "struct", "element"):
        return {} if node.end == node.start or node.kind != "section" else _raw(data, node)
    return _leaf(data, node)


def differing(data: memoryview, node: Node, path: str, value: Value) -> Iterator[tuple[str, Value]]:
    """Yield the fields inside a node, by path, that have another value than ``value`` has for them.

    Raises EncodeError if a struct is not given as a mapping, or an array not as a sequence of its length.
    """
    if not is_open(node):
        if not _equal(value_of(data, node), value):
            yield path, value
        return
    if taken_apart(node) and isinstance(value, bytes | bytearray | memoryview):
        if _raw(data, node) != bytes(value):
            yield path, value
        return
    inner = {child.name: child for child in node.children if child.kind not in _AROUND}
    elements = [name for name in inner if name.startswith("[")]
    if isinstance(value, Mapping):
        pairs = [(str(name), one, f"{path}.{name}") for name, one in value.items()]
    elif elements and isinstance(value, Sequence) and not isinstance(value, _RAW):
        if len(elements) != len(value):
            raise EncodeError(f"takes {quantity(len(elements), 'element')}, not {len(value)}").inside(path)
        pairs = [(name, one, path + name) for name, one in zip(elements, value, strict=True)]
    else:
        takes = f"a list of {len(elements)}" if elements else "a dict"
        raise EncodeError(f"takes {takes}, not {type(value).__name__}").inside(path)
    for name, one, where in pairs:
        if name in inner:
            yield from differing(data, inner[name], where, one)
        else:
            yield where, one  # another name for a field in it, or none: looking it up will tell


def _equal(one: Value, other: Value) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except ValueError:  # numpy compares element by element
        return False


def _rows(records: WireRecords) -> list[tuple[Any, ...]]:
    return list(records.item.iter_unpack(records.raw))


def _leaf(data: memoryview, node: Node) -> Value:
    value = node.value
    if isinstance(value, WireArray):
        return list(value)
    if isinstance(value, list):
        return [bytes(one) if isinstance(one, bytearray | memoryview) else one for one in value]
    if isinstance(value, bool | int | str | tuple):
        return value
    if value is None and node.type in SCALARS:
        return int.from_bytes(_raw(data, node), "big", signed=SCALARS[node.type].code.islower())
    if value is None and (node.type == "nullptr" or node.end == node.start):
        return None
    return _raw(data, node)


def _raw(data: memoryview, node: Node) -> bytes:
    return bytes(data[node.start : node.end])
