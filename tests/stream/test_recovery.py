"""Streams that are truncated, damaged or unknown in part: the readable part is read, with findings."""

from __future__ import annotations

import random
import struct

import pytest

from tests.support import corpus, synthetic
from tests.support.damage import Subject
from tests.support.mutations import mutate
from tests.support.share import times
from tests.support.synthetic import EOS, section
from vmstate.errors import Severity
from vmstate.fuzz.compact import compact
from vmstate.stream import Edit, Found, Opaque, Section, SectionType, open_stream, writer
from vmstate.stream.pipe import read_chunks


def check(data: bytes):
    """Read damaged bytes; check that every byte is in an item and every finding has a place."""
    stream = open_stream(data)
    at = 0
    for item in stream.items:
        assert item.start == at < item.end
        at = item.end
    assert at == len(data)
    for finding in stream.findings:
        assert finding.place.offset is not None or finding.rule == "findings.more"
        assert finding.place.offset is None or 0 <= finding.place.offset <= len(data)
    return stream


def kept(whole, damaged, before: int) -> None:
    """Check that items before the damage are unchanged."""
    intact = [place(item) for item in whole.items if item.end <= before]
    assert [place(item) for item in damaged.items[: len(intact) - 1]] == intact[:-1]


def place(item) -> tuple:
    return type(item), item.start, item.end, getattr(item, "payload_end", None)


# -- truncated


def test_a_stream_cut_anywhere():
    data = synthetic.everything()
    whole = open_stream(data)
    part = whole.sections[5]
    sizes = [
        *range(8, part.start + 300),
        *range(part.start + 300, part.end, 101),
        *range(part.end - 20, len(data)),
    ]
    for size in sizes:
        stream = check(data[:size])
        kept(whole, stream, size)
        ends = {item.end for item in whole.items} | {len(data) - len(synthetic.described()) - 5}
        if size not in ends:
            assert any(finding.rule == "stream.truncated" for finding in stream.findings), size


@pytest.mark.parametrize("name", corpus.VARIED)
def test_a_real_stream_cut_at_each_item(name):
    data = corpus.load(name)
    whole = open_stream(data)
    for item in whole.items[:-1]:
        stream = check(data[: item.end])
        kept(whole, stream, item.end)
        assert [section.idstr for section in stream.sections] == [
            section.idstr for section in whole.sections if section.end <= item.end
        ]


@pytest.mark.parametrize("name", corpus.VARIED)
def test_a_real_stream_cut_at_random(name, pytestconfig):
    data = corpus.load(name)
    whole = open_stream(data)
    rng = random.Random(name)
    tail = whole.devices[0].start
    for count in range(times(25, 200)):
        size = rng.randrange(tail, len(data)) if count % 2 else rng.randrange(8, len(data))
        stream = check(data[:size])
        kept(whole, stream, size)


def test_a_cut_section_keeps_its_beginning():
    data = corpus.load("7.2-pseries-7.2")
    whole = open_stream(data)
    cpu = whole.find("cpu")
    stream = check(data[: cpu.payload_start + 100])
    last = stream.sections[-1]
    assert (last.idstr, last.damaged, last.payload_end - last.payload_start) == ("cpu", True, 100)
    (finding,) = stream.findings
    assert (finding.rule, finding.place.section, finding.place.offset) == (
        "stream.truncated",
        "cpu",
        len(stream.data),
    )


# -- damaged


@pytest.mark.parametrize("name", corpus.VARIED + corpus.SMALL)
def test_mutated_streams(name):
    data = corpus.load(name)
    rng = random.Random(name)
    for _ in range(times(20, 200)):
        mutant = mutate(data, rng, rng.choice([1, 1, 1, 3]))
        stream = check(mutant)
        assert Edit(stream).tobytes() == mutant


def test_mutated_synthetic_streams():
    rng = random.Random(1)
    for _ in range(times(300, 3000)):
        mutant = mutate(synthetic.everything(), rng, rng.choice([1, 1, 2, 5]))
        stream = check(mutant)
        assert Edit(stream).tobytes() == mutant


