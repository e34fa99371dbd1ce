"""Flattened device trees, laid out byte for byte as libfdt's read-write functions lay them out.

New properties and subnodes go before the existing ones, so the newest comes first (fdt_setprop,
fdt_add_subnode of libfdt).  Property names go into one table when they are first used; a name that is the
end of another one in the table shares its bytes (fdt_find_string_).

A value is padded to whole words, and the padding keeps the bytes that were there before libfdt moved the
rest of the tree up.  Trees are therefore built here as in libfdt: by moving bytes in one piece of memory.
"""

from __future__ import annotations

import struct

MAGIC = 0xD00DFEED
VERSION = 17
BEGIN_NODE, END_NODE, PROPERTY, END = 1, 2, 3, 9
HEADER = struct.Struct(">10I")
WORD = 4

_RESERVATION = struct.Struct(">2Q")
_PROPERTY = struct.Struct(">3I")
_TAG = struct.Struct(">I")
_EMPTY = struct.pack(">4I", BEGIN_NODE, 0, END_NODE, END)


def cells(*values: int) -> bytes:
    """Return 32-bit numbers as a property holds them."""
    return struct.pack(f">{len(values)}I", *values)


def _aligned(size: int) -> int:
    return size + WORD - 1 & -WORD


class Node:
    """A node under construction.  ``front``: its bytes before the properties."""

    __slots__ = ("_properties", "children", "front", "parent", "properties_size", "tree")

    def __init__(self, tree: Tree, parent: Node | None, name_size: int) -> None:
        self.tree = tree
        self.parent = parent
        self.children: list[Node] = []
        self.front = WORD + _aligned(name_size + 1)
        self._properties: dict[str, int] = {}
        self.properties_size = 0

    @property
    def size(self) -> int:
        """Its bytes with everything inside it."""
        return self.front + self.properties_size + sum(child.size for child in self.children) + WORD

    @property
    def offset(self) -> int:
        """The offset at which the node begins now."""
        parent = self.parent
        if parent is None:
            return self.tree.structure
        at = parent.offset + parent.front + parent.properties_size
        for sibling in reversed(parent.children):
            if sibling is self:
                break
            at += sibling.size
        return at

    def place_of(self, name: str) -> int:
        """Return the offset at which a property begins now, or where a new one would."""
        at = self.offset + self.front
        if name in self._properties:
            for newer in reversed(self._properties):
                if newer == name:
                    break
                at += self._properties[newer]
        return at

    def add(self, name: str) -> Node:
        """Add a subnode and return it (fdt_add_subnode)."""
        text = name.encode()
        child = Node(self.tree, self, len(text))
        self.tree.begin(self, text, child.size)
        self.children.append(child)
        return child

    def set(self, name: str, value: bytes = b"") -> None:
        """Add a property, or replace the value of an existing one in place (fdt_setprop)."""
        size = _PROPERTY.size + _aligned(len(value))
        old = self._properties.get(name, 0)
        self.tree.put(self, old, name, value)
        self._properties[name] = size
        self.properties_size += size - old

    def cells(self, name: str, *values: int) -> None:
        """Set a property of 32-bit numbers."""
        self.set(name, cells(*values))

    def text(self, name: str, value: str) -> None:
        """Set a string property (fdt_setprop_string)."""
        self.set(name, value.encode() + b"\0")


class Tree:
    """A tree in memory: header, reserved regions, structure, names of properties.

    ``room``: the initial number of bytes; the memory grows as needed.
    """

    def __init__(self, room: int = 1 << 15) -> None:
        self._memory = memoryview(bytearray(room))
        self.structure = HEADER.size + _RESERVATION.size
        self._end = self.structure + len(_EMPTY)
        self._memory[self.structure : self._end] = _EMPTY
        self.root = Node(self, None, 0)
        self._names = bytearray()
        self._offsets: dict[str, int] = {}

    def _take(self, size: int) -> None:
        """Grow the memory to at least ``size`` bytes."""
        have = len(self._memory)
        if size > have:
            self._memory = memoryview(bytearray(self._memory.tobytes().ljust(2 * max(size, have), b"\0")))

    def _splice(self, at: int, old: int, new: int) -> None:
        """Replace ``old`` bytes at ``at`` by room for ``new``, moving what follows (fdt_splice_)."""
        end = self._end
        self._end = end + new - old
        self._take(self._end)
        self._memory[at + new : self._end] = self._memory[at + old : end]

    def begin(self, parent: Node, name: bytes, size: int) -> None:
        """Insert an empty node of that name and size."""
        at = parent.offset + parent.front + parent.properties_size
        self._splice(at, 0, size)
        body = _TAG.pack(BEGIN_NODE) + name
        self._memory[at : at + size] = body.ljust(size - WORD, b"\0") + _TAG.pack(END_NODE)

    def put(self, node: Node, old: int, name: str, value: bytes) -> None:
        """Insert a property; ``old``: the bytes of an existing one of that name, which it replaces, or 0."""
        offset = self.name(name)
        at = node.place_of(name)
        size, data = len(value), at + _PROPERTY.size
        if old:
            self._splice(data, old - _PROPERTY.size, _aligned(size))
        else:
            self._splice(at, 0, _PROPERTY.size + _aligned(size))
        _PROPERTY.pack_into(self._memory, at, PROPERTY, size, offset)
        self._memory[data : data + size] = value

    def name(self, name: str) -> int:
        """Return the offset of a name in the table, where it is put if it is not there."""
        offset = self._offsets.get(name)
        if offset is None:
            key = name.encode() + b"\0"
            offset = self._names.find(key)
            if offset < 0:
                offset = len(self._names)
                self._names += key
                self._append(key)
            self._offsets[name] = offset
        return offset

    def _append(self, key: bytes) -> None:
        self._take(self._end + len(key))
        self._memory[self._end : self._end + len(key)] = key
        self._end += len(key)

    def reserve(self, address: int, size: int) -> None:
        """Reserve a region of memory (fdt_add_mem_rsv)."""
        at = self.structure - _RESERVATION.size
        self._splice(at, 0, _RESERVATION.size)
        _RESERVATION.pack_into(self._memory, at, address, size)
        self.structure += _RESERVATION.size

    def pack(self, last_compatible: int) -> bytes:
        """Return the tree as bytes (fdt_pack); it cannot be changed any longer.

        ``last_compatible``: the oldest version of the format that the header claims compatibility with.
        """
        names = len(self._names)
        places = (self._end, self.structure, self._end - names, HEADER.size)
        sizes = (names, self._end - names - self.structure)
        HEADER.pack_into(self._memory, 0, MAGIC, *places, VERSION, last_compatible, 0, *sizes)
        packed = bytes(self._memory[: self._end])
        self._memory.release()  # nodes refer to one another and to the tree, and may stay for a while
        return packed


class Measured(Tree):
    """A tree that is not laid out, as only its size is wanted."""

    def __init__(self) -> None:
        super().__init__(HEADER.size + _RESERVATION.size + len(_EMPTY))

    @property
    def size(self) -> int:
        """Its bytes as a packed tree."""
        return self._end

    def begin(self, parent: Node, name: bytes, size: int) -> None:
        """Insert an empty node of that size."""
        self._end += size

    def put(self, node: Node, old: int, name: str, value: bytes) -> None:
        """Insert a property, or replace one that takes ``old`` bytes."""
        self.name(name)
        self._end += _PROPERTY.size + _aligned(len(value)) - old

    def _append(self, key: bytes) -> None:
        self._end += len(key)

    def reserve(self, address: int, size: int) -> None:
        """Reserve a region of memory."""
        self._end += _RESERVATION.size
