"""Streams made to be expensive: each costs in proportion to its bytes, from a map and from a pipe."""

from __future__ import annotations

import struct
import time

import pytest

from tests.support.synthetic import EOS, ram_setup, section, word
from vmstate.stream import SectionType, open_stream, writer
from vmstate.stream.pipe import read_chunks

HEADER = writer.file_header()
RAM = HEADER + section(SectionType.START, 2, ram_setup([(b"main", 1 << 30)]), "ram")
PART = writer.section_part(SectionType.PART, 2)
CAPABILITIES = writer.subsection_header("configuration/capabilities", 1)
DEVICE = writer.section_start(SectionType.FULL, 1, "aaaaa", 0, 1)

# (the beginning, the part that is repeated)
STREAMS = {
    "sections without end": (HEADER, DEVICE),
    "sections of zeros": (HEADER, DEVICE + bytes(40)),
    "live sections": (HEADER, writer.section_start(SectionType.START, 2, "ram", 0, 4) + EOS),
    "unknown live sections": (HEADER, writer.section_start(SectionType.START, 2, "xx", 0, 4)),
    "unknown live sections with footers": (HEADER, section(SectionType.START, 2, b"", "xx")),
    "empty parts": (RAM, PART + EOS),
    "broken parts": (RAM, PART + word(0, 0x11) + writer.footer(2)),
    "broken parts without footers": (RAM, PART + word(0, 0x11)),
    "pages by turns": (RAM + PART, word(0, 2) + b"\4main\0" + word(4096, 0x22) + b"\0"),
    "empty deltas": (RAM + PART + word(0, 2) + b"\4main\0", word(0, 0x60) + b"\1\0\0"),
    "hooks": (RAM + PART, word(0, 0x80)),
    "empty blocks": (
        writer.section_start(SectionType.START, 2, "ram", 0, 4) + word(1 << 40, 4),
        b"\1m" + bytes(8),
    ),
    "unknown commands": (HEADER, writer.command(0x55)),
    "capabilities": (HEADER + b"\7\0\0\0\1m" + CAPABILITIES + b"\xff\xff\xff\xff", b"\0"),
    "packages": (HEADER, writer.command(7, b"\xff\xff\xff\xff")),
    "bitmap chunks": (HEADER + writer.section_start(SectionType.START, 3, "dirty-bitmap", 0, 1), b"\x20"),
    "storage keys": (HEADER, writer.full_section(3, "s390-skeys", 0, 1, struct.pack(">Q", 1))),
    "garbage": (HEADER, b"\x99" + bytes(1000)),
    "likely names": (HEADER, b"\4\0\0\0\1\xffab"),
    "likely footers": (HEADER + DEVICE, writer.footer(1) + b"\x99"),
    "likely ends": (HEADER + DEVICE, b"\0\6\0\0\0\1{"),
    "likely commands": (HEADER, b"\x08\0\x08"),
    "ones": (HEADER, b"\1"),
}
SIZE = 150_000


@pytest.mark.parametrize("name", STREAMS)
def test_a_hostile_stream_costs_no_more_than_its_bytes(name):
    begin, repeated = STREAMS[name]
    if not begin.startswith(HEADER):
        begin = HEADER + begin
    data = begin + repeated * ((SIZE - len(begin)) // len(repeated))
    started = time.process_time()
    stream = open_stream(data)
    piped = read_chunks(data[at : at + 65536] for at in range(0, len(data), 65536))
    assert time.process_time() - started < 20  # seconds of processor time; quadratic time would take minutes
    assert piped.items == stream.items
    assert stream.items[-1].end == len(data)
    assert len(stream.findings) <= 1001