def test_mutated_streams_from_a_pipe():
    rng = random.Random(2)
    for _ in range(100):
        mutant = mutate(synthetic.everything(), rng, rng.choice([1, 1, 2, 5]))
        stream = read_chunks([mutant[at : at + 5000] for at in range(0, len(mutant), 5000)])
        assert stream.items[-1].end == len(mutant)
        assert stream.items == open_stream(mutant).items


def damage(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_damage_in_guest_memory_costs_the_rest_of_its_part_only():
    data = synthetic.everything()
    whole = open_stream(data)
    part = whole.sections[5]
    assert (part.kind, part.idstr) == (SectionType.PART, "ram")
    stream = check(damage(data, part.payload_start + 194, b"\xff"))
    assert [finding.rule for finding in stream.findings] == ["section.damaged"]
    assert stream.sections[5].damaged
    assert stream.sections[5].found == Found.FOOTER
    assert [(s.start, s.end) for s in stream.sections] == [(s.start, s.end) for s in whole.sections]


def test_a_wrong_footer_is_reported_and_nothing_is_lost():
    data = corpus.load("7.2-pseries-7.2")
    whole = open_stream(data)
    cpu = whole.find("cpu")
    stream = check(damage(data, cpu.payload_end + 1, b"\0\0\xff\xff"))
    (finding,) = stream.findings
    assert (finding.rule, finding.place.section, finding.place.offset) == (
        "footer.id",
        "cpu",
        cpu.payload_end + 1,
    )
    assert stream.find("cpu").footer == 0xFFFF
    assert len(stream.items) == len(whole.items)


def test_a_missing_footer_is_reported_and_nothing_is_lost():
    data = corpus.load("7.2-pseries-7.2")
    whole = open_stream(data)
    cpu = whole.find("cpu")
    stream = check(data[: cpu.payload_end] + data[cpu.end :])
    (finding,) = stream.findings
    assert (finding.rule, finding.place.section, finding.place.offset) == (
        "footer.missing",
        "cpu",
        cpu.payload_end,
    )
    assert [section.idstr for section in stream.sections] == [section.idstr for section in whole.sections]


@pytest.mark.parametrize("change", [b"", b"\0"])
def test_a_payload_that_is_not_as_long_as_described_ends_at_its_footer(change):
    data = corpus.load("7.2-pseries-7.2")
    whole = open_stream(data)
    cpu = whole.find("cpu")
    stream = check(data[: cpu.payload_end - 1] + change + change + data[cpu.payload_end :])
    (finding,) = stream.findings
    assert (finding.rule, finding.place.section) == ("section.length", "cpu")
    assert stream.find("cpu").found == Found.FOOTER
    assert [section.idstr for section in stream.sections] == [section.idstr for section in whole.sections]


def test_an_unknown_item_is_skipped_to_the_next_section():
    data = corpus.load("7.2-pseries-7.2")
    cpu = open_stream(data).find("cpu")
    stream = check(data[: cpu.start] + b"\x99garbage" + data[cpu.start :])
    (opaque,) = [item for item in stream.items if isinstance(item, Opaque)]
    assert (opaque.start, opaque.end) == (cpu.start, cpu.start + 8)
    assert [finding.rule for finding in stream.findings] == ["stream.lost"]


def test_bytes_after_the_end_are_kept_and_reported():
    data = corpus.load("7.2-pseries-7.2") + b"more"
    stream = check(data)
    assert isinstance(stream.items[-1], Opaque)
    rules = {finding.rule: finding.severity for finding in stream.findings}
    assert rules["stream.trailing"] == Severity.WARNING


def test_bytes_after_the_end_do_not_hide_the_sections():
    stream = check(corpus.load("7.2-pseries-7.2") + bytes(1000))
    whole = open_stream(corpus.load("7.2-pseries-7.2"))
    assert [(s.start, s.end) for s in stream.sections] == [(s.start, s.end) for s in whole.sections]


def test_a_part_of_a_section_that_never_started():
    stream = check(
        writer.file_header()
        + section(SectionType.PART, 77, EOS)
        + writer.full_section(9, "device", 0, 1, b"x")
        + b"\0"
    )
    assert [finding.rule for finding in stream.findings] == ["stream.lost"]


# -- unknown


def test_an_unknown_live_section_ends_at_its_footer():
    parts = [
        section(SectionType.START, 5, b"\1\2\3", "pbs-state", 1),
        section(SectionType.PART, 5, b"payload \x7e\0\0\0\5 with a footer's likeness"),
        section(SectionType.END, 5, b""),
        writer.full_section(9, "device", 0, 1, b"state"),
    ]
    stream = check(writer.file_header() + b"".join(parts) + b"\0")
    assert [bytes(stream.payload(s)) for s in stream.sections] == [
        b"\1\2\3",
        b"payload \x7e\0\0\0\5 with a footer's likeness",
        b"",
        b"state",
    ]
    assert [finding.rule for finding in stream.findings] == ["section.unknown"]


def test_an_unknown_section_between_known_live_ones():
    parts = [
        section(SectionType.START, 2, synthetic.ram_setup(synthetic.BLOCKS), "ram"),
        section(SectionType.START, 5, b"abc", "vfio", 1),
        section(SectionType.PART, 2, synthetic.ram_part()),
        section(SectionType.PART, 5, bytes(range(256)) * 20),
        section(SectionType.END, 2, EOS),
    ]
    data = writer.file_header() + b"".join(parts) + b"\0"
    stream = check(data)
    assert [section.idstr for section in stream.sections] == ["ram", "vfio", "ram", "vfio", "ram"]
    assert read_chunks([data[at : at + 100] for at in range(0, len(data), 100)]).items == stream.items


def test_an_unknown_configuration_subsection_is_skipped():
    head = writer.configuration("m") + writer.subsection_header("configuration/new", 1) + b"12345"
    data = (
        writer.file_header()
        + head
        + section(SectionType.START, 2, synthetic.ram_setup(synthetic.BLOCKS), "ram")
        + b"\0"
    )
    stream = check(data)
    assert [section.idstr for section in stream.sections] == ["ram"]
    (finding,) = stream.findings
    assert (finding.rule, finding.place.section) == ("stream.lost", "configuration")


def test_an_unknown_command_is_reported_by_its_number():
    stream = check(writer.file_header() + writer.command(0x55, b"xy") + b"\0")
    assert [finding.rule for finding in stream.findings] == ["command.unknown"]
    assert stream.items[1].name == "0x55"


@pytest.mark.parametrize("number", [8, 9])
def test_release_3_0_numbered_two_commands_differently(number):
    # 3.0: 8 is POSTCOPY_RESUME, 9 RECV_BITMAP (a name); since 3.1 they are ENABLE_COLO and POSTCOPY_RESUME.
    data = b"" if number == 8 else b"\4main"
    stream = check(writer.file_header() + writer.command(number, data) + writer.command(4) + b"\0")
    assert [item.name for item in stream.items[1:3]][1] == "POSTCOPY_LISTEN"
    assert [finding.rule for finding in stream.findings] == ([] if number == 8 else ["command.unknown"])


# -- wrong descriptions


def with_description(text: bytes) -> bytes:
    return synthetic.everything(with_description=False) + writer.vmdescription(text)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"{}",
        b"[]",
        b'{"devices":3}',
        b'{"devices":[3]}',
        b"{" * 100_000 + b"}",
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"devices":[' + b"9" * 10_000 + b"]}",
        b'{"page_size":"x"}',
        b"\xff\xfe}",
    ],
)
def test_a_description_that_cannot_be_read_is_a_finding(text):
    stream = check(with_description(text))
    assert stream.vmdesc is None or stream.vmdesc.devices == ()
    assert [section.idstr for section in stream.devices] == ["inner", "device", "old"]


