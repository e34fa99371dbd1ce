"""Things found in a stream: paths that are unique, globs, values, keys, one line a field."""

from __future__ import annotations

import mmap
from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus, synthetic
from vmstate.describe import Node
from vmstate.errors import EncodeError
from vmstate.front.known import known_meanings
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.arm_registers import register_name
from vmstate.tree.display import text_of_value
from vmstate.tree.flat import flat_lines
from vmstate.tree.meanings import words_below, words_of_number
from vmstate.tree.measuring import Measured
from vmstate.tree.paths import PathError, Place, find, find_one, owner_of, tops, walk
from vmstate.tree.search import fits, search, search_value
from vmstate.tree.typed_changes import changed

NAMES = [
    *("10.0-booted-virtio-smp2", "7.2-booted-power9-compat8", "7.2-no-vmdesc", "10.0-ppc64-pseries-postcopy"),
    *("7.2-ppc64-pseries-postcopy-active", "10.0-ppc64-pseries-multifd", "aarch64-virt-gicv3-its-running"),
    *("s390x-ccw-skeys-running", "x86_64-q35-many", "hppa"),
]
ARM = "aarch64-virt-gicv3-its-running"
TWINS = "7.2-no-vmdesc"  # its cpu has two fields called unused
DECLARATIONS = PseriesDeclarations()


@cache
@cache
def contents_of(name: str) -> Contents:
    data = synthetic.everything() if name == "synthetic" else corpus.load(name)
    return Contents(open_stream(data, Measured(DECLARATIONS)), DECLARATIONS)


@cache
def lines_of(name: str, most: int | None = 8, *, full: bool = True) -> list[str]:
    contents = contents_of(name)
    lines = []
    for place in tops(contents):
        owner = owner_of(contents, place)
        lines += flat_lines(contents, place, owner, known_meanings(), most=most, full=full)
    return lines


@pytest.mark.parametrize("name", [*NAMES, "synthetic"])
def test_no_two_things_have_the_same_path(name):
    paths = Counter(place.path for place in walk(contents_of(name)))
    assert [path for path, number in paths.items() if number > 1] == []


@pytest.mark.parametrize("name", [*NAMES, "synthetic"])
def test_the_words_for_a_field_are_the_same_from_its_place_and_from_the_one_around_it(name):
    meanings, found = known_meanings(), 0
    for place in walk(contents_of(name)):
        if place.node.kind == "field" and len(place.chain) > 1:
            words = words_of_number(meanings, place)
            around = Place("", place.chain[:-1], place.section)
            assert words_below(meanings, around)(place.node) is words, place.path
            found += words is not None
    assert found


def test_a_field_that_is_named_like_a_member_of_an_array_is_told_apart():
    """The timer of i8254 sends the transition of its first channel twice."""
    contents = contents_of("x86_64-q35-many")
    path = "i8254.channels[0].next_transition_time"
    first, second = find_one(contents, path), find_one(contents, f"{path}#1")
    assert first.node.end < second.node.start
    assert [line.partition("=")[0] for line in lines_of("x86_64-q35-many") if path in line] == [
        path,
        f"{path}#1",
    ]


@settings(max_examples=8, deadline=None)
@given(data=st.data(), name=st.sampled_from([*NAMES, "synthetic"]))
def test_what_a_flat_line_says_leads_to_that_thing_and_changes_nothing(data, name):
    contents = contents_of(name)
    line = data.draw(st.sampled_from(lines_of(name)))
    change, _, _ = line.partition("  # ")
    if "[…]" in change:
        return
    path = change if "=" not in line.partition("  # ")[0] else change.rpartition("=")[0]
    place = find_one(contents, path)
    assert place.path == path
    if path != change:
        assert changed(contents, [change], known_meanings()) == contents.stream.data


def test_a_value_in_a_long_array_of_structs_is_found():
    path = "spapr/htab#1.chunks[0].index"
    contents = contents_of("7.2-booted-power9-compat8")
    found = [place.path for place in search_value(contents, "spapr/htab*", "0x3d208", known_meanings())]
    assert path in found


