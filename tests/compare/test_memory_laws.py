"""Laws of guest memory: whatever its records, segments and differences are those found page by page."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.synthetic import EOS, PAGE, named, page, ram_setup, section, word
from vmstate.compare import memory
from vmstate.compare.memory import memory_differences
from vmstate.stream import SectionType, open_stream, writer
from vmstate.stream.sections.ram import PageKind
from vmstate.stream.sections.ram_pages import RamPages
from vmstate.stream.sections.ram_segments import MADE, WHOLE, segments
from vmstate.stream.sections.rows import Rows

PAGES = 200  # more than what is compared as one long stretch
CONTINUE = 0x20
#: A delta on whatever the page holds: one byte of zeros left alone, then one byte set to 7.
DELTA = b"\x01\x00\x03" + b"\x01\x01\x07"

single = st.tuples(
    st.sampled_from([PageKind.ZERO, PageKind.ZERO, PageKind.PAGE, PageKind.PAGE, PageKind.XBZRLE]),
    st.integers(0, PAGES - 1),
    st.integers(1, 3),
    st.just(0),
)
several = st.tuples(
    st.sampled_from([PageKind.ZERO, PageKind.PAGE]),
    st.integers(0, PAGES - 1),
    st.integers(2, 150),
    st.integers(0, 2),
)
memories = st.lists(single | several, max_size=12)


def records(runs) -> list[tuple[int, int, int]]:
    """Kind, number of the page, and seed of the content, of every record."""
    return [(kind, (first + n) % PAGES, seed) for kind, first, count, seed in runs for n in range(count)]


def stream_of(runs, machine="m"):
    parts = []
    for number, (kind, at, seed) in enumerate(records(runs)):
        flags = kind | (CONTINUE if number else 0)
        parts.append(word(at * PAGE, flags) if number else named(at * PAGE, flags, b"main"))
        parts.append({PageKind.ZERO: bytes([seed % 2]), PageKind.PAGE: page(seed)}.get(kind, DELTA))
    payload = b"".join(parts) + EOS
    setup = ram_setup([(b"main", PAGES * PAGE)])
    pieces = [section(SectionType.START, 2, setup, "ram"), section(SectionType.PART, 2, payload)]
    # The page size is known, as in a stream with a description.
    configuration = writer.configuration(machine, target_page_bits=12)
    return open_stream(b"".join([writer.file_header(), configuration, *pieces]) + b"\0")


def content(stream, found, index: int) -> bytes:
    address = np.array([index * PAGE])
    data, _, fill = found.at(address, PAGE)
    if fill[0] == WHOLE:
        return bytes(stream.data[int(data[0]) : int(data[0]) + PAGE])
    if fill[0] == MADE:
        return bytes(RamPages(stream.ram, stream.window).page(0, index * PAGE))
    return bytes([int(fill[0])]) * PAGE


@settings(max_examples=60, deadline=None)
@given(memories)
def test_runs_have_every_record_in_order(runs):
    stream = stream_of(runs)
    assert stream.findings == []
    found = stream.ram.runs
    columns = zip(found.kind, found.start, found.count, found.stride, strict=True)
    read = [
        (kind, struct.unpack_from(">Q", stream.data, at)[0] // PAGE)
        for kind, start, count, stride in columns
        for at in range(start, start + count * stride, stride)
    ]
    assert read == [(kind, at) for kind, at, _ in records(runs)]
    assert sum(stream.ram.counts.values()) == len(read)


@settings(max_examples=60, deadline=None)
@given(memories)
def test_segments_do_not_overlap_and_have_each_pages_final_content(runs):
    stream = stream_of(runs)
    found = segments(stream.ram, stream.window, 0)
    ends = found.address + found.pages * PAGE
    assert (ends[:-1] <= found.address[1:]).all()
    pages = RamPages(stream.ram, stream.window)
    for index in range(PAGES):
        assert content(stream, found, index) == bytes(pages.page(0, index * PAGE))


@settings(max_examples=60, deadline=None)
@given(memories)
@example([(PageKind.ZERO, 0, 150, 0), (PageKind.ZERO, 20, 150, 1), (PageKind.PAGE, 90, 120, 2)])
def test_segments_are_those_of_single_records(runs):
    """What is known of records in a row is what each of them says."""
    stream = stream_of(runs)
    found = segments(stream.ram, stream.window, 0)
    stream.ram.rows = Rows()
    for one, other in zip(found.columns, segments(stream.ram, stream.window, 0).columns, strict=True):
        assert one.tolist() == other.tolist()


@settings(max_examples=60, deadline=None)
@given(
    memories,
    memories | st.none(),
    st.lists(single, max_size=2),
    st.sampled_from(["m", "another"]),
    st.sampled_from([(1 << 21, 16), (PAGE, 1), (4 * PAGE, 3)]),
)
def test_the_pages_that_differ_are_those_whose_bytes_differ(one, other, more, machine, places):
    """Without another, the second stream is the first with some records more, perhaps at shifted offsets.

    It does not matter in how many places of the streams pages are looked at together.
    """
    streams = [stream_of(one), stream_of([*one, *more] if other is None else other, machine)]
    sides = [RamPages(stream.ram, stream.window) for stream in streams]
    unlike = [
        index
        for index in range(PAGES)
        if bytes(sides[0].page(0, index * PAGE)) != bytes(sides[1].page(0, index * PAGE))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "MAPPED", places[0])
        patch.setattr(memory, "_PLACES", places[1])
        found = list(memory_differences(*streams))
    assert len(found) == bool(unlike)
    if unlike:
        text = str(found[0])
        number = "1 page differs" if len(unlike) == 1 else f"{len(unlike)} pages differ"
        assert number in text
        assert ", ".join(f"{index * PAGE:#x}" for index in unlike[:4]) in text
