"""One line for each field, with its whole path: ``cpu.env.nip=0x100``, for grep, and for ``vmstate edit``.

A line is a change that leaves everything as it is, up to the two blanks and ``#`` before a remark.  What has
no value that could be typed, or is too long, gets a remark only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from vmstate.describe import WireArray, WireRecords
from vmstate.describe.words import Meanings
from vmstate.errors import EncodeError, quantity
from vmstate.tree.contents import Contents
from vmstate.tree.display import text_of_value
from vmstate.tree.meanings import words_for
from vmstate.tree.nodes import count_of, is_open, is_uniform
from vmstate.tree.paths import Place, inside
from vmstate.tree.search import elements_of
from vmstate.tree.values import ELASTIC, bytes_of_text

_SMALL = 10
_QUIET = ("header", "footer")
_AROUND = ("section", "subsection", "item", "struct", "element", "array")


def flat_lines(
    contents: Contents, place: Place, owner: str, meanings: Meanings | None, *, most: int | None, full: bool
) -> Iterator[str]:
    """Yield a line for each field inside a place, or for the place itself.

    ``most``: the elements shown of an array, and the bytes of a buffer; None: all of them.  ``full``: headers
    and footers too.  ``owner``: the name of the description around what is inside.
    """
    node = place.node
    if count_of(node) and (is_uniform(node) or not is_open(node)):
        yield from _elements(contents, place, owner, meanings, most=most, full=full)
    elif not is_open(node):
        if node.end > node.start or node.kind not in _AROUND:
            yield line_of(contents, place, meanings, most=most)
    else:
        for inner, around in inside(place, owner):
            if full or inner.node.kind not in _QUIET:
                yield from flat_lines(contents, inner, around, meanings, most=most, full=full)


def _elements(
    contents: Contents, place: Place, owner: str, meanings: Meanings | None, *, most: int | None, full: bool
) -> Iterator[str]:
    count = count_of(place.node) or 0
    found = 0
    for inner in islice(elements_of(place), most):
        found += 1
        yield from flat_lines(contents, inner, owner, meanings, most=most, full=full)
    if not found:  # elements of different sizes
        yield line_of(contents, place, meanings, most=most)
    elif found < count:
        yield f"{place.path}[…]  # {count - found} more of {quantity(count, 'element')} (--elements)"


def line_of(contents: Contents, place: Place, meanings: Meanings | None, *, most: int | None) -> str:
    """Return the line of one thing: its path, its value as a change takes it, its meaning."""
    node = place.node
    if is_open(node) or node.kind in ("section", "subsection") or count_of(node) is not None:
        return f"{place.path}  # {_about(place)}"
    value = None
    if node.kind not in ("pages", "opaque"):
        value = typed(place, bytes(contents.stream.data[node.start : node.end]), most)
    if value is None:
        return f"{place.path}  # {text_of_value(node) or node.type}"
    words = words_for(meanings, place) if meanings is not None and type(node.value) is int else None
    name = words.text(node.value) if words is not None else None
    return f"{place.path}={value}" + (f"  # {name}" if name else "")


def typed(place: Place, raw: bytes, most: int | None) -> str | None:
    """Return a field's value as typed text that gives exactly its bytes; None if there is none."""
    text = _text(place, raw, most)
    if text is None or text != text.strip() or not text.isprintable():
        return None
    try:
        return text if bytes_of_text(place, text) == raw else None
    except EncodeError:
        return None


def _text(place: Place, raw: bytes, most: int | None) -> str | None:
    node = place.node
    if node.type in ELASTIC:
        return node.value if isinstance(node.value, str) else None
    if isinstance(node.value, bool) and raw in (b"\0", b"\1"):
        return "true" if node.value else "false"
    if isinstance(node.value, int):
        number = int(node.value) if not isinstance(node.value, bool) else int.from_bytes(raw, "big")
        return str(number) if number < _SMALL else f"{number:#x}"
    if node.value is None and node.type == "uint32":
        return f"{int.from_bytes(raw, 'big'):#x}"
    if most is not None and len(raw) > max(most, 16):
        return None
    return f"hex:{raw.hex()}" if raw else None


def _about(place: Place) -> str:
    node = place.node
    count = count_of(node)
    facts = [node.type if node.kind in ("field", "array") else node.kind]
    if count is not None:
        kind = node.value.type_name if isinstance(node.value, WireArray) else node.type
        facts = [f"{kind}[{count}]"]
        if isinstance(node.value, WireArray | WireRecords):
            facts.append(text_of_value(node))
    if node.version_id is not None:
        facts.append(f"version {node.version_id}")
    return ", ".join([*facts, quantity(node.end - node.start, "byte"), f"at {node.start:#x}"])
