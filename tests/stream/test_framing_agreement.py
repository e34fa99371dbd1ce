"""The two codecs for the framing, ``construct`` declarations and ``struct`` readers, agree."""

from __future__ import annotations

import construct
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import corpus, synthetic
from vmstate.errors import StreamError
from vmstate.stream import SectionType, framing, open_stream, wire, writer
from vmstate.stream.constants import COMMAND_LENGTHS, Command
from vmstate.stream.sections.ram import PageKind
from vmstate.stream.sections.storage_attributes import StorageAttributes
from vmstate.stream.wire import Window

u32s = st.integers(0, 0xFFFFFFFF)
names = st.text(st.characters(codec="ascii"), min_size=0, max_size=255)
idstrs = st.text(st.characters(codec="ascii"), min_size=1, max_size=255)


def window(data: bytes) -> Window:
    return Window(memoryview(data))


@given(st.binary(max_size=12))
def test_file_header(data):
    try:
        declared = framing.FILE_HEADER.parse(data)
    except construct.ConstructError:
        with pytest.raises(StreamError):
            wire.file_header(window(data), 0)
    else:
        assert wire.file_header(window(data), 0).version == declared.version
        assert framing.FILE_HEADER.build(declared) == writer.file_header(declared.version) == data[:8]


@given(st.sampled_from([SectionType.START, SectionType.FULL]), u32s, idstrs, u32s, u32s)
def test_section_start(kind, section_id, idstr, instance_id, version_id):
    data = writer.section_start(kind, section_id, idstr, instance_id, version_id)
    declared = framing.SECTION_START.parse(data)
    read = wire.section_start(window(data), 0)
    assert (declared.section_id, declared.idstr.decode(), declared.instance_id, declared.version_id) == read[
        :4
    ]
    assert read.payload_start == len(data)
    assert framing.SECTION_START.build(declared) == data


@given(st.sampled_from([SectionType.PART, SectionType.END]), u32s)
def test_section_part_and_footer(kind, section_id):
    part, footer = writer.section_part(kind, section_id), writer.footer(section_id)
    assert framing.SECTION_PART.parse(part).section_id == section_id
    assert framing.FOOTER.parse(footer).section_id == section_id
    assert framing.FOOTER.build({"section_id": section_id}) == footer


@given(
    names,
    st.none() | u32s,
    st.lists(st.text(st.characters(codec="ascii"), max_size=30), max_size=4),
    st.none() | st.binary(min_size=16, max_size=16),
)
def test_configuration(machine, page_bits, capabilities, uuid):
    data = writer.configuration(machine, page_bits, capabilities, uuid)
    read = wire.configuration(window(data), 0)
    assert (read.machine, read.target_page_bits, read.capabilities, read.uuid) == (
        machine,
        page_bits,
        tuple(capabilities),
        uuid,
    )
    assert read.end == len(data)
    declared = framing.CONFIGURATION.parse(data)
    assert declared.name.decode() == machine
    fields = {entry.subsection.header.name: entry.subsection.fields for entry in declared.subsections}
    assert [sub.name.encode() for sub in read.subsections] == list(fields)
    if page_bits is not None:
        assert fields[b"configuration/target-page-bits"].target_page_bits == page_bits
    if uuid is not None:
        assert fields[b"configuration/uuid"].uuid == uuid


@given(st.integers(0, 0xFFFF), st.binary(max_size=100))
def test_command(number, data):
    wrapped = writer.packaged(data) if number == Command.PACKAGED else writer.command(number, data)
    declared = framing.COMMAND.parse(wrapped)
    read_number, length, start = wire.command_header(window(wrapped), 0)
    assert read_number == declared.command == number
    assert wrapped[start : start + length] == declared.data
    if number == Command.PACKAGED:
        assert declared.inner == data


@given(st.binary(max_size=200))
def test_vmdescription(text):
    assert framing.VMDESCRIPTION.parse(writer.vmdescription(text)).json == text


def test_every_command_with_a_fixed_length_is_declared_with_that_length():
    for command, lengths in COMMAND_LENGTHS.items():
        for length in lengths:
            framing.COMMAND_DATA[command].parse(bytes(length))


def test_every_command_is_declared():
    assert set(framing.COMMAND_DATA) == set(Command) - {Command.INVALID}


@pytest.mark.parametrize("name", corpus.SMALL + corpus.VARIED)
def test_real_framing_is_what_is_declared(name):
    check_declared(corpus.load(name))


def test_synthetic_framing_is_what_is_declared():
    check_declared(synthetic.everything())


def test_records_of_live_sections_are_what_is_declared():
    data = synthetic.everything()
    stream = open_stream(data)
    chunks = stream.htab.chunks
    declared = framing.HTAB_CHUNK.parse(data[chunks.data[0] - 8 :])
    assert (declared.index, declared.n_valid, declared.n_invalid) == (0, 2, 3)
    assert declared.entries == bytes(range(32))
    start, bits = stream.dirty_bitmaps.chunks[:2]
    names = 1 + 5 + 4
    declared = framing.DIRTY_BITMAP_START.parse(data[start.start + names :])
    assert (declared.granularity, declared.flags) == (start.granularity, start.start_flags)
    declared = framing.DIRTY_BITMAP_BITS.parse(data[bits.start + 1 :])
    assert (declared.start_sector, declared.sectors) == (bits.sector, bits.sectors)
    assert declared.bits == data[bits.data : bits.data_end]
    (stored,) = stream.live(StorageAttributes).ranges
    declared = framing.STORAGE_RANGE.parse(data[stored.data - 16 :])
    assert (declared.address, declared.count) == (stored.address | 2, stored.count)


def test_page_records_are_what_is_declared():
    data = synthetic.everything()
    runs = open_stream(data).ram.runs
    delta, packed = (list(runs.kind).index(kind) for kind in (PageKind.XBZRLE, PageKind.COMPRESSED))
    for index, declaration in ((delta, framing.XBZRLE_PAGE), (packed, framing.COMPRESSED_PAGE)):
        record = data[runs.start[index] + runs.lead[index] : runs.start[index] + runs.stride[index]]
        assert declaration.build(declaration.parse(record)) == record


def test_the_block_list_is_what_is_declared():
    data = corpus.load("7.2-pseries-7.2")
    stream = open_stream(data)
    declared = framing.RAM_SETUP_BLOCK.parse(data[stream.find("ram").payload_start + 8 :])
    (block,) = stream.ram.blocks
    assert (declared.idstr.decode(), declared.used_length) == (block.name, block.length)


def check_declared(data: bytes) -> None:
    stream = open_stream(data)
    for section in stream.sections:
        head = data[section.start : section.payload_start]
        if section.kind in (SectionType.START, SectionType.FULL):
            declared = framing.SECTION_START.parse(head)
            assert declared.idstr.decode() == section.idstr
            assert declared.instance_id == section.instance_id
            assert framing.SECTION_START.build(declared) == head
        else:
            assert framing.SECTION_PART.parse(head).section_id == section.section_id
        if section.footer is not None:
            assert framing.FOOTER.parse(data[section.payload_end : section.end]).section_id == section.footer
    if stream.configuration:
        item = stream.configuration
        assert framing.CONFIGURATION.parse(data[item.start : item.end]).name.decode() == item.machine
