"""Values for people to read: short, and large numbers in hexadecimal too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmstate.describe import Node, Record, WireArray, WireRecords
from vmstate.describe.words import Meanings, Words
from vmstate.errors import quantity
from vmstate.stream.wire import is_zero
from vmstate.tree.meanings import words_of_number
from vmstate.tree.paths import Place

_SHOWN = 6
_SHOWN_BYTES = 16
_SMALL = 10
_NUMBER_BYTES = 8
_LOOKED_AT = 1 << 28  # more would take seconds, for a value of one line
BIT_FIELD = "bitmap"


def text_of_place(place: Place, meanings: Meanings | None = None, *, full: bool = False) -> str:
    """Return a value, followed by its name if it has one: ``0x0f000004 (power8)``."""
    words = None if meanings is None else words_of_number(meanings, place)
    return text_in_words(place.node, words, full=full)


def text_in_words(node: Node, words: Words | None, *, full: bool = False) -> str:
    """Return the value of a node, followed by its name if these words have one."""
    plain = text_of_value(node, full=full)
    name = words.text(node.value) if words is not None else None
    return plain if name is None else f"{plain} ({name})"


def text_of_value(node: Node, *, full: bool = False) -> str:
    """Return the value of a leaf node; ``full``: long values are not shortened."""
    value: Any = node.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _bits(value) if node.type == BIT_FIELD else number(value, node.end - node.start)
    if value is None and node.type == "nullptr":
        return "null"
    if value is None or isinstance(value, Record):  # its fields are shown below it
        return quantity(node.end - node.start, "byte") if node.end > node.start else ""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value) if len(value) <= 4096 or full else value, full, node.type)
    if isinstance(value, WireRecords):
        return f"{len(value)} × ({', '.join(value.names)})" + (", all zero" if is_zero(value.raw) else "")
    if isinstance(value, WireArray):
        return _numbers(value, value.width, full)
    if isinstance(value, tuple):
        return "(" + ", ".join(number(part, 8) for part in value) + ")"
    if isinstance(value, Sequence):
        return _elements(value)
    return str(value)


def _elements(values: Sequence[Any]) -> str:
    if values and all(type(value) is int for value in values[: _SHOWN + 1]):
        more = f", … ({len(values)})" if len(values) > _SHOWN else ""
        return ", ".join(map(_short, values[:_SHOWN])) + more
    raw = [bytes(v) for v in values[: _SHOWN + 1] if isinstance(v, bytes | bytearray | memoryview)]
    if not raw or len(raw) != min(len(values), _SHOWN + 1) or len(raw[0]) > _SHOWN_BYTES:
        return quantity(len(values), "element")
    if all(bytes(value) == raw[0] for value in values):
        return f"{len(values)} × {_short(int.from_bytes(raw[0], 'big'))}"
    more = f", … ({len(values)})" if len(values) > _SHOWN else ""
    return ", ".join(_short(int.from_bytes(one, "big")) for one in raw[:_SHOWN]) + more


def number(value: int, size: int) -> str:
    """Return a number: small ones in decimal, larger ones in hexadecimal too."""
    if -_SMALL < value < _SMALL:
        return str(value)
    if value < 0:
        return str(value)
    width = 2 * size if value >= 1 << 16 and size <= 4 else 0
    return f"{value} ({value:#0{width + 2}x})" if value < 1 << 32 else f"{value:#x}"


def _bits(value: int) -> str:
    places = [place for place in range(value.bit_length()) if value >> place & 1]
    return "bits {" + ", ".join(map(str, places[:64])) + (", …}" if len(places) > 64 else "}")


def _bytes(value: bytes | bytearray | memoryview, full: bool, kind: str) -> str:
    size = len(value)
    if not size:
        return "no bytes"
    head = bytes(value[:4096])
    if not any(head) and (size <= 4096 or is_zero(memoryview(value)[:_LOOKED_AT])):
        if size > _LOOKED_AT:
            return f"{quantity(size, 'byte')}, the first {_LOOKED_AT >> 20} MiB zero"
        return quantity(size, "zero byte")
    text = head.rstrip(b"\0")
    if size <= 4096 and len(text) > 1 and all(32 <= sign < 127 for sign in text):
        return repr(text.decode("ascii"))
    if size <= _NUMBER_BYTES and kind != "buffer":
        return "0x" + head.hex()
    if full or size <= _SHOWN_BYTES:
        return bytes(value).hex(" ", 4)
    return f"{quantity(size, 'byte')}: {head[:_SHOWN_BYTES].hex(' ', 4)} …"


def _numbers(values: WireArray, width: int, full: bool) -> str:
    count = len(values)
    if not count:
        return "no elements"
    first = bytes(values.raw[:width])
    if count > 1 and bytes(values.raw[: 1 << 16]) == first * min(count, (1 << 16) // width):
        if count * width <= 1 << 16 or bytes(values.raw) == first * count:
            return f"{count} × {_short(values[0])}"
    shown = values if full or count <= _SHOWN else values[:_SHOWN]
    more = f", … ({count})" if len(shown) < count else ""
    return ", ".join(map(_short, shown)) + more


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if -_SMALL < value < _SMALL else (f"{value:#x}" if value >= 0 else str(value))
