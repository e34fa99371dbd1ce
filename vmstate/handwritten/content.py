"""Bytes with known parts, as a wire type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from vmstate.describe import Node, VMStateDescription, decode
from vmstate.describe.infos import UINT8, UINT32, UINT64, Bytes
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


#: What stands between the elements of queues, lists and trees (migration/vmstate-types.c put_gtree), in its
#: order: the number of a tree's nodes, 1 before each element and 0 at the end, a node's key.
_BETWEEN = (("count", UINT32, 4), ("more", UINT8, 1), ("key", UINT64, 8))


def with_marks(data: memoryview, nodes: list[Node], start: int, end: int) -> list[Node]:
    """Return nodes with others for the bytes between them, which say if another element follows."""
    found: list[Node] = []
    for node in nodes:
        found += _between(data, start, node.start)
        if node.nodes or node.value == []:
            node.nodes = with_marks(data, node.nodes, node.start, node.end)
        found.append(node)
        start = node.end
    return found + _between(data, start, end)


def _between(data: memoryview, start: int, end: int) -> list[Node]:
    size = end - start
    kinds = [one for one in _BETWEEN if size & one[2]]
    if sum(width for _, _, width in kinds) != size:
        kinds = [("more", UINT8, 1)] * size
    found = []
    for name, info, width in kinds:
        value = int.from_bytes(data[start : start + width], "big")
        found.append(Node(name, "field", info.name, start, start + width, value))
        start += width
    return found
