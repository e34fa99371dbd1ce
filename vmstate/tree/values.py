"""The bytes of a field, from a Python value or from text typed on a command line."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from vmstate.describe import Node, WireArray
from vmstate.describe.arrays import limits
from vmstate.describe.infos import SCALARS
from vmstate.describe.words import Meanings
from vmstate.errors import EncodeError, quantity
from vmstate.stream.wire import bytes_of
from vmstate.tree.as_json import leaf_bytes
from vmstate.tree.meanings import words_for
from vmstate.tree.nodes import count_of, element, is_open
from vmstate.tree.paths import Place

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_NOT_ARRAYS = (str, bytes, bytearray, memoryview, AbstractSet, Mapping)
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")
#: Types whose length is that of their text.
ELASTIC = ("text", "counted text", "capability")


def bytes_of_text(place: Place, text: str, meanings: Meanings | None = None) -> bytes:
    """Return the bytes of a field for typed text; their number is the field's, except for elastic texts.

    Numbers may have any base (0x…, 0o…, 0b…) or be names that the field knows.  Bytes are hexadecimal
    digits (``hex:…``) or a string (``text:…``) that is padded with zeros.  Raises EncodeError for other text.
    """
    node = place.node
    size = node.end - node.start
    if node.type in ELASTIC:
        return _elastic(node.type, text)
    if text.startswith(("hex:", "text:")):
        return _raw(node, size, text)
    if _is_number(node):
        return leaf_bytes(node.type, size, _number(place, text, meanings))
    if isinstance(node.value, WireArray):
        return _numbers(place, text)
    return _raw(node, size, text)


def every_element(place: Place, text: str, meanings: Meanings | None = None) -> bytes:
    """Return the bytes of an array all of whose elements have the value of some typed text."""
    count = count_of(place.node) or 0
    first = element(place.node, 0)
    size = place.node.end - place.node.start
    if first is None or (first.end - first.start) * count != size or is_open(first):
        raise EncodeError(f"{place.path} is not an array of values: [*] cannot set its elements")
    return bytes_of_text(Place(f"{place.path}[0]", (*place.chain, first)), text, meanings) * count


def bytes_of_value(place: Place, value: Any, meanings: Meanings | None = None) -> bytes:
    """Return the bytes of a field for a Python value; their number is the field's, except for elastic texts.

    Numbers take an int in the range of their wire type, or a name that the field knows; arrays take a
    sequence with exactly as many elements; text takes a str, everything else bytes.  Raises EncodeError,
    whose ``path`` says where, for any other value.
    """
    node = place.node
    size = node.end - node.start
    if node.type in ELASTIC:
        return _bytes_of_str(place.path, node.type, value)
    if _is_number(node):
        return _bytes_of_number(place.path, node.type, size, _named(place, value, meanings))
    if isinstance(node.value, WireArray):
        return _bytes_of_array(place, node.value, value)
    if isinstance(node.value, list) and not isinstance(value, bytes | bytearray | memoryview):
        return _bytes_of_elements(place, value, meanings)
    if isinstance(node.value, tuple) and not isinstance(value, bytes | bytearray | memoryview):
        return _bytes_of_tuple(place, node.value, value)
    if not size and value is None:  # an array of structs without elements
        return b""
    return _bytes_of_buffer(place.path, size, value)


def _bytes_of_str(path: str, kind: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise _wrong_type(path, "a str", value)
    try:
        return _elastic(kind, value)
    except UnicodeEncodeError:
        raise EncodeError(f"{value!r:.60} is not text that has bytes").inside(path) from None
    except EncodeError as error:
        error.inside(path)
        raise


def _named(place: Place, value: Any, meanings: Meanings | None) -> Any:
    """Return the number that a str names in this field; any other value as it is."""
    words = words_for(meanings, place) if meanings is not None and isinstance(value, str) else None
    named = words.value(value) if words is not None else None
    return value if named is None else named


def _bytes_of_number(path: str, kind: str, size: int, value: Any) -> bytes:
    if kind == "bool" and getattr(getattr(value, "dtype", None), "kind", None) == "b":
        value = bool(value)  # numpy's bool, which is no int
    try:
        number = operator.index(value)
    except TypeError:
        raise _wrong_type(path, "a bool" if kind == "bool" else "an int", value) from None
    if kind == "bitmap":
        low, high = 0, (1 << 8 * size) - 1
    elif kind == "bool":
        low, high = 0, 255  # any byte: damaged streams have other values than 0 and 1
    else:
        low, high = limits(size, signed=kind in SCALARS and SCALARS[kind].code.islower())
    if not low <= number <= high:
        raise EncodeError(f"{number} is outside the range of {kind}, {low} to {high}").inside(path)
    return leaf_bytes(kind, size, number)


def _bytes_of_array(place: Place, array: WireArray, value: Any) -> bytes:
    elements = _elements(place.path, len(array), value)
    kind, width = array.type_name, array.width
    return b"".join(
        _bytes_of_number(f"{place.path}[{index}]", kind, width, one) for index, one in enumerate(elements)
    )


def _bytes_of_elements(place: Place, value: Any, meanings: Meanings | None) -> bytes:
    """Return the bytes of an array whose elements are not numbers, such as buffers."""
    raw = b""
    for index, one in enumerate(_elements(place.path, len(place.node.value), value)):
        node = element(place.node, index)
        if node is None:
            size = place.node.end - place.node.start
            raise EncodeError(f"has elements of different sizes: give its {quantity(size, 'byte')}").inside(
                place.path
            )
        raw += bytes_of_value(Place(place.path + node.name, (*place.chain, node)), one, meanings)
    return raw


def _bytes_of_tuple(place: Place, old: tuple[Any, ...], value: Any) -> bytes:
    size = place.node.end - place.node.start
    width, rest = divmod(size, len(old) or 1)
    if rest or not all(isinstance(one, int) for one in old):
        raise EncodeError(f"has members of different sizes: give its {size} bytes").inside(place.path)
    return b"".join(
        _bytes_of_number(f"{place.path}[{index}]", f"uint{8 * width}", width, one)
        for index, one in enumerate(_elements(place.path, len(old), value))
    )


def _elements(path: str, count: int, value: Any) -> list[Any]:
    if isinstance(value, _NOT_ARRAYS) or not isinstance(value, Iterable):
        raise _wrong_type(path, f"a list of {quantity(count, 'value')}", value)
    elements = list(value)
    if len(elements) != count:
        raise EncodeError(f"takes {quantity(count, 'element')}, not {len(elements)}").inside(path)
    return elements


def _bytes_of_buffer(path: str, size: int, value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _wrong_type(path, quantity(size, "byte"), value)
    raw = bytes(value)
    if len(raw) != size:
        raise EncodeError(f"takes {quantity(size, 'byte')}, not {len(raw)}").inside(path)
    return raw


def _wrong_type(path: str, takes: str, value: Any) -> EncodeError:
    shown = repr(value) if isinstance(value, str | int | float | None) else ""
    return EncodeError(f"takes {takes}, not {type(value).__name__} {shown:.60}".rstrip()).inside(path)


def _is_number(node: Node) -> bool:
    return isinstance(node.value, int) or (node.value is None and node.type == "uint32")


def _elastic(kind: str, text: str) -> bytes:
    raw = bytes_of(text.removeprefix("text:"))
    if kind == "text":
        return raw
    if len(raw) > 255:
        raise EncodeError(f"a name has at most 255 bytes, this one {len(raw)}")
    return bytes([len(raw)]) + raw


def _number(place: Place, text: str, meanings: Meanings | None) -> int:
    words = words_for(meanings, place) if meanings is not None else None
    named = words.value(text) if words is not None else None
    if named is not None:
        return named
    if place.node.type == "bool" and text.lower() in _TRUE + _FALSE:
        return int(text.lower() in _TRUE)
    return number_of(text, place.path)


def number_of(text: str, what: str) -> int:
    """Read a number in any base; EncodeError if the text is not one."""
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        pass
    try:
        return int(text)  # leading zeros
    except ValueError:
        raise EncodeError(f"{what}: {text!r} is neither a number nor a name that this field has") from None


def _numbers(place: Place, text: str) -> bytes:
    node = place.node
    array = node.value
    assert isinstance(array, WireArray)
    values = [number_of(part.strip(), node.name) for part in text.split(",")]
    if len(values) == 1 and len(array) > 1:
        name, count = place.path, quantity(len(array), "element")
        raise EncodeError(f"{name} has {count}: {name}[*]={text} sets them all, {name}[0]={text} the first")
    if len(values) != len(array):
        raise EncodeError(f"{node.name} has {quantity(len(array), 'element')}, not {len(values)}")
    return leaf_bytes(node.type, node.end - node.start, values)


def _raw(node: Node, size: int, text: str) -> bytes:
    if text.startswith("text:"):
        raw = bytes_of(text.removeprefix("text:"))
        if len(raw) > size:
            raise EncodeError(f"{node.name} has {quantity(size, 'byte')}, the text {len(raw)}")
        return raw.ljust(size, b"\0")
    raw = hex_bytes(text, node.name)
    if len(raw) != size:
        raise EncodeError(f"{node.name} has {quantity(size, 'byte')}, not {len(raw)}")
    return raw


def hex_bytes(text: str, what: str) -> bytes:
    """Read bytes from hexadecimal digits; blanks and ``hex:`` are ignored.  EncodeError for other text."""
    digits = re.sub(r"[\s:_]", "", text.removeprefix("hex:").removeprefix("0x"))
    if not _HEX.fullmatch(digits):
        raise EncodeError(f"{what}: {text[:40]!r} is not bytes in hexadecimal digits (or text:…)")
    return bytes.fromhex(digits)
