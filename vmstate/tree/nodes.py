"""Nodes of the tree that a whole stream is: made when someone looks, and every byte in one of them.

The kinds of :class:`vmstate.describe.nodes.Node`, and for what is around devices: ``item`` (a part of the
framing), ``header``, ``footer``, ``pages`` (a run of page records), ``opaque`` (bytes without a meaning).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vmstate.describe import Node, WireArray, WireRecords

Expand = Callable[[], "list[Node]"]


@dataclass(slots=True)
class Branch(Node):
    """A node whose children are found when they are first asked for."""

    expand: Expand | None = None

    @property
    def children(self) -> list[Node]:
        """The nodes inside, in wire order."""
        if self.expand is not None:
            expand, self.expand = self.expand, None
            self.nodes = expand()
        return self.nodes


def leaf(name: str, kind: str, start: int, size: int, value: object = None) -> Node:
    """A field of the framing: ``kind`` is its wire type."""
    return Node(name, "field", kind, start, start + size, value)


def is_open(node: Node) -> bool:
    """Whether a node has others inside, without making those of uniform arrays."""
    return bool(node.nodes) or isinstance(node.value, WireRecords) or _expandable(node)


def _expandable(node: Node) -> bool:
    return isinstance(node, Branch) and node.expand is not None


def is_uniform(node: Node) -> bool:
    """Whether a node is a large array of like things, which stays closed unless somebody asks."""
    return isinstance(node.value, WireRecords) or (node.kind == "array" and _expandable(node))


def leaves(node: Node, *, uniform: bool = False) -> Iterator[Node]:
    """The nodes without others inside, in wire order; those of uniform arrays of structs only if asked for.

    Bytes of a node that none of its children has get a node of their own, named ``(marker)``: the marks
    between a queue's elements are such.
    """
    if not is_open(node) or (is_uniform(node) and not uniform):
        if node.end > node.start:
            yield node
        return
    at = node.start
    for child in node.children:
        if child.start > at:
            yield marker(at, child.start)
        yield from leaves(child, uniform=uniform)
        at = max(at, child.end)
    if node.end > at:
        yield marker(at, node.end)


def marker(start: int, end: int) -> Node:
    """Bytes between a composite's elements: what says that another one follows, or none."""
    return Node("(marker)", "field", "marker", start, end)


def element(node: Node, index: int) -> Node | None:
    """One element of an array's node; None beyond its end.

    Elements of arrays of numbers have no nodes until they are asked for here.
    """
    value = node.value
    if isinstance(value, WireArray):
        if not 0 <= index < len(value):
            return None
        at = node.start + index * value.width
        return Node(f"[{index}]", "field", node.type, at, at + value.width, value[index])
    if isinstance(value, WireRecords):
        return _one_record(node, value, index)
    found = next((child for child in node.children if child.name == f"[{index}]"), None)
    if found is None and not is_open(node) and isinstance(value, list) and 0 <= index < len(value):
        width, rest = divmod(node.end - node.start, len(value))
        if not rest:
            at = node.start + index * width
            return Node(f"[{index}]", "field", node.type, at, at + width, value[index])
    return found


def _one_record(node: Node, records: WireRecords, index: int) -> Node | None:
    if not 0 <= index < len(records):
        return None
    size = records.item.size
    raw = records.raw[index * size : (index + 1) * size]
    at = node.start + index * size
    single = Node("", "array", node.type, at, at + size, WireRecords(records.names, records.item, raw))
    made = single.children[0]
    made.name = f"[{index}]"
    return made


def tiles(start: int, end: int, nodes: Iterable[Node], name: Callable[[int, int], Node]) -> list[Node]:
    """``nodes`` (in order) with a node made by ``name`` for every span between them."""
    filled = []
    at = start
    for node in nodes:
        if node.start > at:
            filled.append(name(at, node.start))
        filled.append(node)
        at = node.end
    if end > at:
        filled.append(name(at, end))
    return filled
