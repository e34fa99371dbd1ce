"""Buffers with a published layout: any bytes are whole fields, or stay whole bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.handwritten import contents_of, encoded
from vmstate.describe import Node, Record, encode
from vmstate.describe.strategies import states
from vmstate.front.known import known_meanings
from vmstate.handwritten import content_of
from vmstate.handwritten.content import Content
from vmstate.handwritten.slirp import BOOTP_CLIENTS, SLIRP, SLIRP_SOCKET
from vmstate.handwritten.table import KNOWN
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.measuring import Measured
from vmstate.tree.nodes import leaves, taken_apart
from vmstate.tree.paths import find_one, walk
from vmstate.tree.typed_changes import changed

BOOTED = "10.0-booted-virtio-smp2"
TREE = "spapr.spapr_dtb.fdt_blob"


def content(owner: str, field: str, kind: str, size: int) -> Content:
    found = content_of(owner, field, kind, size)
    assert isinstance(found, Content)
    return found


def is_its_bytes(known: Content, raw: bytes) -> bool:
    """Return True if all is named, False if nothing is; fail if the fields are not the bytes."""
    nodes = known.inside(memoryview(raw), 0, len(raw))
    if nodes:
        assert raw
        whole = Node("", "struct", known.name, 0, len(raw), nodes=nodes)
        assert b"".join(map(encoded, leaves(whole, uniform=True))) == raw
    return bool(nodes)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.owner}.{known.field}")
def test_any_bytes_are_whole_fields_or_nothing(known):
    @given(st.binary(max_size=600))
    def law(raw):
        is_its_bytes(known.content, raw)

    law()


@given(st.lists(states(SLIRP_SOCKET), max_size=2), st.integers(0, 0xFFFF))
def test_connections_of_slirp_are_structs(sockets, ip_id):
    clients = [Record(allocated=0, macaddr=bytes(6)) for _ in range(BOOTP_CLIENTS)]
    raw = encode(SLIRP, Record(sockets=sockets, ip_id=ip_id, bootp_clients=clients))
    assert is_its_bytes(content("slirp", "data", "buffer", len(raw)), raw)


def test_a_device_tree_has_its_nodes_and_properties_by_name():
    contents = contents_of(BOOTED)
    node = find_one(contents, f"{TREE}.root.chosen.bootargs").node
    assert bytes(node.value) == b"console=hvc0 \0"
    cells = find_one(contents, f"{TREE}.root.#address-cells").node
    assert (cells.type, cells.value) == ("uint32", 2)
    after = changed(contents, [f"{TREE}.root.chosen.bootargs=text:quiet"])
    differing = [at for at, (a, b) in enumerate(zip(contents.stream.data, after, strict=True)) if a != b]
    assert min(differing) == node.start
    assert max(differing) < node.end


@given(st.dictionaries(st.integers(0, 2000), st.integers(0, 255), min_size=1, max_size=4))
def test_a_damaged_device_tree_is_whole_or_bytes(damage):
    blob = bytearray(bytes(find_one(contents_of(BOOTED), TREE).node.value))
    structure = int.from_bytes(blob[8:12], "big")
    for at, value in damage.items():
        blob[at if at < 40 else structure + at - 40] = value
    is_its_bytes(content("spapr_dtb", "fdt_blob", "buffer", len(blob)), bytes(blob))


def test_partitions_of_nvram_follow_one_another_to_the_end():
    raw = struct.pack(">BBH12s", 0x70, 0x2E, 3, b"common") + b"boot=yes\0".ljust(32, b"\0")
    raw += struct.pack(">BBH12s", 0x7F, 0x19, 1, b"w" * 12)
    nvram = content("spapr_nvram", "buf", "buffer", len(raw))
    assert is_its_bytes(nvram, raw)
    assert not is_its_bytes(nvram, raw + bytes(16))
    assert not is_its_bytes(nvram, raw[:-1] + b"\xff")


def test_channel_images_of_an_s390x_machine_are_elements_of_their_array():
    contents = contents_of("s390x-ccw")
    images = [place for place in walk(contents) if place.node.type == "s390_css_img"]
    assert [place.path for place in images] == ["s390_css.css[254]"]
    css = find_one(contents, "s390_css.css").node
    assert taken_apart(css)
    assert len(css.children) == 256


def test_a_stream_without_a_vmdesc_is_taken_apart_where_it_is_declared():
    declarations = PseriesDeclarations()
    stream = open_stream(corpus.load("7.2-no-vmdesc"), Measured(declarations))
    root = find_one(Contents(stream, declarations), f"{TREE}.root").node
    assert root.find("chosen") is not None


def test_registers_that_are_one_number_are_numbers():
    cpsr = find_one(contents_of("aarch64-virt-max"), "cpu.cpsr").node
    assert (cpsr.type, cpsr.value) == ("cpsr", 0x400003C5)


def test_entries_of_a_hash_page_table_are_records():
    entry = find_one(contents_of("2.12.1-booted-power8"), "spapr/htab#1.chunks[0].hptes[0].pte0").node
    assert (entry.type, entry.value & 1) == ("uint64", 1)  # valid


@pytest.mark.parametrize(
    ("count", "pending", "names"),
    [(0, 0, ["count"]), (2, 2, ["count", "irqs"]), ((1 << 64) - 1, 0, ["count"]), (3, 2, []), (0, 1, [])],
)
def test_pending_interrupts_of_kvm_on_s390x_are_counted(count, pending, names):
    """As hw/intc/s390_flic_kvm.c writes them: no capture has any."""
    data = memoryview(count.to_bytes(8, "big") + bytes(72 * pending))
    nodes = content("s390-flic", "irqs", "irqs", len(data)).inside(data, 0, len(data))
    assert [node.name for node in nodes] == names
    assert all(len(node.children) == pending for node in nodes if node.name == "irqs")


def test_bytes_that_no_device_sends_are_not_taken_apart():
    vectors = 2049
    assert not is_its_bytes(content("msix", "msix", "msix state", 0), bytes(16 * vectors + -(-vectors // 8)))
    assert not is_its_bytes(content("s390_css", "css", "nullptr", 0), b"0" * 257)
    assert not is_its_bytes(content("slirp", "data", "buffer", 0), bytes(1 << 21))


def test_chunks_of_dirty_bitmaps_have_the_fields_that_their_flags_say():
    contents = contents_of("x86_64-q35-dirty-bitmaps")
    chunk = find_one(contents, "dirty-bitmap.chunks[0]")
    named = {node.name: node.value for node in chunk.node.children}
    assert named == {
        "flags": 0x1C,
        "node": "drv",
        "bitmap": "bitmap1",
        "granularity": 65536,
        "start_flags": 1,
    }
    after = changed(contents, [f"{chunk.path}.start_flags=enabled persistent"], known_meanings())
    assert after[chunk.node.end - 1] == 3
