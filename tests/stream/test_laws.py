"""Laws of reading: nothing is lost; a map, a pipe and single bytes give the same; any bytes can be read."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import corpus, synthetic
from vmstate.errors import Finding, StreamError
from vmstate.stream import Edit, Feed, Found, SectionType, flat, open_pipe, open_stream, writer
from vmstate.stream.pipe import passed_digest, read_chunks
from vmstate.tree.ram import ram_nodes

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SMALLEST = ["x86_64-microvm", "i386-isapc", "x86_64-q35-x-ignore-shared"]


def same(one, other) -> None:
    assert one.items == other.items
    assert one.findings == other.findings
    assert one.footers == other.footers
    assert [idstr for idstr, _ in one.handlers] == [idstr for idstr, _ in other.handlers]
    for section in one.devices:
        assert one.payload(section) == other.payload(section)


def covers(stream) -> None:
    at = 0
    for item in stream.items:
        assert item.start == at < item.end
        at = item.end
    assert at == len(stream.data)


@pytest.mark.parametrize("name", corpus.names())
def test_write_of_read_is_identity(name):
    data = corpus.load(name)
    stream = open_stream(data)
    assert Edit(stream).tobytes() == data
    assert b"".join(data[item.start : item.end] for item in stream.items) == data


@pytest.mark.parametrize("name", corpus.names())
def test_a_pipe_gives_the_sections_of_a_map(name):
    data = corpus.load(name)
    mapped, piped = open_stream(data), open_pipe(io.BytesIO(data), digest=True)
    same(mapped, piped)
    assert piped.passed == passed_digest(mapped)
    assert piped.ram.counts == mapped.ram.counts
    assert piped.ram.blocks == mapped.ram.blocks


@pytest.mark.parametrize("size", [1 << 20, 5000])
@pytest.mark.parametrize("name", corpus.names())
def test_a_stream_of_which_places_are_kept_has_the_nodes_of_a_map(name, size):
    data = corpus.load(name)
    with Feed(places=True) as feed:
        for at in range(0, len(data), size):
            feed.feed(data[at : at + size], more=at % 2 == 0)
        kept = feed.close()
    mapped = open_stream(data)
    same(mapped, kept)
    assert kept.ram.runs == mapped.ram.runs
    assert memory_nodes(kept) == memory_nodes(mapped)
    assert all(low < high for low, high in kept.elided)
    assert bytes(kept.data) == without(data, kept.elided)


def memory_nodes(stream):
    return [ram_nodes(stream, one, stream.ram) for one in stream.sections if one.idstr == "ram"]


def without(data: bytes, ranges) -> bytes:
    """The bytes with zeros in these ranges."""
    rest = bytearray(data)
    for low, high in ranges:
        rest[low:high] = bytes(high - low)
    return bytes(rest)


@pytest.mark.parametrize("name", SMALLEST)
def test_single_bytes_give_the_sections_of_a_map(name):
    data = corpus.load(name)
    same(open_stream(data), read_chunks(data[at : at + 1] for at in range(len(data))))


def test_single_bytes_of_every_item():
    for with_description in (True, False):
        data = synthetic.everything(with_description=with_description)
        mapped = open_stream(data)
        piped = read_chunks((data[at : at + 1] for at in range(len(data))), digest=True)
        same(mapped, piped)
        assert piped.passed == passed_digest(mapped)


@relaxed
@given(st.lists(st.integers(1, 9000), min_size=1), st.booleans())
def test_pieces_of_any_size_give_the_sections_of_a_map(sizes, with_description):
    data = synthetic.everything(with_description=with_description)
    pieces, at = [], 0
    while at < len(data):
        pieces.append(data[at : at + sizes[len(pieces) % len(sizes)]])
        at += len(pieces[-1])
    same(open_stream(data), read_chunks(pieces))


def test_items_of_the_live_phase_come_when_the_next_one_begins():
    data = synthetic.everything()
    items = open_stream(data).items[:12]
    came = []
    with Feed() as feed:
        for count, item in enumerate(items):
            came += feed.feed(data[item.start : item.end])
            assert len(came) >= count
    assert came == list(items)


def test_a_device_section_before_guest_memory_is_read_from_a_pipe_too():
    # 8.0+: devices whose state is needed early (virtio-mem) send it in the setup phase.
    parts = [
        writer.file_header(),
        synthetic.section(SectionType.START, 2, synthetic.ram_setup(synthetic.BLOCKS), "ram"),
        writer.full_section(3, "device", 0, 1, synthetic.DEVICE),
        synthetic.section(SectionType.PART, 2, synthetic.ram_part()),
        synthetic.section(SectionType.END, 2, synthetic.EOS),
        writer.full_section(4, "old", 3, 2, b"123456"),
        writer.end_of_states(),
        writer.vmdescription(synthetic.described()),
    ]
    data = b"".join(parts)
    mapped = open_stream(data)
    assert [section.found for section in mapped.devices] == [Found.VMDESC, Found.VMDESC]
    same(mapped, read_chunks(data[at : at + 1000] for at in range(0, len(data), 1000)))


@relaxed
@given(st.binary(max_size=300))
def test_any_bytes_give_items_or_our_own_error(data):
    try:
        stream = open_stream(data)
    except StreamError:
        return
    covers(stream)


@relaxed
@given(st.binary(max_size=400))
def test_any_bytes_after_the_header_give_items_and_findings(data):
    stream = open_stream(b"QEVM\0\0\0\3" + data)
    covers(stream)
    same(stream, read_chunks([b"QEVM\0\0\0\3" + data]))


@relaxed
@given(
    st.lists(
        st.sampled_from(
            [
                b"\x01\0\0\0\2\3ram\0\0\0\0\0\0\0\4",
                b"\x02\0\0\0\2",
                b"\x03\0\0\0\2",
                b"\x04\0\0\0\7\6device\0\0\0\0\0\0\0\1",
                b"\x7e\0\0\0\2",
                b"\x7e\0\0\0\7",
                b"\x08\0\7\0\4\0\0\0\x20",
                b"\x08\0\2\0\4",
                b"\0\0\0\0\0\0\0\x10",
                b"\0\0\0\0\0\0\x10\4\4main\0\0\0\0\0\0\x10\0",
                b"\0\0\0\0\0\0\0\2\4main\0",
                b"\0\0\0\0\0\0\0\x22\0",
                b"\0\0\0\0\0\0\0\x28",
                b"\0\0\0\0\0\0\0\x60\1\0\4",
                b"\5\x0adevice/sub\0\0\0\1",
                b"\7\0\0\0\1m",
                b"\6\0\0\0\2{}",
                b"\0",
                b"\xff\xff\xff\xff",
            ]
        ),
        max_size=30,
    )
)
def test_any_sentence_of_the_grammars_words_gives_items_and_findings(words):
    data = b"QEVM\0\0\0\3" + b"".join(words)
    stream = open_stream(data)
    covers(stream)
    assert Edit(stream).tobytes() == data
    assert all(
        isinstance(finding, Finding) and finding.place.offset is not None for finding in stream.findings
    )
    same(stream, read_chunks([data]))


def test_a_map_and_a_pipe_give_findings_in_the_same_order():
    cut_package = b"\x08\0\7\0\4\0\0\0\x20" + b"\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4" * 2
    data = b"QEVM\0\0\0\3" + cut_package + b"\6\0\0\0\2{}"
    found = [finding.rule for finding in open_stream(data).findings]
    assert found == ["stream.truncated", "stream.trailing", "vmdesc.json"]
    same(open_stream(data), read_chunks([data]))


def test_every_finding_of_the_flat_walk_is_inside_the_stream():
    data = synthetic.everything()[:-40]
    for finding in open_stream(data).findings:
        assert 0 <= finding.place.offset <= len(data)
    assert list(flat(open_stream(data).items))
