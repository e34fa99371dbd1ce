"""Reading real streams."""

from __future__ import annotations

import re

import pytest

from tests.support import corpus, synthetic
from vmstate.errors import StreamError, Truncated, Unsupported
from vmstate.stream import (
    CommandItem,
    Configuration,
    EndOfStates,
    FileHeader,
    Found,
    Section,
    SectionType,
    VmDescription,
    flat,
    open_stream,
    writer,
)
from vmstate.stream.constants import Command


def covered(stream) -> bool:
    at = 0
    for item in stream.items:
        assert item.start == at, item
        at = item.end
    return at == len(stream.data)


@pytest.mark.parametrize("name", corpus.names(described=True))
def test_every_byte_of_a_described_stream_has_a_name(name):
    stream = open_stream(corpus.load(name))
    assert covered(stream)
    assert stream.findings == []
    for section, device in zip(stream.devices, stream.vmdesc.devices, strict=True):
        assert section.found == (Found.VMDESC if device.size.exact else section.found)
    assert {section.found for section in stream.sections if section.kind != SectionType.FULL} == {Found.LIVE}
    assert isinstance(stream.items[-1], VmDescription)
    assert isinstance(stream.items[-2], EndOfStates)


@pytest.mark.parametrize("name", corpus.names(described=True))
def test_the_description_names_the_devices_in_the_order_of_their_sections(name):
    stream = open_stream(corpus.load(name))
    described = [(device.name, device.instance_id) for device in stream.vmdesc.devices]
    assert described == [(section.idstr, section.instance_id) for section in stream.devices]
    for section, device in zip(stream.devices, stream.vmdesc.devices, strict=True):
        if device.size.exact:
            assert section.payload_end - section.payload_start == device.size.bytes


@pytest.mark.parametrize("name", [name for name in corpus.names() if "pseries" in name and name[0].isdigit()])
def test_the_machine_is_the_one_that_was_asked_for(name):
    arguments = " ".join(corpus.manifest()[name]["args"])
    asked = re.search(r"-machine (pseries[^, ]*)", arguments)
    stream = open_stream(corpus.load(name))
    if name.endswith("-pseries-2.1"):
        assert stream.configuration is None
        assert stream.footers is False
    elif asked and asked[1] != "pseries":
        assert stream.configuration.machine == asked[1]
        assert stream.footers is True


@pytest.mark.parametrize("name", corpus.names(described=False))
def test_without_a_description_the_same_sections_are_found(name):
    stream = open_stream(corpus.load(name))
    assert covered(stream)
    assert isinstance(stream.items[-1], EndOfStates)
    names = [section.idstr for section in stream.devices]
    assert names[0] == "timer"
    assert names[-1] == "globalstate"
    if name.endswith("-postcopy-active"):
        return
    assert len(names) == {"7.2-no-vmdesc": 17, "x86_64-pc-no-vmdesc": 30}.get(name, 12)


def test_footers_alone_give_what_the_description_gives():
    with_description = open_stream(corpus.load("7.2-pseries-7.2"))
    data = corpus.load("7.2-pseries-7.2")[: with_description.description.start]
    without = open_stream(data)
    assert [(s.start, s.end, s.idstr) for s in without.sections] == [
        (s.start, s.end, s.idstr) for s in with_description.sections
    ]
    assert {section.found for section in without.devices} == {Found.FOOTER}
    assert without.findings == []


def test_a_resolver_measures_payloads_without_a_description():
    described = open_stream(corpus.load("2.11.1-pseries-2.12"))
    data = corpus.load("2.11.1-pseries-2.12")[: described.description.start]

    class Known:
        def measure(self, idstr, instance_id, version_id, data, payload_start):
            device = described.vmdesc.device(idstr, instance_id)
            return payload_start + device.size.bytes if device else None

    stream = open_stream(data, Known())
    assert {section.found for section in stream.devices} == {Found.DECLARED}
    assert stream.findings == []


def test_a_resolver_that_is_wrong_is_overruled_by_the_footer():
    described = open_stream(corpus.load("7.2-pseries-7.2"))
    data = corpus.load("7.2-pseries-7.2")[: described.description.start]

    class Wrong:
        def measure(self, idstr, instance_id, version_id, data, payload_start):
            return payload_start + 3

    stream = open_stream(data, Wrong())
    assert [(s.start, s.end) for s in stream.sections] == [(s.start, s.end) for s in described.sections]
    assert {finding.rule for finding in stream.findings} == {"section.length"}


