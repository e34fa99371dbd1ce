"""The ram section: the block list and its extras, every page flag, and the final memory."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import corpus, synthetic
from tests.support.synthetic import EOS, PAGE, mapped_stream, named, page, ram_setup, section, word
from vmstate.errors import StreamError
from vmstate.stream import SectionType, open_stream, writer
from vmstate.stream.sections import xbzrle
from vmstate.stream.sections.ram import PageKind
from vmstate.stream.sections.ram_pages import RamPages
from vmstate.stream.sections.rows import in_a_row, zeros_in_a_row


def stream_of(setup: bytes, *parts: bytes, before: bytes = b"", version: int = 4):
    pieces = [writer.file_header(), before, section(SectionType.START, 2, setup, "ram", version)]
    pieces += [section(SectionType.PART, 2, part) for part in parts]
    return open_stream(b"".join(pieces) + b"\0")


MAIN = ram_setup([(b"main", 64 * PAGE)])


# -- the block list


def test_blocks_of_a_real_stream():
    stream = open_stream(corpus.load("7.2-pseries-7.2"))
    assert [(block.name, block.length) for block in stream.ram.blocks] == [("ppc_spapr.ram", 256 << 20)]
    assert stream.ram.counts[PageKind.ZERO] == 65536


def test_x_ignore_shared_gives_each_block_its_guest_address():
    stream = open_stream(corpus.load("x86_64-q35-x-ignore-shared"))
    assert stream.configuration.capabilities == ("x-ignore-shared",)
    assert stream.findings == []
    addresses = {block.name: block.guest_address for block in stream.ram.blocks}
    assert addresses["pc.bios"] == 0xFFFC0000
    assert all(block.ignored is None for block in stream.ram.blocks)


@pytest.mark.parametrize("ignored", [0, 1])
def test_x_ignore_shared_of_4_0_sends_a_byte_more(ignored):
    extra = struct.pack(">QB", 0x1000, ignored)
    setup = ram_setup([(b"main", PAGE), (b"rom", PAGE)], [extra, extra])
    stream = stream_of(setup, before=writer.configuration("m", capabilities=["x-ignore-shared"]))
    assert stream.findings == []
    assert [(b.name, b.guest_address, b.ignored) for b in stream.ram.blocks] == [
        ("main", 0x1000, bool(ignored)),
        ("rom", 0x1000, bool(ignored)),
    ]


def advice() -> bytes:
    return writer.command(3, struct.pack(">QQ", 0x1000, PAGE))


@pytest.mark.parametrize("huge", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shared", [False, True])
def test_after_a_postcopy_advice_blocks_of_huge_pages_carry_their_page_size(huge, shared):
    address = struct.pack(">Q", 0x40000000) if shared else b""
    extras = [(struct.pack(">Q", 2 << 20) if each else b"") + address for each in huge]
    setup = ram_setup([(b"main", 4 << 20), (b"rom", 2 << 20)], extras)
    config = writer.configuration("m", capabilities=["x-ignore-shared"] if shared else [])
    stream = stream_of(setup, before=config + advice())
    assert stream.findings == []
    sizes = [2 << 20 if each else None for each in huge]
    assert [block.host_page_size for block in stream.ram.blocks] == sizes
    assert {block.guest_address for block in stream.ram.blocks} == {0x40000000 if shared else None}


def test_version_3_has_a_total_and_no_names():
    setup = word(4 * PAGE, 0x04) + EOS
    part = word(0, 0x08) + page(1) + word(PAGE, 0x02) + b"\0" + word(2 * PAGE, 0x02) + b"\0" + EOS
    stream = stream_of(setup, part, version=3)
    assert stream.findings == []
    assert [(block.name, block.length) for block in stream.ram.blocks] == [("", 4 * PAGE)]
    assert bytes(RamPages(stream.ram, stream.data).page(0, 0)) == page(1)


def test_another_version_is_reported_and_skipped_to_its_footer():
    stream = stream_of(MAIN, EOS, version=5)
    assert [finding.rule for finding in stream.findings][:1] == ["section.version"]
    assert [section.idstr for section in stream.sections] == ["ram", "ram"]


@pytest.mark.parametrize(
    "setup",
    [
        ram_setup([(b"main", 1 << 60)]).replace(
            struct.pack(">Q", 1 << 60 | 4), struct.pack(">Q", 1 << 61 | 4), 1
        ),
        word(PAGE, 0x04) + b"\4main" + struct.pack(">Q", 1 << 60) + EOS,
        word(PAGE, 0x04) + b"\0" + struct.pack(">Q", PAGE) + EOS,
        word(1 << 40, 0x04) + (b"\1m" + bytes(8)) * 1000 + EOS,
    ],
    ids=["too little", "too much", "no name", "only empty blocks"],
)
def test_block_lists_that_do_not_add_up_are_findings(setup):
    stream = stream_of(setup, EOS)
    assert stream.findings
    assert stream.findings[0].place.section == "ram"
    assert stream.sections[-1].kind == SectionType.PART


def test_a_block_of_an_exabyte_costs_nothing():
    stream = stream_of(ram_setup([(b"main", 1 << 60)]), named(1 << 59, 0x02, b"main") + b"\0" + EOS)
    assert stream.findings == []
    pages = RamPages(stream.ram, stream.data)
    assert [address for address, _ in pages.pages(0)] == [1 << 59]
    assert len(pages.digest(0)) == 64


# -- mapped-ram


@pytest.mark.parametrize("origin", [0, 4096])
def test_mapped_ram_pages_are_at_their_place_in_the_file(origin):
    stream = open_stream(mapped_stream({1: page(1), 6: page(6)}, origin=origin), origin=origin)
    assert stream.findings == []
    pages = RamPages(stream.ram, stream.data)
    assert {address: bytes(content) for address, content in pages.pages(0)} == {
        PAGE: page(1),
        6 * PAGE: page(6),
    }
    assert bytes(pages.page(0, 6 * PAGE)) == page(6)
    assert bytes(pages.page(0, 0)) == bytes(PAGE)


def test_mapped_memory_has_the_hash_of_the_same_memory_sent_in_records():
    mapped = open_stream(mapped_stream({1: page(1)}))
    records = stream_of(ram_setup([(b"main", 8 * PAGE)]), named(PAGE, 0x08, b"main") + page(1) + EOS)
    digests = {RamPages(stream.ram, stream.data).digest(0) for stream in (mapped, records)}
    assert len(digests) == 1


def test_a_mapped_region_beyond_the_stream_is_a_finding():
    data = mapped_stream({})
    cut = data[: 1 << 15]
    assert open_stream(cut).findings[0].rule == "stream.truncated"


# -- page records


def test_every_kind_of_page_record():
    stream = open_stream(synthetic.everything())
    ram = stream.ram
    assert ram.counts == {PageKind.ZERO: 21, PageKind.PAGE: 12, PageKind.XBZRLE: 1, PageKind.COMPRESSED: 1}
    assert (ram.hooks, ram.flushes, ram.page_size) == (1, 1, PAGE)
    pages = RamPages(ram, stream.data)
    one, two = page(1), page(2)
    assert pages.page(1, 0) == bytes([9]) + one[1:100] + b"new" + one[103:]
    assert bytes(pages.page(1, PAGE)) == two
    assert pages.page(1, 3 * PAGE) == two
    assert pages.page(0, 20 * PAGE) == b"\xaa" * PAGE
    assert bytes(pages.page(0, 25 * PAGE)) == page(25)
    assert pages.page(0, 19 * PAGE) == bytes(PAGE)


def test_a_page_sent_again_is_what_was_sent_last():
    part = named(0, 0x08, b"main") + page(1) + word(0, 0x28) + page(2) + word(PAGE, 0x28) + page(3)
    stream = stream_of(MAIN, part + EOS, named(PAGE, 0x02, b"main") + b"\0" + EOS)
    pages = RamPages(stream.ram, stream.data)
    assert bytes(pages.page(0, 0)) == page(2)
    assert bytes(pages.page(0, PAGE)) == bytes(PAGE)


def test_continue_reaches_over_section_parts():
    stream = stream_of(MAIN, named(0, 0x02, b"main") + b"\0" + EOS, word(PAGE, 0x28) + page(1) + EOS)
    assert stream.findings == []
    assert stream.ram.pages == 2


@pytest.mark.parametrize("size", [1024, 2048, 8192, 16384, 65536])
def test_other_page_sizes_are_recognised_without_a_description(size):
    content = page(5) * 16
    part = named(0, 0x08, b"main") + content[:size] + word(size, 0x28) + content[:size] + EOS
    stream = stream_of(ram_setup([(b"main", 1 << 20)]), part)
    assert stream.findings == []
    assert stream.ram.page_size == size


def test_the_configurations_page_bits_decide():
    part = named(0, 0x08, b"main") + bytes(8192) + EOS
    stream = stream_of(MAIN, part, before=writer.configuration("m", target_page_bits=13))
    assert stream.findings == []
    assert stream.ram.page_size == 8192


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0x02, 0x08]), st.booleans(), st.integers(1, 40)), max_size=12))
def test_runs_say_what_single_records_say(pieces):
    parts, expected, number = [], [], 0
    for flag, new_block, count in pieces:
        for index in range(count):
            address = number % 64 * PAGE
            first = not expected or (new_block and index == 0)
            head = named(address, flag, b"main") if first else word(address, flag | 0x20)
            parts.append(head + (page(number) if flag == 0x08 else b"\0"))
            expected.append((address, flag, page(number) if flag == 0x08 else bytes(PAGE)))
            number += 1
    stream = stream_of(MAIN, b"".join(parts) + EOS)
    assert stream.findings == []
    ram = stream.ram
    assert ram.pages == len(expected)
    assert [k for k, n in zip(ram.runs.kind, ram.runs.count, strict=True) for _ in range(n)] == [
        flag for _, flag, _ in expected
    ]
    final = {address: content for address, _, content in expected}
    pages = RamPages(ram, stream.data)
    assert {address: bytes(content) for address, content in pages.pages(0)} == final


def test_a_run_of_a_hundred_thousand_pages_is_one_run():
    words = ((np.arange(100_000, dtype=np.uint64) << 12) | 0x22).astype(">u8").view(np.uint8).reshape(-1, 8)
    records = np.hstack([words, np.zeros((100_000, 1), np.uint8)]).tobytes()
    part = named(0, 0x02, b"main") + b"\0" + records + EOS
    stream = stream_of(ram_setup([(b"main", 1 << 30)]), part, before=writer.configuration("m", 12))
    assert stream.findings == []
    assert list(stream.ram.runs.count) == [1, 100_000]
    assert list(stream.ram.rows.count) == [100_000]


@pytest.mark.parametrize("where", [0, 2, 5, 40, 300])
@pytest.mark.parametrize("flag", [0x22, 0x28])
def test_a_page_outside_its_block_is_found_wherever_it_is(where, flag):
    parts = [named(0, 0x02, b"main") + b"\0"]
    for index in range(400):
        address = 1 << 40 if index == where else index % 64 * PAGE
        parts.append(word(address, flag) + (bytes(PAGE) if flag == 0x28 else b"\0"))
    stream = stream_of(MAIN, b"".join(parts) + EOS)
    (finding,) = stream.findings
    assert finding.rule == "section.damaged"
    assert "outside" in finding.message
    assert stream.ram.pages == where + 1
    assert stream.data[finding.place.offset : finding.place.offset + 8] == word(1 << 40, flag)


@pytest.mark.parametrize(
    "record",
    [
        word(0, 0x01),
        word(0, 0x400),
        word(0, 0x28),
        named(0, 0x02, b"other") + b"\0",
        named(0, 0x40, b"main") + b"\2\0\1x",
        named(0, 0x40, b"main") + b"\1\xff\xffx",
        named(0, 0x100, b"main") + struct.pack(">i", -1),
    ],
    ids=["obsolete", "unknown", "no block", "unknown block", "encoding", "delta size", "compressed size"],
)
def test_bad_records_end_at_the_footer_with_a_finding(record):
    stream = stream_of(MAIN, record + bytes(100), EOS)
    assert [finding.rule for finding in stream.findings] == ["section.damaged"]
    assert [section.damaged for section in stream.sections] == [False, True, False]


def test_a_compressed_page_that_is_not_one_is_an_error_with_its_offset():
    part = named(0, 0x100, b"main") + struct.pack(">i", 4) + b"junk" + EOS
    stream = stream_of(MAIN, part)
    with pytest.raises(StreamError, match="compressed") as caught:
        RamPages(stream.ram, stream.data).page(0, 0)
    assert stream.data[caught.value.offset + 4 : caught.value.offset + 8] == b"junk"


# -- XBZRLE


def slow_decode(old: bytes, delta: bytes) -> bytes:
    """Decode byte by byte, by the format's grammar: (unchanged count, new count, new bytes)*."""
    new, source, fresh, at = list(old), iter(delta), False, 0
    for byte in source:
        count = byte if byte < 0x80 else (byte & 0x7F) + 128 * next(source)
        for _ in range(count):
            if fresh:
                new[at] = next(source)
            at += 1
        fresh = not fresh
    return bytes(new)


