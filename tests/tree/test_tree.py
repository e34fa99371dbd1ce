"""A whole stream as one tree: every byte is covered, every node has a path, JSON restores the bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.meanings import meanings
from vmstate.stream import open_stream
from vmstate.tree import By, Contents
from vmstate.tree.as_json import JsonError, from_json, to_json
from vmstate.tree.display import text_of_place
from vmstate.tree.hexdump import hexdump
from vmstate.tree.measuring import Measured
from vmstate.tree.nodes import leaves
from vmstate.tree.paths import PathError, find, find_one, matches, walk

#: A hundred thousand small sections: read elsewhere, and too slow to be walked leaf by leaf twice.
MANY = "x86_64-q35-dirty-bitmaps"
PSERIES = "7.2-booted-power9-compat8"
DECLARATIONS = PseriesDeclarations()


def contents_of(name: str) -> Contents:
    data = corpus.load(name)
    return Contents(open_stream(data, Measured(DECLARATIONS)), DECLARATIONS)


@pytest.mark.parametrize("name", [name for name in corpus.names() if name != MANY])
def test_every_byte_belongs_to_one_named_thing(name):
    contents = contents_of(name)
    at = 0
    for item in contents.nodes:
        for leaf in leaves(item):
            assert leaf.start == at
            assert leaf.name
            at = leaf.end
    assert at == len(contents.stream.data)


@pytest.mark.parametrize("name", [name for name in corpus.names(described=True) if name != MANY])
def test_nothing_in_a_described_stream_is_opaque(name):
    for item in contents_of(name).nodes:
        assert [leaf.name for leaf in leaves(item) if leaf.kind == "opaque"] == []


@pytest.mark.parametrize(
    "name", [n for n in corpus.names() if n.endswith("-pseries-2.1") or n == "7.2-no-vmdesc"]
)
def test_our_declarations_read_a_stream_that_does_not_describe_itself(name):
    contents = contents_of(name)
    for section in contents.stream.devices:
        decoded = contents.decoded(section)
        assert decoded.by is By.DECLARATION, str(section)
        assert decoded.whole, str(section)


@pytest.mark.parametrize(
    "name", [PSERIES, "7.2-no-vmdesc", "10.0-ppc64-pseries-postcopy", "s390x-ccw", "hppa"]
)
def test_json_out_json_in_is_lossless(name):
    contents = contents_of(name)
    document = json.loads(json.dumps(to_json(contents)))
    assert from_json(document, contents.stream.data) == contents.stream.data


def test_json_with_guest_memory_needs_no_stream():
    contents = contents_of("x86_64-microvm")
    document = json.loads(json.dumps(to_json(contents, ram=True)))
    assert from_json(document) == contents.stream.data


def test_json_without_guest_memory_says_that_it_needs_the_stream():
    contents = contents_of("x86_64-microvm")
    with pytest.raises(JsonError, match="guest memory"):
        from_json(to_json(contents))


@pytest.mark.parametrize(
    "document", [{}, {"stream": 1}, {"stream": {"items": [1]}}, {"stream": {"items": [{}]}}]
)
def test_what_is_no_stream_in_json_is_refused(document):
    with pytest.raises(JsonError):
        from_json(document)


@pytest.mark.parametrize("name", [PSERIES, "x86_64-q35-many", "s390x-ccw"])
def test_the_path_of_every_node_leads_to_it(name):
    contents = contents_of(name)
    for place in walk(contents):
        if place.node.name.startswith("("):
            continue  # marks between things have no name of their own
        assert any(found.node.start == place.node.start for found in find(contents, place.path)), place.path


@pytest.mark.parametrize(
    ("path", "canonical", "text"),
    [
        ("cpu[0]/compat.compat_pvr", "cpu/compat.compat_pvr", "251658244 (0x0f000004) (power8)"),
        ("cpu/compat", "cpu/compat", None),
        ("cpu.spr[0x11f]", "cpu.env.spr[287]", "5116416 (0x4e1200) (power9_v2.0)"),
        ("spapr.tb.guest_timebase", "spapr.tb.guest_timebase", None),
        ("ics[0].irqs[3].server", "ics.irqs[3].server", "0"),
        ("configuration.name", "configuration.name", "'pseries-7.2'"),
        ("spapr/cap/sbbc.mig.caps[0x04]", "spapr/cap/sbbc.mig.caps[0x04]", "0 (broken)"),
        ("ram.blocks[0].idstr", "ram.blocks[0].idstr", "'ppc_spapr.ram'"),
        ("cpu.footer.section_id", "cpu.footer.section_id", None),
    ],
)
def test_paths_lead_to_readable_values(path, canonical, text):
    place = find_one(contents_of(PSERIES), path)
    assert place.path == canonical
    if text is not None:
        assert text_of_place(place, meanings()) == text


@pytest.mark.parametrize(
    ("path", "said"),
    [("cpu.env.gpx", "env.gpr"), ("spapr.tc", "tb"), ("sapr", "spapr"), ("ics.irqs[99999]", "no")],
)
def test_a_path_that_leads_nowhere_names_what_is_near(path, said):
    with pytest.raises(PathError, match=said):
        find(contents_of(PSERIES), path)


def test_a_path_with_several_meanings_is_not_guessed():
    with pytest.raises(PathError, match=r"cpu\[0\], cpu\[1\]"):
        find_one(contents_of("10.0-pseries-6.2-smp2-power8"), "cpu")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("cpu", "cpu[0].env.gpr", True),
        ("cpu[0]", "cpu[1].env.gpr", False),
        ("cpu.env.gpr", "cpu[3].env.gpr[7]", True),
        ("spapr/cap/*", "spapr/cap/htm.mig.caps[0x00]", True),
        ("spapr/cap", "spapr/capx", False),
        ("*.guest_timebase", "spapr.tb.guest_timebase", True),
        ("ram", "ram.ppc_spapr.ram", True),
        ("ra?", "ram#3", True),
    ],
)
def test_globs_fit_a_thing_and_all_inside_it(pattern, path, fits):
    assert matches(pattern, path) is fits


def test_the_hex_dump_has_every_byte_of_a_thing_once():
    contents = contents_of(PSERIES)
    place = find_one(contents, "spapr")
    shown = [line for line in hexdump(contents, place, "spapr", full=True) if line.startswith("0x")]
    total = sum(len(line[12:59].split()) for line in shown)
    assert total == place.node.end - place.node.start


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_stream_still_is_a_tree_of_all_its_bytes(data):
    raw = bytearray(corpus.load("x86_64-microvm"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(8, len(raw) - 1))] = data.draw(st.integers(0, 255))
    contents = Contents(open_stream(bytes(raw)))
    at = 0
    for item in contents.nodes:
        for leaf in leaves(item):
            assert leaf.start == at
            at = leaf.end
    assert at == len(raw)


def test_a_second_list_of_memory_blocks_that_is_cut_off_is_read_as_far_as_it_goes():
    """The blocks are known from the first one, so they were looked for behind the stream's end."""
    data = corpus.load("7.2-pseries-7.2")
    ram = next(section for section in open_stream(data).sections if section.idstr == "ram")
    cut = data[: ram.end] + data[ram.start : ram.payload_start + 1]
    last = Contents(open_stream(cut)).nodes[-1]
    assert last.children[-1].end == len(cut)
