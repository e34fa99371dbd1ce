"""Bytes with known parts, as a wire type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from vmstate.describe import Node
from vmstate.describe.infos import Bytes
from vmstate.errors import StreamError

Read: TypeAlias = Callable[[memoryview, int, int], "list[Node]"]
"""Returns the parts of the bytes from a start to an end; StreamError if they are not as declared."""


class Content(Bytes):
    """Bytes that have parts: on the wire, and in a state, they are bytes like others.

    ``name`` is the type in the vmdesc.  The parts must follow one another without a gap: otherwise, or if
    ``read`` raises StreamError, there are none.
    """

    def __init__(self, name: str, read: Read) -> None:
        super().__init__(name)
        self._read = read

    def inside(self, data: memoryview, start: int, end: int) -> list[Node]:
        try:
            nodes = self._read(data, start, end)
        except StreamError:
            return []
        return nodes if covers(nodes, start, end) else []


def covers(nodes: Sequence[Node], start: int, end: int) -> bool:
    """Return True if nodes, and those inside them, follow one another from ``start`` to ``end``."""
    for node in nodes:
        if node.start != start or (node.nodes and not covers(node.nodes, node.start, node.end)):
            return False
        start = node.end
    return start == end