@settings(max_examples=8, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES[:4]))
def test_every_value_is_found_by_itself(data, name):
    contents = contents_of(name)
    line = data.draw(st.sampled_from(lines_of(name, full=False)))
    change, _, _ = line.partition("  # ")
    path, sign, value = change.rpartition("=")
    if sign and not path.endswith("]") and "text" not in find_one(contents, path).node.type:
        assert path in [place.path for place in search_value(contents, path, value, known_meanings())]


def test_every_field_has_a_line():
    name = "5.2-pseries-2.1"
    paths = {line.partition("  # ")[0].partition("=")[0] for line in lines_of(name, None)}
    arrays = {path[: path.index("[", path.rindex("."))] for path in paths if path.endswith("]")}
    for place in walk(contents_of(name)):
        node = place.node
        if node.kind == "field" and not node.nodes and node.end > node.start:
            assert place.path in paths or place.path in arrays


def test_twins_are_told_apart_by_their_order_and_never_mixed_up():
    contents = contents_of(TWINS)
    twins = find(contents, "cpu.unused")
    assert [place.path for place in twins] == ["cpu.unused#0", "cpu.unused#1"]
    assert twins[0].node.start < twins[1].node.start
    with pytest.raises(PathError, match=r"cpu\.unused#0, cpu\.unused#1"):
        find_one(contents, "cpu.unused")
    after = changed(contents, [f"cpu.unused#1=hex:{'01' * (twins[1].node.end - twins[1].node.start)}"])
    assert after[: twins[1].node.start] == contents.stream.data[: twins[1].node.start]
    assert after[twins[1].node.start] == 1


def test_repeated_items_at_the_top_are_told_apart():
    contents = contents_of("7.2-ppc64-pseries-postcopy-active")
    pings = find(contents, "command PING")
    assert [place.path for place in pings] == ["command PING#0", "command PING#1", "command PING#2"]
    assert find_one(contents, "command PING#2.data").node.start > pings[2].node.start


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("nip", "cpu[0].env.nip", True),
        ("NIP", "cpu[0].env.nip", False),
        ("sctlr_el1", "cpu.cpreg_vmstate_values[SCTLR_EL1", True),
        ("env.n*", "cpu[0].env.nip", True),
        ("cpu.*nip", "cpu[0].env.nip", True),
        ("ip", "cpu[0].env.nip", False),
        ("*ip", "cpu[0].env.nip", True),
        ("gpr[1?]", "cpu[0].env.gpr[2]", False),
        ("env.gpr[1?]", "cpu[0].env.gpr[12]", True),
        ("spapr/cap/*", "spapr/cap/htm.mig.caps[0x00]", True),
    ],
)
def test_a_glob_fits_a_path_or_its_last_parts(pattern, path, expected):
    assert fits(pattern, path) is expected


def test_elements_and_members_of_elements_are_found():
    contents = contents_of("10.0-booted-virtio-smp2")
    assert [p.path for p in search(contents, "irqs[3].server")] == ["ics.irqs[3].server"]
    assert len(list(search(contents, "env.gpr[1?]"))) == 2 * 10


def test_a_value_is_found_by_its_name_and_in_arrays():
    contents = contents_of("10.0-booted-virtio-smp2")
    by_name = [p.path for p in search_value(contents, "*", "power9_v2.2", known_meanings())]
    assert by_name == ["cpu[0].env.spr[287]", "cpu[1].env.spr[287]"]
    keyed = [p.path for p in search_value(contents, "*", "4882", known_meanings())]
    assert keyed == [
        "spapr_pci.msi_devs[key=0x2000].value.first_irq",
        "pci@800000020000000:04.0/virtio-rng.virtio.msix.table[0].data",  # where the interrupt is used
    ]


