"""The field ``virtio`` as fields: every byte has a name, in every bus's form and on every architecture."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from tests.support import corpus
from vmstate.describe import Cursor, Node, Record, VMStateDescription, Writer, decode, plan_of
from vmstate.front.known import known_meanings
from vmstate.handwritten import content_of
from vmstate.handwritten.content import covers
from vmstate.handwritten.virtio.back_end import NET_BACK_END
from vmstate.handwritten.virtio.blob import TRANSPORTS, layout
from vmstate.handwritten.virtio.devices import DEVICES
from vmstate.handwritten.virtio.elements import Request
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.simulate.migration import save
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.as_json import from_json, to_json
from vmstate.tree.display import text_of_place, text_of_value
from vmstate.tree.measuring import Measured
from vmstate.tree.nodes import leaves, taken_apart
from vmstate.tree.paths import PathError, find_one, walk
from vmstate.tree.typed_changes import changed

#: PCI, conventional and Express; virtio-mmio, modern and legacy; ccw; a request in flight; booted guests.
NAMES = (
    *(
        "x86_64-q35-virtio",
        "x86_64-q35-virtio-blk-request",
        "x86_64-q35-virtio-scsi-request",
        "aarch64-virt-virtio-mmio",
        "m68k-virt",
    ),
    *("s390x-ccw-virtio", "s390x-ccw-2.9-old", "x86_64-microvm", "x86_64-pc-2.8-old", "riscv64-virt"),
    *("5.2-booted-virtio", "7.2-booted-virtio-legacy", "11.1-booted-virtio-smp2"),
)
PHB = "pci@800000020000000"
DECLARATIONS = PseriesDeclarations()
Q35 = "x86_64-q35-virtio"
SIZES = (("addr", 8), ("sg", 16))
BOOTED = "7.2-booted-virtio"
NET = "virtio-net.virtio"


@cache
def contents_of(name: str) -> Contents:
    return Contents(open_stream(corpus.load(name)))


def section(name: str, device: str) -> str:
    """Return the path of the first section of a device."""
    contents = contents_of(name)
    return contents.labels[next(s.start for s in contents.stream.devices if s.idstr.endswith(f"/{device}"))]


def at(name: str, device: str, path: str) -> Node:
    return find_one(contents_of(name), f"{section(name, device)}.{path}").node


def words(contents: Contents, path: str) -> str:
    return text_of_place(find_one(contents, path), known_meanings())


@pytest.mark.parametrize("name", NAMES)
def test_every_device_is_taken_apart_and_every_byte_of_it_has_a_name(name):
    contents = contents_of(name)
    types = {"virtio", "virtio-gpu", "scsi-requests"}
    found = [p.node for p in walk(contents) if p.node.type in types and p.node.end - p.node.start > 1]
    devices = [node for node in found if node.kind != "subsection"]
    assert devices
    for node in devices:
        assert taken_apart(node)
        inside = list(leaves(node))
        assert {one.type for one in inside}.isdisjoint({"opaque", "marker"})
        assert (inside[0].start, inside[-1].end) == (node.start, node.end)
        assert all(one.end == other.start for one, other in pairwise(inside))
        assert not any(one.name == "rest" for one in inside)


@pytest.mark.parametrize(
    "device", ["net", "blk", "scsi", "balloon", "console", "gpu", "input", "iommu", "mem"]
)
def test_bytes_that_do_not_fit_exactly_stay_bytes(device):
    contents = contents_of(Q35)
    node = at(Q35, f"virtio-{device}", "virtio")
    wire = content_of(f"virtio-{device}", "virtio", "virtio", node.end - node.start)
    assert wire is not None
    data = contents.stream.data
    assert wire.inside(data, node.start, node.end)
    assert wire.inside(data, node.start, node.end - 1) == []
    assert (
        wire.inside(memoryview(bytes(data[node.start : node.end]) + b"\0"), 0, node.end - node.start + 1)
        == []
    )


def test_a_device_that_is_not_known_is_read_like_one_without_a_part_of_its_own():
    node = at(Q35, "virtio-rng", "virtio")
    data = contents_of(Q35).stream.data
    for owner, device in (("virtio-other", "virtio-rng"), ("virtio-other", "virtio-net")):
        node = at(Q35, device, "virtio")
        wire = content_of(owner, "virtio", "virtio", node.end - node.start)
        assert wire is not None
        assert bool(wire.inside(data, node.start, node.end)) == (device == "virtio-rng")


def test_features_status_and_configuration_have_names():
    contents, path = contents_of(BOOTED), section(BOOTED, "virtio-net")
    assert words(contents, f"{path}.virtio.status").endswith("(ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK)")
    features = words(contents, f"{path}.virtio/virtio/64bit_features.guest_features")
    assert "MRG_RXBUF STATUS CTRL_VQ" in features
    assert features.endswith("VERSION_1 RING_RESET)")
    assert words(contents, f"{path}.virtio.config.status") == "1 (LINK_UP)"
    assert words(contents, f"{path}.virtio.device.status") == "1 (LINK_UP)"


@pytest.mark.parametrize(
    ("name", "device", "member", "kind", "value"),
    [
        (BOOTED, "virtio-blk", "blk_size", "le32", 512),  # virtio 1
        ("7.2-booted-virtio-legacy", "virtio-blk", "blk_size", "le32", 512),  # a little-endian guest says so
        ("s390x-ccw-virtio", "virtio-blk", "blk_size", "uint32", 0),  # a bus of big-endian machines
        (Q35, "virtio-blk", "blk_size", "le32", 0),  # the machine's
        ("aarch64-virt-virtio-mmio", "virtio-blk", "blk_size", "le32", 0),
        (
            "m68k-virt",
            "virtio-blk",
            "blk_size",
            "buffer",
            b"\0\0\0\0",
        ),  # several targets have a machine "virt"
    ],
)
def test_the_order_of_the_configurations_numbers_is_the_guests(name, device, member, kind, value):
    node = at(name, device, f"virtio.config.{member}")
    assert (node.type, node.value) == (kind, value)


def test_a_stream_without_descriptions_has_the_configuration_in_the_order_of_pseries_guests():
    stream = save("qemu-7.2 -nodefaults -machine pseries-2.1 -device virtio-balloon-pci")
    contents = Contents(open_stream(stream, Measured(DECLARATIONS)), DECLARATIONS)
    node = find_one(contents, f"{PHB}:00.0/virtio-balloon.virtio.config.num_pages").node
    assert (node.type, node.value) == ("uint32", 0)


def test_a_request_in_flight_has_its_addresses_and_lengths():
    request = "virtio.device.requests[0]"
    elem = at("x86_64-q35-virtio-blk-request", "virtio-blk", f"{request}.elem")
    numbers = {node.name: node.value for node in elem.children if node.type in {"le32", "uint32"}}
    assert numbers == {"ndescs": 1, "index": 0, "out_num": 1, "in_num": 2}
    sizes = [node.find("iov_len").value for node in elem.find("in_sg").children]
    assert sizes == [512, 1]
    assert at("x86_64-q35-virtio-blk-request", "virtio-blk", "virtio.device.requests.end").value == 0
    assert text_of_value(elem) == f"{elem.end - elem.start} bytes"


def test_a_scsi_request_in_flight_has_its_command_and_its_place_on_the_disk():
    request = at("x86_64-q35-virtio-scsi-request", "scsi-disk", "qdev.requests[0]")
    found = {node.name: node.value for node in request.children}
    assert (found["more"], bytes(found["command"])[0], found["queue"]) == (1, 0x28, 0)
    assert (found["sector"], found["sector_count"], found["buflen"]) == (0, 1, 0)
    assert [node.value for node in request.find("elem").find("in_sg").children[1].children] == [0, 512]


def written(described: VMStateDescription, state: Any) -> bytes:
    out = Writer(replay=True)
    plan_of(described).save(out, state)
    return out.join()


def rewritten(device: str, form: int, change: Callable[[Any], None]) -> Node:
    """Return a device's bytes taken apart again, after a change of its state that was written."""
    node = at(Q35, device, "virtio")
    described, data = layout(device, TRANSPORTS[0], DEVICES[device].forms[form]), contents_of(Q35).stream.data
    state = DEVICES[device].forms[form].state()
    plan_of(described).load(Cursor(data, node.start, node.end), state, 1)
    assert written(described, state) == data[node.start : node.end]
    change(state)
    raw = memoryview(written(described, state))
    wire = content_of(device, "virtio", "virtio", len(raw))
    assert wire is not None
    return Node("virtio", "struct", "virtio", 0, len(raw), nodes=wire.inside(raw, 0, len(raw)))