@pytest.mark.parametrize(
    "fields",
    [
        '[{"name":"a","size":1000000}]',
        '[{"name":"a","size":-5}]',
        '[{"name":"a","size":9223372036854775807,"array_len":9223372036854775807}]',
        '[{"name":"a","size":"4"}]',
        '[{"name":"a"}]',
        '{"name":"a"}',
        "null",
        '[{"name":"a","size":1e308}]',
    ],
)
def test_sizes_that_lie_are_not_believed(fields):
    device = f'{{"name":"device","instance_id":0,"vmsd_name":"device","version":1,"fields":{fields}}}'
    stream = check(with_description(f'{{"devices":[{device}]}}'.encode()))
    section = stream.find("device")
    assert bytes(stream.payload(section)) == synthetic.DEVICE
    assert section.found == Found.FOOTER


def test_devices_that_repeat_are_taken_in_order():
    text = (
        b'{"devices":[{"name":"d","instance_id":0,"vmsd_name":"d","version":1,"fields":[{"name":"a","size":1}]},'
        b'{"name":"d","instance_id":0,"vmsd_name":"d","version":1,"fields":[{"name":"a","size":3}]}]}'
    )
    one, two = (
        writer.full_section(n, "d", 0, 1, p, with_footer=False) for n, p in ((1, b"\4"), (2, b"\4\4\4"))
    )
    stream = check(writer.file_header() + one + two + b"\0" + writer.vmdescription(text))
    assert [bytes(stream.payload(section)) for section in stream.sections] == [b"\4", b"\4\4\4"]


