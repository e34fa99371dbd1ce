"""Non-volatile memory with partitions (CHRP, PAPR): hw/nvram/chrp_nvram.c, spapr_nvram.c, mac_nvram.c."""

from __future__ import annotations

from vmstate.describe import Node
from vmstate.describe.words import Names
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, be16, raw, u8

_UNIT = 16
_FREE = 0x7F
_HEADER = Layout(
    "nvram partition",
    u8("signature", Names({0x50: "firmware", 0x51: "IBM", 0x70: "system", _FREE: "free", 0xA0: "OS"})),
    u8("checksum"),
    be16("length"),
    raw("name", 12),
)


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    """Return the partitions; StreamError if they do not follow one another to the end, or have no names."""
    found: list[Node] = []
    at = start
    while at < end:
        registers = _HEADER.nodes(data, at, end)
        name = bytes(registers[3].value).rstrip(b"\0")
        size = int(registers[2].value) * _UNIT
        if size < _HEADER.size or at + size > end or not (name.isascii() and name.decode().isprintable()):
            raise StreamError("not a partition", offset=at)
        if size > _HEADER.size:
            registers.append(raw("data", size - _HEADER.size).node(data, at + _HEADER.size))
        found.append(Node(f"[{len(found)}]", "element", _HEADER.type, at, at + size, nodes=registers))
        at += size
    return found


NVRAM = Content("buffer", _read)
