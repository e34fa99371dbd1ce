"""Structs of fixed layout inside bytes: registers, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.dataclass import dataclass
from vmstate.describe import Node
from vmstate.describe.infos import BUFFER, LE16, LE32, LE64, UINT8, UINT16, UINT32, UINT64, Info, Scalar
from vmstate.describe.words import Words
from vmstate.errors import StreamError


@dataclass(frozen=True)
class Register:
    """One register: its name, wire type and size, and the names of its values."""

    name: str
    info: Info
    size: int
    words: Words | None = None

    def node(self, data: memoryview, at: int) -> Node:
        """Return the register at an offset."""
        raw = data[at : at + self.size]
        value = self.info.number(raw) if isinstance(self.info, Scalar) else raw
        return Node(self.name, "field", self.info.name, at, at + self.size, value, words=self.words)


def u8(name: str, words: Words | None = None) -> Register:
    """Declare a register of one byte."""
    return Register(name, UINT8, 1, words)


def le16(name: str, words: Words | None = None) -> Register:
    """Declare a little-endian register of 16 bits."""
    return Register(name, LE16, 2, words)


def le32(name: str, words: Words | None = None) -> Register:
    """Declare a little-endian register of 32 bits."""
    return Register(name, LE32, 4, words)


def le64(name: str, words: Words | None = None) -> Register:
    """Declare a little-endian register of 64 bits."""
    return Register(name, LE64, 8, words)


def be16(name: str, words: Words | None = None) -> Register:
    """Declare a big-endian number of 16 bits."""
    return Register(name, UINT16, 2, words)


def be32(name: str, words: Words | None = None) -> Register:
    """Declare a big-endian number of 32 bits."""
    return Register(name, UINT32, 4, words)


def be64(name: str, words: Words | None = None) -> Register:
    """Declare a big-endian number of 64 bits."""
    return Register(name, UINT64, 8, words)


def raw(name: str, size: int) -> Register:
    """Declare bytes without a meaning of their own."""
    return Register(name, BUFFER, size)


class Layout:
    """A struct: ``type`` is what a tree shows as its type."""

    def __init__(self, type_: str, *registers: Register) -> None:
        self.type = type_
        self.registers = registers
        self.size = sum(register.size for register in registers)

    def nodes(self, data: memoryview, at: int, end: int) -> list[Node]:
        """Return the registers from an offset on; StreamError if they do not end before ``end``."""
        if at + self.size > end:
            raise StreamError(f"{self.type} is cut off", offset=at)
        found = []
        for register in self.registers:
            found.append(register.node(data, at))
            at += register.size
        return found

    def node(self, name: str, data: memoryview, at: int, end: int, kind: str = "struct") -> Node:
        """Return the struct at an offset."""
        return Node(name, kind, self.type, at, at + self.size, nodes=self.nodes(data, at, end))


def at_least(layout: Layout) -> Callable[[memoryview, int, int], list[Node]]:
    """Return what reads a layout, and bytes without a meaning after it."""

    def read(data: memoryview, start: int, end: int) -> list[Node]:
        nodes = layout.nodes(data, start, end)
        at = nodes[-1].end
        return [*nodes, raw("more_registers", end - at).node(data, at)] if end > at else nodes

    return read


def gap(data: memoryview, origin: int, start: int, end: int) -> Node:
    """Return bytes that no declaration names, called by their offset from ``origin``: ``at_0x44``."""
    return Node(f"at_{start - origin:#04x}", "field", BUFFER.name, start, end, data[start:end])


def placed(
    data: memoryview, start: int, end: int, nodes: list[Node], border: int | None = None
) -> list[Node]:
    """Return nodes in order, with gaps for all bytes between them; StreamError if two overlap.

    No gap goes over ``border``: there it becomes two.
    """
    found: list[Node] = []
    at = start
    for node in sorted(nodes, key=lambda one: one.start):
        if node.start < at:
            raise StreamError(f"{node.name} overlaps what is before it", offset=node.start)
        found += _gaps(data, start, at, node.start, border)
        found.append(node)
        at = node.end
    if at > end:
        raise StreamError("the last part is cut off", offset=end)
    return found + _gaps(data, start, at, end, border)


def _gaps(data: memoryview, origin: int, start: int, end: int, border: int | None) -> list[Node]:
    if border is not None and start < border < end:
        return [gap(data, origin, start, border), gap(data, origin, border, end)]
    return [gap(data, origin, start, end)] if end > start else []
