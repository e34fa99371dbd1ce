"""Nodes of a whole stream's tree: made on demand, and every byte belongs to one.

They have the kinds of :class:`vmstate.describe.nodes.Node` and, around devices, ``item`` (a part of the
framing), ``header``, ``footer``, ``pages`` (a run of page records) and ``opaque`` (bytes without a meaning).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vmstate.dataclass import dataclass
from vmstate.describe import Node, WireArray, WireRecords

Expand = Callable[[], "list[Node]"]


@dataclass(slots=True)
class Branch(Node):
    """A node whose children are made when they are first used."""

    expand: Expand | None = None

    @property
    def children(self) -> list[Node]:
        """The nodes inside, in wire order."""
        if self.expand is not None:
            expand, self.expand = self.expand, None
            self.nodes = expand()
        return self.nodes


def leaf(name: str, kind: str, start: int, size: int, value: object = None) -> Node:
    """Return a field of the framing; ``kind`` is its wire type."""
    return Node(name, "field", kind, start, start + size, value)


def is_open(node: Node) -> bool:
    """Return True if a node has others inside; those of uniform arrays are not made for it."""
    return bool(node.nodes) or type(node.value) is WireRecords or _expandable(node)


def _expandable(node: Node) -> bool:
    return isinstance(node, Branch) and node.expand is not None


def taken_apart(node: Node) -> bool:
    """Return True if a node is bytes that QEMU writes by hand, whose parts are known: it can be set whole."""
    return bool(node.nodes) and isinstance(node.value, bytes | memoryview)


def is_uniform(node: Node) -> bool:
    """Return True if a node is a large array of uniform elements, which is not opened by default."""
    return isinstance(node.value, WireRecords) or (node.kind == "array" and isinstance(node, Branch))


def leaves(node: Node, *, uniform: bool = False) -> Iterator[Node]:
    """Yield the nodes without others inside, in wire order; ``uniform``: also those of arrays of structs.

    Bytes of a node that belong to none of its children, such as the marks between a queue's elements, get a
    node of their own, named ``(marker)``.
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
    """Return the node of the bytes between a composite's elements, which say if another one follows."""
    return Node("(marker)", "field", "marker", start, end)


def element(node: Node, index: int) -> Node | None:
    """Return one element of an array's node; None beyond its end.

    Nodes for the elements of an array of numbers are made only here.
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


def count_of(node: Node) -> int | None:
    """Return the number of an array's elements; None for anything else."""
    if isinstance(node.value, WireArray | WireRecords | list):
        return len(node.value)
    return len(node.children) if node.kind == "array" and is_open(node) else None


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
    """Return ``nodes`` (in order) with a node made by ``name`` for every span between them."""
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
