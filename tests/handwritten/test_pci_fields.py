"""Bytes that QEMU writes by hand, as fields: every byte has a name; what is not as declared stays bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.handwritten import contents_of, encoded
from vmstate.compare.streams import Diff
from vmstate.describe import Node
from vmstate.front.known import known_meanings
from vmstate.handwritten import PCI_CONFIG, content_of
from vmstate.handwritten.table import KNOWN
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.as_json import from_json, to_json
from vmstate.tree.display import text_of_place
from vmstate.tree.nodes import leaves, taken_apart
from vmstate.tree.paths import find_one, walk
from vmstate.tree.typed_changes import changed

NAMES = ("x86_64-q35-many", "7.2-peripherals", "mips-malta", "hppa", "x86_64-pc-1.4-old")
Q35 = "x86_64-q35"
CONFIG = "0000:00:01.0/vga.dev.config[0]"
#: A space with a header of each kind, a list of capabilities and one of extended capabilities.
SEED = bytearray(4096)
SEED[:0x10] = bytes.fromhex("861a0010 07051000 00000002 00000000".replace(" ", ""))
SEED[0x10:0x18] = bytes.fromhex("0c00000001000000")
SEED[0x34:0x36] = b"\x40\0"
SEED[0x40:0x44] = b"\x05\x50\x80\0"
SEED[0x50:0x54] = b"\x11\0\x04\x80"
SEED[0x100:0x104] = b"\x01\0\x02\x15"
SEED[0x150:0x154] = b"\x03\0\x01\0"


def opened(contents: Contents) -> Iterator[Node]:
    """Return the bytes of registers that are taken apart; test_virtio_fields.py has those of devices."""
    return (p.node for p in walk(contents) if taken_apart(p.node) and not p.node.type.startswith("virtio"))


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_known_is_taken_apart_and_its_fields_are_its_bytes(name):
    contents = contents_of(name)
    kinds = {known.content.name for known in KNOWN if known.owner is None}
    for place in walk(contents):
        if place.node.type in kinds:
            assert taken_apart(place.node) or place.node.end == place.node.start, place.path
    for node in opened(contents):
        found = list(leaves(node, uniform=True))
        assert b"".join(map(encoded, found)) == bytes(contents.stream.data[node.start : node.end])
        assert {one.type for one in found}.isdisjoint({"marker", "opaque"})


@given(st.dictionaries(st.integers(0, 0x1FF), st.integers(0, 255), max_size=8), st.booleans())
def test_any_space_is_whole_fields_or_whole_bytes(changes, express):
    space = bytearray(SEED)
    for at, value in changes.items():
        space[at] = value
    data = memoryview(bytes(8) + bytes(space[: 4096 if express else 256]))
    nodes = PCI_CONFIG.inside(data, 8, len(data))
    if nodes:
        whole = Node("config", "struct", "pci config", 8, len(data), nodes=nodes)
        assert b"".join(map(encoded, leaves(whole))) == data[8:]


def test_lists_of_capabilities_that_do_not_end_leave_the_space_as_bytes():
    assert PCI_CONFIG.inside(memoryview(bytes(SEED)), 0, 4096)
    for at, value in ((0x51, 0x40), (0x41, 0x48), (0x41, 0x30), (0x153, 0x10), (0x103, 0x10)):
        space = bytearray(SEED)
        space[at] = value
        assert PCI_CONFIG.inside(memoryview(bytes(space)), 0, 4096) == [], (hex(at), value)


def test_a_list_of_capabilities_is_followed_only_if_the_status_says_so():
    space = bytearray(SEED[:256])
    assert "msi" in {node.name for node in PCI_CONFIG.inside(memoryview(bytes(space)), 0, 256)}
    space[6] = 0
    assert "msi" not in {node.name for node in PCI_CONFIG.inside(memoryview(bytes(space)), 0, 256)}


def test_a_register_is_set_by_its_number_or_its_names_and_nothing_else_changes():
    contents = contents_of(Q35)
    before = contents.stream.data
    after = changed(
        contents, [f"{CONFIG}.command=memory master", f"{CONFIG}.bar0=0xfd000008"], known_meanings()
    )
    start = find_one(contents, CONFIG).node.start
    differing = {at - start for at in range(len(before)) if before[at] != after[at]}
    assert differing <= {4, 5, 0x10, 0x11, 0x12, 0x13}
    assert after[start + 4 : start + 6] == b"\x06\0"
    assert after[start + 0x10 : start + 0x14] == b"\x08\0\0\xfd"
    found = {
        d.path: d.right
        for d in Diff(contents, Contents(open_stream(after)), (), known_meanings()).differences()
    }
    assert found[f"{find_one(contents, CONFIG).path}.command"] == "6 (memory master)"
    bar = find_one(Contents(open_stream(after)), f"{CONFIG}.bar0")
    assert text_of_place(bar, known_meanings()).endswith("(32-bit prefetchable memory at 0xfd000000)")


def test_the_whole_space_can_still_be_set_as_bytes():
    contents = contents_of(Q35)
    node = find_one(contents, CONFIG).node
    raw = bytes(contents.stream.data[node.start : node.end])
    assert changed(contents, [f"{CONFIG}=hex:{raw.hex()}"]) == contents.stream.data


def test_a_base_address_of_64_bits_takes_the_place_of_two():
    nodes = {node.name: node for node in PCI_CONFIG.inside(memoryview(bytes(SEED)), 0, 4096)}
    assert (nodes["bar0"].type, nodes["bar0"].value) == ("le64", 0x10000000C)
    assert "bar1" not in nodes
    assert nodes["bar2"].type == "le32"


def test_entries_of_an_enhanced_allocation_are_as_long_as_they_say():
    space = bytearray(SEED[:256])
    space[0x41] = 0
    space[0x40:0x60] = bytes.fromhex(
        "14000200 82000080 00000010 fcff0f00 01000000 81010080 00000020 00000000"
    )
    found = {node.name: node for node in PCI_CONFIG.inside(memoryview(bytes(space)), 0, 256)}
    names = [node.name for node in found["ea"].nodes]
    assert names[4:] == ["entry0", "entry0_base", "entry0_max_offset", "entry1", "entry1_base"]


def test_vectors_are_elements_of_the_msix_table():
    contents = contents_of("7.2-peripherals")
    table = next(node for node in opened(contents) if node.type == "msix state").find("table")
    assert table is not None
    assert [child.name for child in table.children[0].children] == ["address", "data", "vector_control"]
    sizes = [17 * 1, 16 * 8 + 1, 16 * 9 + 2]
    assert all(content_of("msix", "msix", "msix state", size) for size in sizes)


def test_json_of_taken_apart_bytes_is_loaded_again():
    contents = contents_of(Q35)
    assert from_json(to_json(contents), contents.stream.data) == contents.stream.data
