"""Texts that people type, as the bytes of a field: numbers in any base, names, bytes, strings."""

from __future__ import annotations

import re

from vmstate.describe import Node, WireArray
from vmstate.errors import EncodeError
from vmstate.stream.wire import bytes_of
from vmstate.tree.as_json import leaf_bytes
from vmstate.tree.meanings import Meanings, words_for
from vmstate.tree.paths import Place

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")
#: Types whose length is what their text says.
ELASTIC = ("text", "counted text", "capability")


def bytes_of_text(place: Place, text: str, meanings: Meanings | None = None) -> bytes:
    """The bytes of a field for what somebody typed; as many as the field has, except for elastic texts.

    Numbers may have any base (0x…, 0o…, 0b…), capabilities and the like their names; bytes are hexadecimal
    digits (``hex:…``) or a string (``text:…``), which is filled up with zeros.  EncodeError for all else.
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
        return _numbers(node, text)
    return _raw(node, size, text)


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
    """A number in any base; EncodeError if it is none."""
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        pass
    try:
        return int(text)  # leading zeros
    except ValueError:
        raise EncodeError(f"{what}: {text!r} is neither a number nor a name that this field has") from None


def _numbers(node: Node, text: str) -> bytes:
    array = node.value
    assert isinstance(array, WireArray)
    values = [number_of(part.strip(), node.name) for part in text.split(",")]
    if len(values) == 1:
        values *= len(array)
    if len(values) != len(array):
        raise EncodeError(f"{node.name} has {len(array)} elements, not {len(values)}")
    return leaf_bytes(node.type, node.end - node.start, values)


def _raw(node: Node, size: int, text: str) -> bytes:
    if text.startswith("text:"):
        raw = bytes_of(text.removeprefix("text:"))
        if len(raw) > size:
            raise EncodeError(f"{node.name} has {size} bytes, the text {len(raw)}")
        return raw.ljust(size, b"\0")
    raw = hex_bytes(text, node.name)
    if len(raw) != size:
        raise EncodeError(f"{node.name} has {size} bytes, not {len(raw)}")
    return raw


def hex_bytes(text: str, what: str) -> bytes:
    """Bytes in hexadecimal digits; blanks and ``hex:`` are ignored.  EncodeError for anything else."""
    digits = re.sub(r"[\s:_]", "", text.removeprefix("hex:").removeprefix("0x"))
    if not _HEX.fullmatch(digits):
        raise EncodeError(f"{what}: {text[:40]!r} is not bytes in hexadecimal digits (or text:…)")
    return bytes.fromhex(digits)
