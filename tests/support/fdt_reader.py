"""A simple reader of flattened trees, and their one random part."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

BEGIN_NODE, END_NODE, PROPERTY, END = 1, 2, 3, 9
SEED_NAME, SEED_SIZE = b"rng-seed\0", 32
STALE = 2  # bytes of the seed that show in the padding of the property before it


@dataclass
class Read:
    """A node: its properties and subnodes in the order of the file."""

    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list[Read] = field(default_factory=list)

    def at(self, path: str) -> Read:
        node = self
        for name in filter(None, path.split("/")):
            node = next(child for child in node.children if child.name == name)
        return node


def header(blob: bytes) -> dict[str, int]:
    names = "magic total structure names reserved version compatible boot_cpu names_size structure_size"
    return dict(zip(names.split(), struct.unpack_from(">10I", blob), strict=True))


def read(blob: bytes) -> Read:
    head = header(blob)
    names = blob[head["names"] : head["names"] + head["names_size"]]
    at, open_nodes, top = head["structure"], [], None
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN_NODE:
            end = blob.index(b"\0", at)
            node = Read(blob[at:end].decode())
            if open_nodes:
                open_nodes[-1].children.append(node)
            open_nodes.append(node)
            at = end + 4 & ~3
        elif token == PROPERTY:
            size, name = struct.unpack_from(">2I", blob, at)
            key = names[name : names.index(b"\0", name)].decode()
            assert key not in open_nodes[-1].properties
            open_nodes[-1].properties[key] = blob[at + 8 : at + 8 + size]
            at = at + 8 + size + 3 & ~3
        elif token == END_NODE:
            top = open_nodes.pop()
        else:
            assert token == END
            assert top is not None
            assert not open_nodes
            assert at == head["structure"] + head["structure_size"]
            return top


def seed_at(blob: bytes) -> int | None:
    """Return the offset of the random seed; None in trees without one."""
    head = header(blob)
    name = blob[head["names"] :].find(SEED_NAME)
    if name < 0:
        return None
    return blob.index(struct.pack(">3I", PROPERTY, SEED_SIZE, name), head["structure"]) + 12


def seed(blob: bytes) -> bytes:
    at = seed_at(blob)
    return bytes(SEED_SIZE) if at is None else blob[at : at + SEED_SIZE]


def without_seed(data: bytes) -> bytes:
    """Return bytes that contain a tree, with zeros for its seed."""
    start = data.index(struct.pack(">I", 0xD00DFEED))
    blob = data[start:]
    at = seed_at(blob)
    if at is None:
        return data
    masked = bytearray(blob)
    masked[at : at + SEED_SIZE] = bytes(SEED_SIZE)
    masked[at - 12 - STALE : at - 12] = bytes(STALE)
    return data[:start] + bytes(masked)