def test_a_description_whose_length_holds_its_own_mark_is_found():
    padding = b" " * (0x0606 - len(synthetic.described()))
    text = synthetic.described()[:-1] + padding + b"}"
    assert len(text) == 0x0606
    stream = check(with_description(text))
    assert stream.vmdesc is not None
    assert stream.find("device").found == Found.VMDESC


# -- hostile


def test_packages_in_packages_end_somewhere():
    inner = b""
    for _ in range(300):
        inner = writer.packaged(inner)
    stream = check(writer.file_header() + inner + b"\0")
    assert "command.nested" in {finding.rule for finding in stream.findings}


def test_a_package_longer_than_the_stream():
    stream = check(writer.file_header() + writer.command(7, struct.pack(">I", 0xFFFFFFFF)) + b"\0")
    assert stream.findings[0].rule == "stream.truncated"


def test_a_thousand_live_sections_are_enough():
    parts = [section(SectionType.START, number, EOS, "ram") for number in range(3000)]
    stream = check(writer.file_header() + b"".join(parts) + b"\0")
    assert len(stream.handlers) == 1000
    assert len(stream.sections) == 3000


def test_findings_are_counted_after_a_thousand():
    parts = [writer.command(0x99)] * 5000
    stream = check(writer.file_header() + b"".join(parts) + b"\0")
    assert len(stream.findings) == 1001
    assert stream.findings[-1].rule == "findings.more"
    assert "4000" in stream.findings[-1].message


def test_sections_never_lose_their_type():
    assert all(isinstance(item, Section) for item in open_stream(synthetic.everything()).sections)


# -- nothing readable is lost

FOOTED = (
    "4.1.1-booted-power9-compat8-smp2",
    "7.2-pseries-7.2",
    "10.0-ppc64-pseries-postcopy",
    "11.1-booted-power10",
    *(name for name in corpus.names() if name.startswith(("x86_64-q35-7", "s390x", "aarch64"))),
)


@pytest.mark.parametrize("name", FOOTED[:8])
def test_one_damaged_byte_loses_no_other_section(name):
    subject = Subject(name, compact(corpus.load(name)))
    assert subject.footers
    rng = random.Random(f"damage {name}")
    for _ in range(25):
        damage = subject.damage(rng)
        damaged = damage.applied(subject.data)
        stream = check(damaged)
        assert subject.lost(damage, stream) == [], damage
        piped = read_chunks([damaged[at : at + 5000] for at in range(0, len(damaged), 5000)])
        assert [place(item) for item in piped.items] == [place(item) for item in stream.items], damage
        assert [finding.rule for finding in piped.findings] == [finding.rule for finding in stream.findings]


@pytest.mark.parametrize("name", FOOTED[:8])
def test_an_end_mark_between_sections_ends_nothing(name):
    data = compact(corpus.load(name))
    whole = open_stream(data)
    rng = random.Random(name)
    for one in rng.sample(whole.sections[:-1], 5):
        if one.depth:
            continue  # the length of the package around it would be wrong too
        stream = check(data[: one.end] + b"\0" + data[one.end :])
        assert len(stream.sections) == len(whole.sections)
        assert "stream.end-mark" in {finding.rule for finding in stream.findings}
