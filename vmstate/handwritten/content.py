"""Bytes with known parts, as a wire type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from vmstate.describe import Node, VMStateDescription, decode
from vmstate.describe.infos import UINT8, Bytes
from vmstate.errors import StreamError

ByteOrder: TypeAlias = Literal["little", "big"]
"""The order of numbers that a guest reads."""

Read: TypeAlias = Callable[[memoryview, int, int], "list[Node]"]
"""Returns the parts of the bytes from a start to an end; StreamError if they are not as declared."""

MOST_BYTES = 1 << 21


class Content(Bytes):
    """Bytes that have parts: on the wire, and in a state, they are bytes like others.

    ``name`` is the type in the vmdesc.  The parts must follow one another without a gap: otherwise, or if
    ``read`` raises StreamError, there are none.  ``read`` gets one byte at least, and fewer than ``most``: no
    device sends more, and each part takes memory.
    """

    def __init__(self, name: str, read: Read, most: int = MOST_BYTES) -> None:
        super().__init__(name)
        self._read = read
        self._most = most

    def inside(self, data: memoryview, start: int, end: int) -> list[Node]:
        if not 0 < end - start < self._most:
            return []
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


def described(vmsd: VMStateDescription, version_id: int) -> Read:
    """Return what reads the fields of a description, of one version."""

    def read(data: memoryview, start: int, end: int) -> list[Node]:
        root, _, error = decode(vmsd, data, start, version_id, end=end)
        if error is not None:
            raise error
        return with_marks(data, root.nodes, start, root.end)

    return read


def with_marks(data: memoryview, nodes: list[Node], start: int, end: int) -> list[Node]:
    """Return nodes with one for each byte between them, which says if another element follows: ``more``."""
    found: list[Node] = []
    for node in nodes:
        found += [_mark(data, at) for at in range(start, node.start)]
        if node.nodes or node.value == []:
            node.nodes = with_marks(data, node.nodes, node.start, node.end)
        found.append(node)
        start = node.end
    return found + [_mark(data, at) for at in range(start, end)]


def _mark(data: memoryview, at: int) -> Node:
    return Node("more", "field", UINT8.name, at, at + 1, data[at])