def test_a_register_of_arm_is_an_element_by_its_name():
    contents = contents_of(ARM)
    found = [place.path for place in search(contents, "sctlr_el1")]
    assert found == ["cpu.cpreg_vmstate_values[SCTLR_EL1]"]
    place = find_one(contents, found[0])
    numbers = find_one(contents, "cpu.cpreg_vmstate_indexes").node.value
    at = (place.node.start - find_one(contents, "cpu.cpreg_vmstate_values").node.start) // 8
    assert numbers[at] == 0x6030_0000_0013_C080  # op0 3, op1 0, CRn 1, CRm 0, op2 0
    after = changed(contents, [f"{found[0]}=0x30d00800"])
    assert after[place.node.start : place.node.end] == (0x30D00800).to_bytes(8, "big")


def test_an_element_by_a_key_that_is_not_there_names_what_is_near():
    with pytest.raises(PathError, match="SCTLR_EL1"):
        find(contents_of(ARM), "cpu.cpreg_vmstate_values[SCTLR]")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("cpu[7]", r"no cpu\[7\]; there are cpu\[0\], cpu\[1\]"),
        ("globalstate[1]", r"no globalstate\[1\]; there is only globalstate\[0\]"),
        ("nip", r"there is cpu\[0\]\.env\.nip, cpu\[1\]\.env\.nip"),
        ("spapr.compat_pvr", r"there is cpu\[0\]/compat\.compat_pvr"),
        ("cpu[0].env.gpr[99]", "it has 32 elements"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_there_is(path, said):
    with pytest.raises(PathError, match=said):
        find(contents_of("10.0-booted-virtio-smp2"), path)


def test_one_value_for_a_whole_array_must_be_meant():
    contents = contents_of("7.2-booted-power9-compat8")
    with pytest.raises(
        EncodeError, match=r"cpu\.env\.gpr has 32 elements: cpu\.env\.gpr\[\*\]=1 sets them all"
    ):
        changed(contents, ["cpu.env.gpr=1"])
    node = find_one(contents, "cpu.env.gpr").node
    every = changed(contents, ["cpu.env.gpr[*]=1"])
    assert every[node.start : node.end] == (1).to_bytes(8, "big") * 32
    with pytest.raises(EncodeError):
        changed(contents, ["cpu.env.nip[*]=1"])


def test_the_line_of_gigabytes_of_zeros_looks_at_the_first_of_them_only():
    """Reading all of them took minutes for a stream that was padded to 6 GiB."""
    with mmap.mmap(-1, 1 << 31) as zeros:
        size = (1 << 31) - 4096
        text = text_of_value(Node("trailing", "opaque", "bytes", 0, size, memoryview(zeros)[:size]))
    assert text == "2147479552 bytes, the first 256 MiB zero"


@pytest.mark.parametrize("at", [0, 4095, 4096, 1 << 20, (1 << 21) - 1])
def test_bytes_with_one_that_is_not_zero_are_not_called_zero(at):
    raw = bytearray(1 << 21)
    assert text_of_value(Node("x", "field", "buffer", 0, len(raw), raw)) == "2097152 zero bytes"
    raw[at] = 1
    assert "zero" not in text_of_value(Node("x", "field", "buffer", 0, len(raw), raw))


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x6030_0000_0013_C080, "SCTLR_EL1"),
        (0x6030_0000_0013_C000, "MIDR_EL1"),
        (0x6030_0000_0013_DE82, "TPIDR_EL0"),
        (0x6030_0000_0013_CF90, "S3_1_C15_C2_0"),
        (0x4020_0000_000F_0800, "SCTLR"),
        (0x4020_0000_200F_0800, "SCTLR_NS"),
        (0x4020_0000_200E_0004, "p14_0_c0_c0_4_NS"),
        (0x6030_0000_0014_0000, "0x6030000000140000"),  # a firmware register of KVM
        (0x6030_0000_0010_0000, "0x6030000000100000"),  # a core register of KVM
        (0, "0x0"),
    ],
)
def test_the_number_of_a_register_gives_its_name(number, name):
    assert register_name(number) == name


@given(st.sets(st.integers(0, 0xFFFF)))
def test_no_two_system_registers_have_one_name(encodings):
    names = {register_name(0x6030_0000_0013_0000 | encoding) for encoding in encodings}
    assert len(names) == len(encodings)
