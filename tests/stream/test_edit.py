"""Editing streams: all other bytes are kept, and dependent lengths are updated."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus, synthetic
from vmstate.errors import EncodeError, StreamError, Unsupported
from vmstate.stream import CommandItem, Edit, open_pipe, open_stream, strip, writer
from vmstate.stream.constants import Command
from vmstate.stream.edit import Zeros
from vmstate.stream.sections.ram import PageKind
from vmstate.stream.sections.ram_pages import RamPages
from vmstate.stream.vmdesc.edit import device_spans, replace_devices


def everything():
    return open_stream(synthetic.everything())


def test_another_payload_in_a_section():
    stream = everything()
    edit = Edit(stream)
    edit.replace_payload(stream.find("device"), b"changed")
    edit.replace_vmdescription(None)
    changed = open_stream(edit.tobytes())
    assert bytes(changed.payload(changed.find("device"))) == b"changed"
    assert changed.findings == []
    assert len(edit) == len(changed.data)


def test_the_length_of_a_package_follows_a_change_inside_it():
    stream = everything()
    edit = Edit(stream)
    edit.replace_payload(stream.find("inner"), b"much longer than it was")
    changed = open_stream(edit.tobytes())
    assert changed.findings == []
    assert bytes(changed.payload(changed.find("inner"))) == b"much longer than it was"
    assert len(changed.items) == len(stream.items)


def test_the_lengths_of_packages_in_packages_follow():
    inner = writer.packaged(
        writer.full_section(9, "inner", 0, 1, b"x") + writer.command(Command.POSTCOPY_RUN)
    )
    data = writer.file_header() + writer.packaged(inner) + writer.packaged(b"") + b"\0"
    stream = open_stream(data)
    edit = Edit(stream)
    edit.replace_payload(stream.find("inner"), b"xyz")
    changed = open_stream(edit.tobytes())
    assert changed.findings == []
    assert bytes(changed.payload(changed.find("inner"))) == b"xyz"


def test_the_description_carries_its_own_length():
    stream = everything()
    edit = Edit(stream)
    text = stream.vmdesc.text.replace(b'"old"', b'"older"')
    edit.replace_vmdescription(text)
    changed = open_stream(edit.tobytes())
    assert changed.vmdesc.text == text
    assert changed.vmdesc.devices[1].name == "older"


def test_a_description_can_be_added():
    stream = open_stream(synthetic.everything(with_description=False))
    edit = Edit(stream)
    edit.replace_vmdescription(synthetic.described())
    assert edit.tobytes() == synthetic.everything()


def test_sections_can_be_removed_and_inserted():
    stream = everything()
    edit = Edit(stream)
    old = stream.find("old")
    edit.remove(old)
    edit.insert(old.end, writer.full_section(20, "new", 0, 1, b"n"))
    edit.replace_vmdescription(None)
    changed = open_stream(edit.tobytes())
    assert [section.idstr for section in changed.devices] == ["inner", "device", "new"]


def test_insertions_at_one_place_keep_their_order():
    stream = everything()
    at = stream.find("device").start
    edit = Edit(stream)
    edit.insert(at, b"one")
    edit.insert(at, b"two")
    edit.replace(at, at + 1, b"!")
    assert edit.tobytes()[at : at + 7] == b"onetwo!"


@pytest.mark.parametrize("changes", [[(10, 20), (15, 25)], [(15, 25), (10, 20)], [(10, 20), (12, 12)]])
def test_changes_must_not_overlap(changes):
    edit = Edit(everything())
    for start, end in changes:
        edit.replace(start, end, b"x")
    with pytest.raises(EncodeError, match="overlap"):
        edit.tobytes()


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4), (0, 10**9)])
def test_changes_must_be_inside_the_stream(start, end):
    with pytest.raises(EncodeError):
        Edit(everything()).replace(start, end, b"")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 50), st.binary(max_size=60)), max_size=8))
def test_an_edit_is_what_replacing_bytes_from_the_end_gives(changes):
    stream = everything()
    expected, edit, last = bytearray(stream.data), Edit(stream), 0
    applied = []
    for start, size, new in sorted(changes):
        start = max(start, last)
        edit.replace(start, start + size, new)
        applied.append((start, start + size, new))
        last = start + size
    for start, end, new in reversed(applied):
        expected[start:end] = new
    assert edit.tobytes() == expected
    assert len(edit) == len(expected)


def test_an_edit_is_written_in_pieces():
    stream = everything()
    edit = Edit(stream)
    edit.replace(100, 101, Zeros(3_000_000))
    out = io.BytesIO()
    assert edit.write(out) == len(edit) == len(stream.data) + 2_999_999
    assert out.getvalue() == edit.tobytes()


def test_guest_memory_from_a_pipe_cannot_be_written():
    data = synthetic.everything()
    piped = open_pipe(io.BytesIO(data))
    with pytest.raises(Unsupported) as caught:
        Edit(piped).tobytes()
    ram = open_stream(data).sections[5]
    assert caught.value.offset == ram.payload_start


# -- strip


@pytest.mark.parametrize("name", corpus.names())
def test_stripped_streams_strip_to_themselves(name):
    data = corpus.load(name)
    assert strip(open_stream(data)).tobytes() == data


def test_strip_makes_every_page_a_zero_page():
    stream = everything()
    stripped = open_stream(strip(stream).tobytes())
    assert stripped.findings == []
    assert stripped.ram.counts[PageKind.ZERO] == stream.ram.pages == stripped.ram.pages
    assert stripped.ram.hooks == stripped.ram.flushes == 1
    before, after = RamPages(stream.ram, stream.data), RamPages(stripped.ram, stripped.data)
    for index in range(2):
        addresses = [address for address, _ in before.pages(index)]
        assert [(address, content) for address, content in after.pages(index)] == [
            (address, bytes(4096)) for address in addresses
        ]


def test_strip_changes_only_guest_memory():
    stream = everything()
    stripped = open_stream(strip(stream).tobytes())
    assert len(stripped.items) == len(stream.items)
    for one, other in zip(stream.sections, stripped.sections, strict=True):
        if one.idstr != "ram":
            assert stream.payload(one) == stripped.payload(other)
    assert stripped.vmdesc.text == stream.vmdesc.text


def test_strip_of_a_zero_page_with_another_fill_byte():
    stream = everything()
    assert RamPages(stream.ram, stream.data).page(0, 20 * 4096) == b"\xaa" * 4096
    stripped = open_stream(strip(stream).tobytes())
    assert RamPages(stripped.ram, stripped.data).page(0, 20 * 4096) == bytes(4096)


def test_strip_of_mapped_memory_keeps_its_place():
    from tests.support.synthetic import mapped_stream

    data = mapped_stream({1: synthetic.page(1), 6: synthetic.page(6)})
    stripped = open_stream(strip(open_stream(data)).tobytes())
    assert stripped.findings == []
    assert len(stripped.data) == len(data)
    assert list(RamPages(stripped.ram, stripped.data).pages(0)) == []
    assert not any(stripped.data[1 << 16 : (1 << 16) + 8 * 4096])


# -- single devices of a description


@pytest.mark.parametrize("name", corpus.names(described=True))
def test_device_spans_are_the_devices(name):
    stream = open_stream(corpus.load(name))
    text = stream.vmdesc.text
    spans = device_spans(text)
    assert [json.loads(text[start:end]) for start, end in spans] == stream.vmdesc.json["devices"]
    assert replace_devices(text, {}) == text


@pytest.mark.parametrize("name", ["5.2-pseries-5.2", "7.2-pseries-7.2", "11.1-pseries-11.1"])
def test_one_device_replaced_removed_and_inserted(name):
    text = open_stream(corpus.load(name)).vmdesc.text
    devices = json.loads(text)["devices"]
    new = {"name": "new", "instance_id": 1}
    changed = replace_devices(
        text, {2: json.dumps(new).encode(), 4: None, -1 - 3: b"{}", -1 - len(devices): b"{}"}
    )
    expected = [*devices[:2], new, {}, devices[3], *devices[5:], {}]
    assert json.loads(changed)["devices"] == expected
    start, end = device_spans(text)[0]
    assert changed[:end] == text[:end]
    assert start > 0


def test_devices_can_be_put_into_an_empty_list():
    assert (
        replace_devices(b'{"page_size":4096,"devices":[]}', {-1: b"{}"})
        == b'{"page_size":4096,"devices":[{}]}'
    )


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"devices":3}', b'{"devices":[{]}', b'{"devices":[{}', b"\xff", b'{"a"']
)
def test_texts_that_are_not_a_description(text):
    with pytest.raises(StreamError):
        device_spans(text)


# -- the writer


def test_names_and_numbers_must_fit():
    with pytest.raises(EncodeError):
        writer.counted("x" * 256)
    with pytest.raises(EncodeError):
        writer.u32(1 << 32)
    with pytest.raises(EncodeError):
        writer.u32(-1)
    with pytest.raises(EncodeError):
        writer.configuration("m", uuid=b"short")
    with pytest.raises(EncodeError):
        writer.command(1, bytes(70_000))


@pytest.mark.parametrize("name", corpus.VARIED)
def test_the_writer_makes_the_framing_of_real_streams(name):
    data = corpus.load(name)
    stream = open_stream(data)
    assert writer.file_header() == data[: stream.header.end]
    if stream.configuration:
        item = stream.configuration
        made = writer.configuration(item.machine, item.target_page_bits, item.capabilities, item.uuid)
        assert made == data[item.start : item.end]
    for section in stream.devices:
        made = writer.full_section(
            section.section_id,
            section.idstr,
            section.instance_id,
            section.version_id,
            stream.payload(section),
            with_footer=stream.footers,
        )
        assert made == data[section.start : section.end]
    for item in stream.items:
        if isinstance(item, CommandItem):
            assert (
                writer.command(item.command, data[item.data_start : item.data_end])
                == data[item.start : item.end]
            )
    if stream.description:
        assert writer.vmdescription(stream.vmdesc.text) == data[stream.description.start :]
