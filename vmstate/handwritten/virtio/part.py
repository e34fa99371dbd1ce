"""Bytes that a description describes: as a field of another description, and as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.describe import Cursor, Field, Node, Record, VMStateDescription, Writer, plan_of
from vmstate.describe.composites import with_node
from vmstate.describe.infos import Info
from vmstate.describe.nodes import TreeBuilder
from vmstate.errors import StreamError
from vmstate.handwritten.content import with_marks


class Part(Info):
    """The fields of a description, read into the state around; the description's name is the wire type."""

    def __init__(self, description: VMStateDescription) -> None:
        self.name = description.name
        self.description = description

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        plan = plan_of(self.description)
        plan.load(cur, state, plan.version_id)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(self.description).save(out, state)


class Listed(Info):
    """Elements that follow one another until there are zeros instead of an element's first number.

    ``width``: the bytes of that number; ``make`` returns the state of an element.
    """

    def __init__(
        self, name: str, element: VMStateDescription, width: int, make: Callable[[], Any] = Record
    ) -> None:
        self.name = name
        self.element = element
        self._zeros = bytes(width)
        self._make = make

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> list[Any]:
        found: list[Any] = []
        width = len(self._zeros)
        while cur.data[cur.pos : min(cur.pos + width, cur.end)] != self._zeros:
            element = self._make()
            with_node(cur, len(found), plan_of(self.element), element, 0)
            found.append(element)
        end = cur.pos
        cur.take(width)
        if cur.tree is not None:
            cur.tree.open(Node("end", "field", f"uint{8 * width}", end, cur.pos, 0))
            cur.tree.close(cur.pos)
        return found

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        for element in value or ():  # None in a state that nothing was read into
            plan_of(self.element).save(out, element)
        out.put(self._zeros)


def exactly(
    description: VMStateDescription, state: Any, data: memoryview, start: int, end: int
) -> Node | None:
    """Return a node with the parts of some bytes; None unless the description describes all of them."""
    root = Node("", "struct", description.name, start, end)
    plan, cur = plan_of(description), Cursor(data, start, end, tree=TreeBuilder(root))
    try:
        plan.load(cur, state, plan.version_id)
    except StreamError:
        return None
    if cur.pos != end:
        return None
    root.nodes = with_marks(data, root.nodes, start, end)
    return root
