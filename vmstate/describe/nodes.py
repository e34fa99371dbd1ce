"""A decoded section as a tree: every field with its offsets, type and value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vmstate.dataclass import dataclass, field
from vmstate.describe.arrays import WireArray, WireRecords
from vmstate.describe.words import Words

if TYPE_CHECKING:
    from vmstate.describe.infos import Info


@dataclass(slots=True)
class Node:
    """A named span of the wire, from ``start`` to ``end`` (absolute offsets).

    ``kind``: ``section``, ``field``, ``array``, ``struct``, ``element``, ``subsection``, ``header``.
    ``type``: the wire type as the vmdesc names it.  ``value``: a Python value, or a view.  ``words``: the
    names of values that the declaration gives.
    """

    name: str
    kind: str
    type: str
    start: int
    end: int
    value: Any = None
    version_id: int | None = None
    nodes: list[Node] = field(default_factory=list)
    words: Words | None = None

    @property
    def children(self) -> list[Node]:
        """The nodes inside; those of a uniform array of structs are made when they are first used."""
        if not self.nodes and isinstance(self.value, WireRecords):
            self.nodes = list(_records(self.value, self.start))
        return self.nodes

    def walk(self) -> Iterator[Node]:
        """Yield this node and all inside it, depth first, in wire order; uniform arrays are not opened."""
        yield self
        for child in self.nodes:
            if child.nodes:
                yield from child.walk()
            else:
                yield child

    def find(self, name: str) -> Node | None:
        """Return the first child of that name; None without one."""
        return next((n for n in self.children if n.name == name), None)


def _records(records: WireRecords, start: int) -> Iterator[Node]:
    layout = records.item.format.lstrip(">")
    for i in range(len(records)):
        at = start + i * records.item.size
        element = Node(f"[{i}]", "element", "struct", at, at + records.item.size)
        for name, code in zip(records.names, layout, strict=True):
            array = WireArray(code, b"")
            width = array.width
            element.nodes.append(
                Node(name, "field", array.type_name, at, at + width, getattr(records[i], name))
            )
            at += width
        yield element


Known = Callable[[str, str, str, int], "Info | None"]
"""Returns the wire type of a field by its description's name, its own name, its type's name and its size."""


class TreeBuilder:
    """Collects nodes while a plan loads; they remain if loading fails.

    ``known`` knows the inside of bytes that a description has as bytes only.
    """

    def __init__(self, root: Node, known: Known | None = None) -> None:
        self.root = root
        self.known = known
        self._open = [root]

    def open(self, node: Node) -> Node:
        """Begin a node inside the innermost open one."""
        self._open[-1].nodes.append(node)
        self._open.append(node)
        return node

    def look_inside(self, node: Node, info: Info, owner: str, data: memoryview) -> None:
        """Add the parts of a field that has been read; ``owner`` is the name of its description."""
        inner = info.inside(data, node.start, node.end)
        if not inner and self.known is not None and isinstance(node.value, bytes | memoryview):
            better = self.known(owner, node.name, node.type, node.end - node.start)
            inner = [] if better is None else better.inside(data, node.start, node.end)
        if inner:
            node.nodes += inner
            node.kind = "struct"

    def close(self, end: int, value: Any = None) -> None:
        """End the innermost open node."""
        node = self._open.pop()
        node.end = end
        if value is not None:
            node.value = value

    @property
    def innermost(self) -> Node:
        """The node that was opened last."""
        return self._open[-1]

    @property
    def depth(self) -> int:
        """The number of open nodes."""
        return len(self._open)

    def unwind(self, depth: int, end: int) -> None:
        """Close nodes until ``depth`` are open; after a failure they end where loading stopped."""
        while len(self._open) > depth:
            self.close(end)

    def element(self, index: int, start: int, version_id: object) -> Node:
        """Begin the node of an array's or queue's element."""
        version = version_id if isinstance(version_id, int) else None
        return self.open(Node(f"[{index}]", "element", "struct", start, start, version_id=version))

    def header(self, start: int, name_end: int, end: int) -> None:
        """Add a subsection's header: marker, length and name, then the version."""
        self._open[-1].nodes.append(Node("header", "header", "subsection header", start, name_end))
        self._open[-1].nodes.append(Node("version_id", "header", "uint32", name_end, end))