@settings(max_examples=200)
@given(st.integers(), st.lists(st.tuples(st.integers(0, PAGE - 1), st.integers(1, 700)), max_size=12))
def test_xbzrle_round_trip_and_independent_decoder(seed, spans):
    rng = random.Random(seed)
    old = rng.randbytes(PAGE)
    new = bytearray(old)
    for start, size in spans:
        size = min(size, PAGE - start)
        new[start : start + size] = rng.randbytes(size)
    delta = xbzrle.encode(old, bytes(new))
    assert xbzrle.decode(old, delta) == new == slow_decode(old, delta)


@given(st.binary(max_size=60))
def test_any_delta_decodes_to_a_page_or_is_refused(delta):
    old = page(3)[:100]
    try:
        new = xbzrle.decode(old, delta)
    except StreamError:
        return
    assert len(new) == 100
    assert new == slow_decode(old, delta)


@pytest.mark.parametrize(
    "delta",
    [b"\1", b"\1\0", b"\0\1", b"\0\1a\0\1b", b"\xff\xff\1a", b"\x64\1a", b"\0\5abc"],
    ids=["one count", "no new bytes", "bytes missing", "no gap", "long count", "past the page", "short"],
)
def test_deltas_that_qemu_refuses(delta):
    with pytest.raises(StreamError):
        xbzrle.decode(bytes(100), delta)


