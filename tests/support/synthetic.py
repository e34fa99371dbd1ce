"""Small streams with everything that a real one may have, and the pieces that they are built from."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from functools import cache

from vmstate.stream import SectionType, writer
from vmstate.stream.constants import Command
from vmstate.stream.sections import xbzrle

PAGE = 4096
CONTINUE = 0x20
EOS = struct.pack(">Q", 0x10)


def word(address: int, flags: int) -> bytes:
    return struct.pack(">Q", address | flags)


def named(address: int, flags: int, block: bytes) -> bytes:
    return word(address, flags) + bytes([len(block)]) + block


def ram_setup(blocks: Sequence[tuple[bytes, int]], extras: Sequence[bytes] = ()) -> bytes:
    """Return a block list; ``extras`` follow each block's length."""
    total = sum(length for _, length in blocks)
    parts = [word(total, 0x04)]
    for index, (name, length) in enumerate(blocks):
        parts += [bytes([len(name)]), name, struct.pack(">Q", length), extras[index] if extras else b""]
    return b"".join(parts) + EOS


@cache
def page(seed: int) -> bytes:
    return bytes((seed + i * 7) % 251 for i in range(PAGE))


def ram_part() -> bytes:
    """Return page records of every kind, in two blocks."""
    one, two = page(1), page(2)
    changed = bytes([9]) + one[1:100] + b"new" + one[103:]
    delta = xbzrle.encode(one, changed)
    packed = zlib.compress(two)
    return b"".join(
        [
            named(0, 0x02, b"main"), b"\0",
            *(word(i * PAGE, 0x22) + b"\0" for i in range(1, 20)),
            named(0, 0x08, b"rom"), one,
            word(PAGE, 0x28), two,
            word(2 * PAGE, 0x28), one,
            word(0, 0x80),
            word(0, 0x200),
            word(0, 0x60), b"\1", struct.pack(">H", len(delta)), delta,
            word(3 * PAGE, 0x120), struct.pack(">i", len(packed)), packed,
            named(20 * PAGE, 0x02, b"main"), b"\xaa",
            *(word(i * PAGE, 0x28) + page(i) for i in range(21, 30)),
            EOS,
        ]
    )  # fmt: skip


BLOCKS = [(b"main", 30 * PAGE), (b"rom", 4 * PAGE)]


def section(kind: SectionType, section_id: int, payload: bytes, name: str = "", version: int = 4) -> bytes:
    if kind in (SectionType.START, SectionType.FULL):
        head = writer.section_start(kind, section_id, name, 0, version)
    else:
        head = writer.section_part(kind, section_id)
    return head + payload + writer.footer(section_id)


def htab_part() -> bytes:
    chunks = struct.pack(">IHH", 0, 2, 3) + bytes(range(32)) + struct.pack(">IHH", 100, 0, 7)
    return struct.pack(">I", 0) + chunks + struct.pack(">IHH", 0, 0, 0)


def dirty_bitmap_part() -> bytes:
    name = b"\x04disk\x03map"
    return b"".join(
        [
            b"\x1c", name, struct.pack(">IB", 65536, 3),
            b"\x40", struct.pack(">QIQ", 0, 1024, 64), bytes(range(64)),
            b"\x42", struct.pack(">QI", 1024, 1024),
            b"\x20",
            b"\x01",
        ]
    )  # fmt: skip


def storage_part() -> bytes:
    return struct.pack(">QQ", 0x3000 | 2, 5) + b"\1\2\3\4\5" + struct.pack(">Q", 8) + struct.pack(">Q", 1)


def block_part() -> bytes:
    record = struct.pack(">Q", 2048 << 9 | 1 | 8) + b"\x04disk"
    return record + struct.pack(">Q", 50 << 9 | 4) + struct.pack(">Q", 2)


DEVICE = b"\0\1\2\3" + b"\x05\x0adevice/sub" + struct.pack(">I", 1) + b"\7\7"

