"""The live sections other than ram, which end by their own grammar."""

from __future__ import annotations

import struct

import pytest

from tests.support import corpus, synthetic
from tests.support.synthetic import section
from vmstate.stream import Found, SectionType, open_stream, writer
from vmstate.stream.sections.block import BlockMigration
from vmstate.stream.sections.dirty_bitmap import BitmapFlag
from vmstate.stream.sections.storage_attributes import StorageAttributes, StorageKeys, TodClock


def stream_of(*sections: bytes):
    return open_stream(writer.file_header() + b"".join(sections) + b"\0")


# -- spapr/htab


def test_a_hash_page_table_and_its_size():
    assert open_stream(corpus.load("7.2-pseries-7.2")).htab.shift == 21
    assert open_stream(corpus.load("2.12.1-booted-power8")).htab.shift == 23


def test_a_radix_guest_has_no_hash_page_table():
    htab = open_stream(corpus.load("11.1-booted-power10")).htab
    assert htab.shift is None
    assert not len(htab.chunks.index)


def test_chunks_of_a_booted_guests_table():
    stream = open_stream(corpus.load("7.2-booted-power8-hpt-xics"))
    chunks = stream.htab.chunks
    assert len(chunks.index) > 10_000
    entries = (1 << stream.htab.shift) // 16
    assert all(
        i + v + n <= entries for i, v, n in zip(chunks.index, chunks.n_valid, chunks.n_invalid, strict=True)
    )


def test_chunks_say_where_their_entries_are():
    stream = open_stream(synthetic.everything())
    chunks = stream.htab.chunks
    assert list(chunks.index) == [0, 100]
    assert list(chunks.n_valid) == [2, 0]
    assert list(chunks.n_invalid) == [3, 7]
    assert bytes(stream.view(chunks.data[0], chunks.data[0] + 32)) == bytes(range(32))


def test_a_chunk_of_more_entries_than_there_are_bytes():
    part = struct.pack(">IIHH", 0, 0, 0xFFFF, 0)
    stream = stream_of(
        section(SectionType.START, 3, struct.pack(">I", 18), "spapr/htab", 1),
        section(SectionType.PART, 3, part),
    )
    (finding,) = stream.findings
    assert (finding.rule, finding.place.section) == ("section.damaged", "spapr/htab")


# -- dirty bitmaps


def test_dirty_bitmap_chunks():
    chunks = open_stream(synthetic.everything()).dirty_bitmaps.chunks
    start, bits, zeroes, complete = chunks
    assert {(chunk.node, chunk.bitmap) for chunk in chunks} == {("disk", "map")}
    assert (start.granularity, start.start_flags) == (65536, 3)
    assert (bits.sector, bits.sectors, bits.data_end - bits.data) == (0, 1024, 64)
    assert (zeroes.sector, zeroes.data_end - zeroes.data) == (1024, 0)
    assert complete.flags == BitmapFlag.COMPLETE


def test_a_migration_of_fifty_thousand_rounds_with_dirty_bitmaps():
    data = corpus.load(corpus.LONG)
    stream = open_stream(data)
    assert stream.findings == []
    assert len(stream.sections) > 98_000
    assert {(chunk.node, chunk.bitmap) for chunk in stream.dirty_bitmaps.chunks} == {
        ("drv", "bitmap0"),
        ("drv", "bitmap1"),
    }
    assert stream.items[-1].end == len(data)


@pytest.mark.parametrize("flags", [b"\x81\x01", b"\x80\x80\x00\x01"])
def test_dirty_bitmap_flags_of_more_bytes_are_unknown(flags):
    stream = stream_of(section(SectionType.START, 4, flags, "dirty-bitmap", 1))
    assert [finding.rule for finding in stream.findings] == ["section.damaged"]


def test_a_dirty_bitmap_buffer_has_a_limit():
    part = b"\x40" + struct.pack(">QIQ", 0, 1, 1 << 60)
    stream = stream_of(
        section(SectionType.START, 4, b"\1", "dirty-bitmap", 1), section(SectionType.PART, 4, part)
    )
    assert "too large" in stream.findings[0].message


# -- s390x


def test_storage_attributes():
    handler = open_stream(synthetic.everything()).live(StorageAttributes)
    ((address, count),) = [(each.address, each.count) for each in handler.ranges]
    assert (address, count, handler.marks) == (0x3000, 5, [8])


@pytest.mark.parametrize(("last", "marks"), [(1, []), (4, [4])])
def test_storage_keys_end_without_footer_or_description(last, marks):
    payload = struct.pack(">QQ", 0x2000 | 2, 3) + b"\1\2\3" + struct.pack(">Q", last)
    keys = writer.full_section(3, "s390-skeys", 0, 1, payload, with_footer=False)
    clock = writer.full_section(4, "todclock", 0, 1, b"\1\2" + bytes(8), with_footer=False)
    stream = stream_of(keys, clock)
    assert stream.findings == []
    assert [section.found for section in stream.sections] == [Found.LIVE, Found.LIVE]
    assert stream.live(StorageKeys).marks == marks
    assert (stream.live(TodClock).epoch, stream.live(TodClock).clock) == (2, 0)


def test_a_clock_that_could_not_be_read():
    stream = stream_of(writer.full_section(4, "todclock", 0, 1, b"\0", with_footer=False))
    assert stream.findings == []
    assert stream.live(TodClock).clock is None


# -- block migration


def test_blocks_of_a_disk():
    stream = open_stream(corpus.load("x86_64-pc-block-migration"))
    blocks = stream.live(BlockMigration)
    assert stream.findings == []
    assert sum(len(sectors) for sectors in blocks.devices.values()) > 0
    assert blocks.progress == 100


def test_a_zero_block_has_no_data():
    blocks = open_stream(synthetic.everything()).live(BlockMigration)
    assert {name: list(sectors) for name, sectors in blocks.devices.items()} == {"disk": [2048]}
    assert list(blocks.data["disk"]) == [0]
    assert blocks.progress == 50


def test_a_full_section_that_is_named_like_a_live_one_is_a_device():
    stream = stream_of(writer.full_section(3, "ram", 0, 4, b"no pages"))
    assert stream.findings == []
    assert stream.ram is None