def test_a_delta_on_a_page_that_was_never_sent_starts_from_zeros():
    delta = b"\5\3abc"
    part = named(0, 0x40, b"main") + b"\1" + struct.pack(">H", len(delta)) + delta + EOS
    stream = stream_of(MAIN, part)
    content = RamPages(stream.ram, stream.data).page(0, 0)
    assert content == bytes(5) + b"abc" + bytes(PAGE - 8)


# -- hashes


def test_the_hash_depends_on_contents_only():
    order = [named(0, 0x08, b"main") + page(1), word(PAGE, 0x22) + b"\0", word(2 * PAGE, 0x28) + page(2)]
    other = [named(2 * PAGE, 0x08, b"main") + page(2), word(0, 0x28) + page(9), word(0, 0x28) + page(1)]
    explicit = [
        named(0, 0x08, b"main") + page(1),
        word(PAGE, 0x28) + bytes(PAGE),
        word(2 * PAGE, 0x28) + page(2),
    ]
    streams = [stream_of(MAIN, b"".join(parts) + EOS) for parts in (order, other, explicit)]
    assert len({RamPages(stream.ram, stream.data).digest(0) for stream in streams}) == 1
    changed = stream_of(MAIN, named(0, 0x08, b"main") + page(3) + EOS)
    assert RamPages(changed.ram, changed.data).digest(0) != RamPages(streams[0].ram, streams[0].data).digest(
        0
    )


