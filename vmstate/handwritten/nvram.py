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


def _checksum(header: bytes) -> int:
    """Return the sum of a header's other bytes, with the carries added (chrp_nvram_finish_partition)."""
    total = header[0]
    for byte in header[2:]:
        total += byte
        if total >= 256:
            total = total - 256 + 1
    return total


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    """Return the partitions; StreamError if they are not one after the other, with right checksums."""
    found: list[Node] = []
    at = start
    while at < end:
        registers = _HEADER.nodes(data, at, end)
        header = bytes(data[at : at + _HEADER.size])
        size = int(registers[2].value) * _UNIT
        if size < _HEADER.size or at + size > end or _checksum(header) != header[1]:
            raise StreamError("not a partition", offset=at)
        if size > _HEADER.size:
            registers.append(raw("data", size - _HEADER.size).node(data, at + _HEADER.size))
        found.append(Node(f"[{len(found)}]", "element", _HEADER.type, at, at + size, nodes=registers))
        at += size
    return found


NVRAM = Content("buffer", _read)