DESCRIPTION = {
    "page_size": PAGE,
    "devices": [
        {
            "name": "device",
            "instance_id": 0,
            "vmsd_name": "device",
            "version": 1,
            "fields": [
                {"name": "a", "array_len": 2, "type": "uint8", "size": 1},
                {"name": "b", "type": "uint16", "size": 2},
            ],
            "subsections": [
                {
                    "vmsd_name": "device/sub",
                    "version": 1,
                    "fields": [{"name": "c", "type": "uint16", "size": 2}],
                }
            ],
        },
        {
            "name": "old",
            "instance_id": 3,
            "size": 6,
            "fields": [{"name": "data", "size": 6, "type": "buffer"}],
        },
    ],
}


def described() -> bytes:
    return json.dumps(DESCRIPTION, separators=(",", ":")).encode()


def everything(*, with_description: bool = True) -> bytes:
    """Return a stream with every kind of item and every live section."""
    inner = writer.command(Command.POSTCOPY_LISTEN) + writer.full_section(9, "inner", 1, 2, b"inside")
    inner += writer.command(Command.POSTCOPY_RUN)
    discard = b"\0\4main\0" + struct.pack(">QQ", 0, PAGE)
    parts = [
        writer.file_header(),
        writer.configuration("machine-1.0", 12, ["x-something"], bytes(range(16))),
        writer.command(Command.OPEN_RETURN_PATH),
        writer.command(Command.PING, b"\0\0\0\1"),
        writer.command(Command.POSTCOPY_ADVISE, struct.pack(">QQ", 0x1000, PAGE)),
        section(SectionType.START, 2, ram_setup(BLOCKS, [b"", struct.pack(">Q", 0x200000)]), "ram"),
        section(SectionType.START, 3, struct.pack(">I", 18), "spapr/htab", 1),
        section(SectionType.START, 4, b"\1", "dirty-bitmap", 1),
        section(SectionType.START, 5, struct.pack(">Q", 1), "s390-storage_attributes", 0),
        section(SectionType.START, 6, struct.pack(">Q", 2), "block", 1),
        section(SectionType.PART, 2, ram_part()),
        section(SectionType.PART, 3, htab_part()),
        section(SectionType.PART, 4, dirty_bitmap_part()),
        section(SectionType.PART, 6, block_part()),
        writer.command(Command.POSTCOPY_RAM_DISCARD, discard),
        writer.packaged(inner),
        writer.command(Command.SWITCHOVER_START),
        section(SectionType.END, 2, EOS),
        section(SectionType.END, 3, struct.pack(">I", 0xFFFFFFFF)),
        section(SectionType.END, 5, storage_part()),
        section(SectionType.END, 6, struct.pack(">Q", 2)),
        writer.full_section(7, "device", 0, 1, DEVICE),
        writer.full_section(8, "old", 3, 2, b"\x7e\0\0\0\x08?"),
        writer.end_of_states(),
    ]
    if with_description:
        parts.append(writer.vmdescription(described()))
    return b"".join(parts)


def mapped_stream(pages: dict[int, bytes], length: int = 8 * PAGE, origin: int = 0) -> bytes:
    head = writer.file_header() + writer.configuration("m", capabilities=["mapped-ram"])
    head += writer.section_start(SectionType.START, 2, "ram", 0, 4) + word(length, 0x04)
    head += b"\4main" + struct.pack(">Q", length)
    bitmap_at = len(head) + 28
    pages_at = 1 << 16
    head += struct.pack(">IQQQ", 1, PAGE, bitmap_at + origin, pages_at + origin)
    bitmap = sum(1 << number for number in pages).to_bytes(8, "little")
    region = b"".join(pages.get(number, bytes(PAGE)) for number in range(length // PAGE))
    body = head + bitmap + bytes(pages_at - bitmap_at - 8) + region
    return body + EOS + writer.footer(2) + section(SectionType.END, 2, EOS) + b"\0"