# -- records in a row


@given(
    st.sampled_from([9, 8 + 1024, 8 + PAGE]),
    st.integers(1, 60),
    st.integers(0, 1 << 40),
    st.integers(0, 255),
    st.one_of(st.none(), st.tuples(st.integers(0, 59), st.integers(0, 8), st.integers(1, 255))),
)
def test_records_are_in_a_row_if_each_is_a_page_further_than_the_one_before(stride, count, at, fill, damage):
    step = PAGE if stride == 9 else stride - 8
    first = at * step | 0x28
    body = bytes([fill]) * (stride - 8)
    data = bytearray(b"".join(word(first + each * step, 0) + body for each in range(count)))
    if damage is not None:
        record, byte, change = damage
        data[record % count * stride + byte] ^= change
    records = [bytes(data[each * stride :][: 9 if stride == 9 else 8]) for each in range(count)]
    words = [int.from_bytes(record[:8], "big") for record in records]
    expected = next(
        (
            each
            for each in range(1, count)
            if words[each] != words[0] + each * step or records[each][8:] != records[0][8:]
        ),
        count,
    )
    assert in_a_row(memoryview(bytes(data)), 0, count, stride, step) == expected
    if stride == 9:
        assert zeros_in_a_row(memoryview(bytes(data)), 0, count, step) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1024, PAGE, 1 << 16]),
    st.integers(0, 1 << 34),
    st.integers(1, 12_000),
    st.integers(0, 255),
    st.one_of(st.none(), st.tuples(st.integers(0), st.integers(0, 8), st.integers(1, 255))),
)
@example(PAGE, 0xFFFFF000, 9000, 0, (8999, 8, 1))
@example(PAGE, 0xFFFFF000, 9000, 0, None)
def test_zero_pages_are_in_a_row_up_to_the_first_that_is_not(size, first, count, fill, damage):
    """As far as several tables reach, and beyond 4 GiB."""
    data = bytearray(b"".join(word((first + each) * size, 0x22) + bytes([fill]) for each in range(count)))
    expected = count
    if damage is not None and count > 1:
        expected = 1 + damage[0] % (count - 1)
        data[expected * 9 + damage[1]] ^= damage[2]
    assert zeros_in_a_row(memoryview(bytes(data)), 0, count, size) == expected


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_are_records_one_page_after_another(data):
    """And of two rows, the second never continues the first."""
    parts, number = [named(0, 0x02, b"main") + b"\0"], 1
    for flag, count, jump in data.draw(
        st.lists(
            st.tuples(st.sampled_from([0x22, 0x22, 0x28]), st.integers(1, 1500), st.integers(0, 2)),
            max_size=5,
        )
    ):
        number += jump
        records = range(number, number + (count if flag == 0x22 else min(count, 150)))
        parts += [word(each * PAGE, flag) + (bytes(PAGE) if flag == 0x28 else b"\0") for each in records]
        number = records.stop
    stream = stream_of(
        ram_setup([(b"main", 1 << 30)]), b"".join(parts) + EOS, before=writer.configuration("m", 12)
    )
    assert stream.findings == []
    runs = stream.ram.runs
    strides = {
        at: stride
        for start, count, stride in zip(runs.start, runs.count, runs.stride, strict=True)
        for at in range(start, start + count * stride, stride)
    }
    before = None
    for start, count in zip(stream.ram.rows.start, stream.ram.rows.count, strict=True):
        stride = strides[start]
        ats = range(start, start + count * stride, stride)
        assert {strides[at] for at in ats} == {stride}
        words = [int.from_bytes(stream.data[at : at + 8], "big") for at in ats]
        assert words == list(range(words[0], words[0] + count * PAGE, PAGE))
        assert before != (start, stride, words[0])
        before = (ats.stop, stride, words[-1] + PAGE)