def test_every_item_of_the_synthetic_stream():
    stream = open_stream(synthetic.everything())
    assert covered(stream)
    assert stream.findings == []
    kinds = [type(item) for item in stream.items]
    assert kinds[0] is FileHeader
    assert kinds[1] is Configuration
    config = stream.configuration
    assert (config.machine, config.target_page_bits, config.capabilities) == (
        "machine-1.0",
        12,
        ("x-something",),
    )
    commands = [item.command for item in flat(stream.items) if isinstance(item, CommandItem)]
    assert commands == [1, 2, 3, 6, 7, 4, 5, 11]
    assert [idstr for idstr, _ in stream.handlers] == [
        "ram",
        "spapr/htab",
        "dirty-bitmap",
        "s390-storage_attributes",
        "block",
    ]


def test_a_package_is_a_stream_inside_the_stream():
    stream = open_stream(synthetic.everything())
    package = next(i for i in stream.items if isinstance(i, CommandItem) and i.command == Command.PACKAGED)
    listen, section, run = package.inner
    assert (listen.name, run.name) == ("POSTCOPY_LISTEN", "POSTCOPY_RUN")
    assert isinstance(section, Section)
    assert (section.idstr, section.instance_id, section.version_id, section.depth) == ("inner", 1, 2, 1)
    assert bytes(stream.payload(section)) == b"inside"
    assert listen.start == package.inner_start
    assert run.end == package.end


def test_a_real_postcopy_migration_has_its_devices_in_a_package():
    stream = open_stream(corpus.load("7.2-ppc64-pseries-postcopy-active"))
    assert stream.findings == []
    assert covered(stream)
    package = next(i for i in stream.items if isinstance(i, CommandItem) and i.command == Command.PACKAGED)
    assert [item.name for item in package.inner if isinstance(item, CommandItem)] == [
        "POSTCOPY_LISTEN",
        "PING",
        "POSTCOPY_RUN",
    ]
    assert {section.depth for section in stream.devices} == {1}
    assert [section.idstr for section in stream.devices][-2:] == ["spapr", "globalstate"]
    after = [s.idstr for s in stream.sections if s.start > package.end]
    assert set(after) == {"ram"}


def test_a_real_multifd_migration_has_no_pages_in_the_main_stream():
    stream = open_stream(corpus.load("10.0-ppc64-pseries-multifd"))
    assert stream.findings == []
    assert stream.ram.pages == 0
    assert stream.ram.flushes > 0


def test_payloads_are_views_of_the_stream():
    data = corpus.load("x86_64-microvm")
    stream = open_stream(data)
    assert stream.payload(stream.devices[0]).obj is data


def test_a_file_is_mapped(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(corpus.load("i386-isapc"))
    stream = open_stream(path)
    assert stream.items == open_stream(corpus.load("i386-isapc")).items
    assert type(stream.data.obj).__name__ == "mmap"
    assert stream.path == path


def test_file_version_2_records_carry_their_length():
    record = b"\x05timer" + bytes([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]) + b"abc"
    stream = open_stream(b"QEVM\0\0\0\2" + len(record).to_bytes(8, "big") + record)
    assert covered(stream)
    (section,) = stream.sections
    assert (section.idstr, section.instance_id, section.version_id) == ("timer", 1, 2)
    assert bytes(stream.payload(section)) == b"abc"
    assert stream.findings == []


@pytest.mark.parametrize("data", [b"", b"QEV", b"QEVM\0\0\0"])
def test_too_short_for_a_header(data):
    with pytest.raises(Truncated):
        open_stream(data)


@pytest.mark.parametrize("data", [b"MVEQ\0\0\0\3", b"QEVM\0\0\0\4", bytes(100)])
def test_not_a_migration_stream(data):
    with pytest.raises(StreamError) as caught:
        open_stream(data)
    assert caught.value.offset in (0, 4)


def test_a_multifd_channel_is_distinguished_from_a_damaged_stream():
    with pytest.raises(Unsupported, match="multifd"):
        open_stream(bytes.fromhex("1122334400000001") + bytes(100))


def test_an_empty_file_is_not_a_stream(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(Truncated):
        open_stream(tmp_path / "empty")


def test_names_that_are_not_text_survive():
    name = b"\xff\xfe/device"
    head = bytes([4, 0, 0, 0, 9, len(name)]) + name + bytes(8)
    data = writer.file_header() + head + b"payload" + writer.footer(9) + b"\0"
    stream = open_stream(data)
    assert stream.sections[0].idstr.encode("utf-8", "surrogateescape") == name
