"""A flattened device tree, as ``<libfdt/fdt.h>`` has it: nodes and properties by name.

The tokens before names and values, and the bytes that align them, are headers and footers of these.
"""

from __future__ import annotations

import struct

from vmstate.describe import Node, WireArray
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, be32, be64, placed, raw

_BEGIN, _END_NODE, _PROPERTY, _NOP, _END = 1, 2, 3, 4, 9
_MAGIC = 0xD00DFEED
_DEEPEST = 32
_HEADER = Layout(
    "fdt header",
    *(
        be32(name)
        for name in (
            *("magic", "totalsize", "off_dt_struct", "off_dt_strings", "off_mem_rsvmap", "version"),
            *("last_comp_version", "boot_cpuid_phys", "size_dt_strings", "size_dt_struct"),
        )
    ),
)
_RESERVED = Layout("fdt reserve entry", be64("address"), be64("size"))
_PROPERTY_HEAD = struct.Struct(">III")
_WORD = struct.Struct(">I")


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    header = _HEADER.node("header", data, start, end)
    facts = {node.name: int(node.value) for node in header.nodes}
    if facts["magic"] != _MAGIC or facts["totalsize"] > end - start:
        raise StreamError("not a flattened tree", offset=start)
    strings = start + facts["off_dt_strings"], start + facts["off_dt_strings"] + facts["size_dt_strings"]
    if strings[1] > end:
        raise StreamError("the names are cut off", offset=start)
    names = data[strings[0] : strings[1]].tobytes()
    structure = start + facts["off_dt_struct"]
    if structure + facts["size_dt_struct"] > end:
        raise StreamError("the structure is cut off", offset=start)
    root = _Structure(data, structure, structure + facts["size_dt_struct"], names).root()
    reserved = _reservations(data, start + facts["off_mem_rsvmap"], end)
    found = [header, reserved, *root, raw("strings", len(names)).node(data, strings[0])]
    return placed(data, start, end, [node for node in found if node.end > node.start])


def _reservations(data: memoryview, at: int, end: int) -> Node:
    """Return the list of reserved memory, with its end."""
    found: list[Node] = []
    start = at
    while not found or any(data[at - _RESERVED.size : at]):
        found.append(_RESERVED.node(f"[{len(found)}]", data, at, end, "element"))
        at = found[-1].end
    return Node("reserved", "array", _RESERVED.type, start, at, nodes=found)


class _Structure:
    """The structure block, read token by token."""

    def __init__(self, data: memoryview, start: int, end: int, names: bytes) -> None:
        self.data = data
        self.at = start
        self.start = start
        self.end = end
        self.names = names

    def root(self) -> list[Node]:
        """Return the root node and the mark at the end of the block."""
        top = Node("", "struct", "fdt node", self.start, self.end)
        inside = [top]
        while True:
            at, token = self.at, self._word()
            if token == _BEGIN and len(inside) <= _DEEPEST:
                inside.append(self._begin(inside[-1], at))
            elif token == _END_NODE and len(inside) > 1:
                node = inside.pop()
                node.nodes.append(self._leaf("end", "footer", at))
                node.end = self.at
            elif token == _PROPERTY and len(inside) > 1:
                self._property(inside[-1], at)
            elif token == _NOP:
                inside[-1].nodes.append(self._leaf("nop", "header", at))
            elif token == _END and len(inside) == 1 and self.at == self.end:
                return [*top.nodes, self._leaf("end", "footer", at)]
            else:
                raise StreamError("not a token of a flattened tree", offset=at, found=token)

    def _word(self) -> int:
        if self.at + _WORD.size > self.end:
            raise StreamError("the structure is cut off", offset=self.at)
        number: int = _WORD.unpack_from(self.data, self.at)[0]
        self.at += _WORD.size
        return number

    def _leaf(self, name: str, kind: str, start: int) -> Node:
        return Node(name, kind, "fdt token", start, self.at, self.data[start : self.at])

    def _align(self, at: int) -> None:
        self.at = at + (self.start - at) % _WORD.size
        if self.at > self.end:
            raise StreamError("the structure is cut off", offset=at)

    def _begin(self, around: Node, start: int) -> Node:
        """Open a node; its header has its name, with the zero behind it and the alignment."""
        length = self.data[self.at : min(self.at + 256, self.end)].tobytes().find(b"\0")
        if length < 0:
            raise StreamError("a name does not end", offset=self.at)
        name = _name(self.data[self.at : self.at + length].tobytes() or b"root", start)
        self._align(self.at + length + 1)
        node = Node(name, "struct", "fdt node", start, self.at, nodes=[self._leaf("begin", "header", start)])
        around.nodes.append(node)
        return node

    def _property(self, around: Node, start: int) -> None:
        self.at = start
        if start + _PROPERTY_HEAD.size > self.end:
            raise StreamError("a property is cut off", offset=start)
        _, size, offset = _PROPERTY_HEAD.unpack_from(self.data, start)
        ends = self.names.find(b"\0", offset)
        if ends <= offset or start + _PROPERTY_HEAD.size + size > self.end:
            raise StreamError("a property has no name, or is cut off", offset=start)
        self.at = start + _PROPERTY_HEAD.size
        around.nodes.append(self._leaf("property", "header", start))
        value = self.at
        name = _name(self.names[offset:ends], start)
        around.nodes.append(_value(name, self.data, value, value + size))
        self._align(value + size)
        if self.at > value + size:
            around.nodes.append(self._leaf("padding", "footer", value + size))


def _name(raw_name: bytes, at: int) -> str:
    """Return a name; StreamError if it has characters that no name has."""
    name = raw_name.decode("latin-1")
    if not (name.isascii() and name.isprintable()) or name.startswith("["):
        raise StreamError("not a name", offset=at)
    return name


def _value(name: str, data: memoryview, start: int, end: int) -> Node:
    """Return a property's value: text, a number, numbers, or bytes."""
    raw_value = data[start:end]
    text = raw_value.tobytes() if len(raw_value) <= 256 else b""
    words = text[:-1].split(b"\0") if text.endswith(b"\0") else [b""]
    if not all(word and word.isascii() and word.decode().isprintable() for word in words):
        if len(raw_value) == _WORD.size:
            return be32(name).node(data, start)
        if raw_value and not len(raw_value) % _WORD.size:
            return Node(name, "array", "uint32", start, end, WireArray("I", raw_value))
    return raw(name, end - start).node(data, start)


FLAT_TREE = Content("buffer", _read)
