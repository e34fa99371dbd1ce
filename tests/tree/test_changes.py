"""Edits by path: the named field changes, its dependants are updated, every other byte stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus
from vmstate.compare.verify import verify
from vmstate.errors import EncodeError
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.meanings import meanings
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.measuring import Measured
from vmstate.tree.paths import PathError, find_one, walk
from vmstate.tree.recount import counted_by
from vmstate.tree.typed_changes import changed

DECLARATIONS = PseriesDeclarations()
NAME = "7.2-pseries-7.2"
OLD = "2.12.1-pseries-2.12"


def contents_of(data: bytes) -> Contents:
    return Contents(open_stream(data, Measured(DECLARATIONS)), DECLARATIONS)


def edited(name: str, *changes: str) -> Contents:
    return contents_of(changed(contents_of(corpus.load(name)), list(changes), meanings()))


def field_paths(name: str) -> list[tuple[str, int]]:
    found = []
    contents = contents_of(corpus.load(name))
    for place in walk(contents):
        node = place.node
        if place.section is not None and isinstance(node.value, int) and not isinstance(node.value, bool):
            plain = node.kind == "field" and node.type != "bitmap" and place.chain[-2].kind != "header"
            if plain and counted_by(contents, place) is None:
                found.append((place.path, node.end - node.start))
    return found


FIELDS = field_paths(NAME)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FIELDS), st.integers(0, (1 << 64) - 1))
def test_setting_a_field_changes_its_bytes_and_no_others(field, value):
    path, size = field
    value &= (1 << 8 * size - 1) - 1
    before = corpus.load(NAME)
    node = find_one(contents_of(before), path).node
    after = changed(contents_of(before), [f"{path}={value:#x}"])
    assert after[node.start : node.end] == value.to_bytes(size, "big")
    assert after[: node.start] == before[: node.start]
    assert after[node.end :] == before[node.end :]


@pytest.mark.parametrize("name", [NAME, OLD, "11.1-pseries-11.1"])
def test_an_added_subsection_is_described_as_qemu_would_and_removing_it_gives_the_first_bytes(name):
    after = edited(name, "+cpu[0]/compat.compat_pvr=power8")
    assert verify(after).findings == ()
    assert find_one(after, "cpu/compat.compat_pvr").node.value == 0x0F000004
    again = changed(after, ["-cpu[0]/compat"])
    assert again == corpus.load(name)


@pytest.mark.parametrize("name", [NAME, OLD])
def test_a_subsection_of_a_subsection_follows_in_the_vmdesc(name):
    before = contents_of(corpus.load(name))
    path = "spapr_pci/spapr_pci/nothing@1=00112233"
    after = contents_of(changed(before, [f"+{path}"]))
    section = after.stream.find("spapr_pci")
    entry = json.loads(after.entries.text_of(section))
    assert entry["subsections"][-1]["vmsd_name"].endswith("nothing")
    assert changed(after, ["-spapr_pci/nothing"]) == corpus.load(name)


@pytest.mark.parametrize(
    ("change", "path", "count"),
    [
        ("ics.nr_irqs=8", "ics.irqs", 8),
        ("ics.nr_irqs=5000", "ics.irqs", 5000),
        ("spapr_iommu[0x80000000].mig_nb_table=16", "spapr_iommu[0x80000000].mig_table", 16),
        ("spapr/spapr_dtb.fdt_size=100", "spapr/spapr_dtb.fdt_blob", 100),
    ],
)
def test_what_a_field_counts_grows_and_shrinks_with_it(change, path, count):
    after = edited(NAME, change)
    assert len(find_one(after, path).node.value) == count
    assert verify(after).findings == ()


def test_a_count_beyond_all_reason_is_refused():
    with pytest.raises(EncodeError):
        edited(NAME, "ics.nr_irqs=0xffffffff")


def test_removing_a_subsection_leaves_a_stream_that_verifies():
    after = edited(NAME, "-spapr/cap/ibs")
    assert verify(after).findings == ()
    with pytest.raises(PathError):
        find_one(after, "spapr/cap/ibs")


def test_several_fields_of_an_added_subsection():
    after = edited(NAME, "+spapr_cpu/vpa.vpa_addr=0x1000", "+spapr_cpu/vpa.vpa_addr=0x2000")
    assert find_one(after, "spapr_cpu/vpa.vpa_addr").node.value == 0x2000


def test_removing_a_section_removes_its_entry():
    after = edited(NAME, "-spapr/rtc")
    assert after.stream.find("spapr/rtc") is None
    assert after.stream.vmdesc.device("spapr/rtc", 0) is None
    assert verify(after).fine


def test_removing_a_live_section_removes_all_its_parts():
    after = edited("7.2-booted-power8-hpt-xics", "-spapr/htab")
    assert not [s for s in after.stream.sections if s.idstr == "spapr/htab"]
    assert after.stream.findings == []


def test_a_section_can_be_added_of_bytes():
    after = edited(NAME, "+foo[3]@2=00ff")
    section = after.stream.find("foo", 3)
    assert (section.version_id, bytes(after.stream.payload(section))) == (2, b"\x00\xff")
    assert verify(after).fine
    assert changed(after, ["-foo[3]"]) == corpus.load(NAME)


@pytest.mark.parametrize("name", [NAME, "10.0-pseries-10.0"])
def test_the_length_in_front_of_a_text_follows_in_the_stream_and_in_the_vmdesc(name):
    after = edited(name, "configuration.name=pseries-2.12-sxxm")
    assert after.stream.configuration.machine == "pseries-2.12-sxxm"
    assert [f for f in verify(after).findings if f.rule.startswith(("vmdesc", "stream"))] == []


def test_a_subsection_of_a_configuration_that_is_not_described_is_just_removed():
    after = edited("x86_64-pc-validate-uuid", "-configuration/uuid")
    assert after.stream.configuration.uuid is None
    assert verify(after).fine


def test_names_instances_and_versions_follow_in_the_vmdesc():
    changes = ("spapr/rtc.header.instance_id=7", "icp/server.header.version_id=2", "cpu/fpu.version_id=3")
    after = edited(NAME, *changes)
    assert after.stream.vmdesc.device("spapr/rtc", 7) is not None
    assert after.stream.vmdesc.device("icp/server", 0).object["version"] == 2
    assert after.stream.vmdesc.device("cpu", 0).object["subsections"][0]["version"] == 3


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("spapr/cap/cfpc.mig.caps[0x03]=fixed", "spapr/cap/cfpc.mig.caps[0x03]", 2),
        ("cpu.spr[287]=POWER8", "cpu.env.spr[287]", 0x004D0200),
        ("cpu.msr=SF ME", "cpu.env.msr", 1 << 63 | 1 << 12),
        ("cpu.nip=0b101", "cpu.env.nip", 5),
        ("globalstate.runstate=text:paused", "globalstate.size", None),
    ],
)
def test_values_are_read_as_people_write_them(change, path, value):
    node = find_one(edited(NAME, change), path).node
    if value is not None:
        assert node.value == value


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("cpu.nip=green", EncodeError),
        ("cpu.nip=0x10000000000000000", EncodeError),
        ("spapr.tb=1", PathError),
        ("cpu.gpr=1,2", EncodeError),
        ("nvram@71000001/spapr_nvram.buf=00", (EncodeError, PathError)),
        ("-cpu.nip", PathError),
        ("+cpu/nonsense.x=1", PathError),
        ("cpu.nip", PathError),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change, error):
    with pytest.raises(error):
        edited(NAME, change)