def request() -> Request:
    unused = {f"{way}_{name}_unused": bytes(size * 1023) for way in ("in", "out") for name, size in SIZES}
    one = {way: [Record(iov_base=0, iov_len=512)] for way in ("in_sg", "out_sg")}
    numbers = {"index": 7, "in_num": 1, "out_num": 1, "in_addr": [0x1000], "out_addr": [0x2000]}
    return Request(**numbers, **one, **unused, padding=bytes(4))


def test_a_port_with_a_request_that_is_answered_in_part():
    def throttle(state: Any) -> None:
        port = state.ports[0]
        port.elem_popped, port.iov_idx, port.iov_offset, port.elem = 1, 0, 100, request()

    node = rewritten("virtio-console", 0, throttle)
    port = node.find("device").find("ports").children[0]
    assert port.find("iov_offset").value == 100
    assert port.find("elem").find("out_addr").value == [0x2000]


def test_a_domain_of_an_iommu_with_its_mappings_and_endpoints():
    def attach(state: Any) -> None:
        mapping = (Record(low=0, high=0xFFF), Record(phys_addr=0x10000, flags=3))
        state.domains = [(5, Record(id=5, mappings=[mapping], endpoint_list=[Record(id=8)], bypass=False))]

    node = rewritten("virtio-iommu", 0, attach)
    domains = node.find("device").find("domains")
    assert [(one.name, one.value) for one in domains.children[:3]] == [("count", 1), ("more", 1), ("key", 5)]
    domain = domains.find("[0]")
    assert [one.name for one in domain.find("mappings").children] == ["count", "more", "[0]", "[0]", "more"]
    values = {inner.name: inner.value for inner in leaves(domain) if isinstance(inner.value, int)}
    mapping = {"low": 0, "high": 0xFFF, "phys_addr": 0x10000, "flags": 3}
    assert values == {"id": 8, "count": 1, "more": 0, **mapping, "bypass": False}
    assert covers(node.nodes, 0, node.end)


