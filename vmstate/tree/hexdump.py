"""Annotated bytes: offset, bytes in hexadecimal, their text, and the path of their field."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.describe import Node
from vmstate.errors import quantity
from vmstate.tree.contents import Contents
from vmstate.tree.nodes import is_open, is_uniform, marker
from vmstate.tree.paths import Place, inside

_ROW = 16
_ROWS = 4


def hexdump(contents: Contents, place: Place, owner: str, *, full: bool = False) -> Iterator[str]:
    """Yield the lines of a place and everything inside it; long values are cut short, unless ``full``."""
    for path, node in _leaves(place, owner, full):
        yield from _rows(contents.stream.data, node, path, full)


def _leaves(place: Place, owner: str, full: bool) -> Iterator[tuple[str, Node]]:
    node = place.node
    if not is_open(node) or (is_uniform(node) and not full):
        if node.end > node.start:
            yield place.path, node
        return
    at = node.start
    for inner, around in inside(place, owner):
        child = inner.node
        if child.start > at:
            yield f"{place.path}.(marker)", marker(at, child.start)
        yield from _leaves(inner, around, full)
        at = max(at, child.end)
    if node.end > at:
        yield f"{place.path}.(marker)", marker(at, node.end)


def _rows(data: memoryview, node: Node, path: str, full: bool) -> Iterator[str]:
    limit = node.end if full else min(node.end, node.start + _ROW * _ROWS)
    for at in range(node.start, limit, _ROW):
        row = bytes(data[at : min(at + _ROW, limit)])
        text = "".join(chr(sign) if 32 <= sign < 127 else "." for sign in row)
        name = path if at == node.start else ""
        yield f"{at:#010x}  {row.hex(' '):<{3 * _ROW - 1}}  {text:<{_ROW}}  {name}".rstrip()
    if limit < node.end:
        yield f"{'':10}  … {quantity(node.end - limit, 'byte')} more (--all)"