def test_a_feature_is_set_by_name_and_nothing_else_changes():
    contents, path = contents_of(BOOTED), section(BOOTED, "virtio-net")
    field = f"{path}.virtio/virtio/64bit_features.guest_features"
    before = contents.stream.data
    after = changed(contents, [f"{field}=MAC STATUS VERSION_1"], known_meanings())
    node = find_one(contents, field).node
    assert int.from_bytes(after[node.start : node.end], "big") == 1 << 5 | 1 << 16 | 1 << 32
    assert (after[: node.start], after[node.end :]) == (before[: node.start], before[node.end :])
    assert words(Contents(open_stream(after)), field).endswith("(MAC STATUS VERSION_1)")


def test_every_field_of_a_device_can_be_set():
    contents, path = contents_of(BOOTED), section(BOOTED, "virtio-blk")
    for field, value, raw in (
        ("config.capacity", "0x1000", "0010000000000000"),
        ("config.wce", "writethrough", "00"),
        ("vq[0].last_avail_idx", "7", "0007"),
        ("config_vector", "none", "ffff"),
        ("pci.config.command", "memory", "0200"),
    ):
        node = find_one(contents, f"{path}.virtio.{field}").node
        after = changed(contents, [f"{path}.virtio.{field}={value}"], known_meanings())
        assert after[node.start : node.end].hex() == raw


def test_json_of_devices_is_loaded_again():
    contents = contents_of("s390x-ccw-virtio")
    assert from_json(to_json(contents), contents.stream.data) == contents.stream.data


def test_a_path_into_a_device_that_leads_nowhere_is_an_error():
    with pytest.raises(PathError):
        at(Q35, "virtio-net", "virtio.device.no_such_field")


def test_the_state_of_a_back_end_is_chunks_after_their_sizes():
    data = memoryview(b"\0\0\0\2ab\0\0\0\1c" + bytes(4))
    root, _, error = decode(NET_BACK_END, data, 0, 0)
    assert error is None
    assert [bytes(chunk.find("data").value) for chunk in root.find("backend").children[:-1]] == [b"ab", b"c"]
    card = content_of("vhost-user-fs-backend", "back-end", "virtio-fs back-end state", len(data))
    assert [node.name for node in card.inside(data, 0, len(data))] == ["chunks"]
    assert card.inside(data[:-1], 0, len(data) - 1) == []
