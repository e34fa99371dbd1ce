"""Virtio fields are what ``x-query-virtio-status`` of a real QEMU says of the same stopped guest.

``fixtures/virtio`` and ``fixtures/guests`` have the answers; the first for edited streams too, which the
same QEMU loaded or refused.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.support import corpus
from tests.support.handwritten import Facts, captured, recorded, recordings
from vmstate.describe import Node
from vmstate.front.known import known_meanings
from vmstate.handwritten.virtio.names import STATUS, features
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.paths import find_one
from vmstate.tree.typed_changes import changed

EDITED = [("virtio", name) for name in recordings("virtio")]
NAMES = EDITED + [("guests", name) for name in recordings("guests")]
#: Names of sections that are not the device's.
SECTIONS = {
    "virtio-serial": "virtio-console",
    "virtio-clk": "virtio-rtc",
    "virtio-blk": "vhost-user-blk",
    "virtio-user-fs": "vhost-user-fs",
}
ORDERS = {1: "little", 2: "big"}
#: What QEMU calls features of all devices by older names.
FEATURES = {"IOMMU_PLATFORM": "ACCESS_PLATFORM"}
NEEDS_RESET, ISR_OF_BROKEN = "NEEDS_RESET", 3


@cache
def contents_of(folder: str, name: str) -> Contents:
    stream = recorded(folder, name).get("stream")
    if stream is not None:
        return Contents(open_stream(corpus.load(stream)))
    return Contents(open_stream(captured(folder, name)))


def node_of(contents: Contents, device: Facts) -> Node:
    """Return the field ``virtio`` of the section that a device of QEMU sends."""
    place = device.get("section", device["name"]).rpartition("/")[0]
    name = device["name"]
    sections = tuple(f"{place}/{one}" for one in (name, SECTIONS.get(name, name)))
    start = next(s.start for s in contents.stream.devices if s.idstr.endswith(sections))
    return find_one(contents, f"{contents.labels[start]}.virtio").node


def value(node: Node, *path: str) -> Any:
    """Return the value of a field, or None without it."""
    found: Node | None = node
    for name in path:
        found = None if found is None else found.find(name)
    return None if found is None else found.value


def names(words: str | None) -> set[str]:
    return set((words or "").split())


def after(names: list[str], mark: str) -> set[str]:
    """Return the names of QEMU behind the last of their ``VIRTIO_…_F_``."""
    short = (name.partition(mark)[2] for name in names)
    return {FEATURES.get(name, name) for name in short}


def agrees(device: Facts, node: Node) -> None:
    """Compare what QEMU says of a device; of 11.1 it is only what it says of the queues."""
    _queues_agree(device, node)
    if "status" not in device:
        return
    wide = node.find("virtio/64bit_features")
    used = (node if wide is None else wide).find("guest_features")
    assert used is not None
    assert used.words is not None
    found = names(used.words.text(used.value))
    unnamed = names(used.words.text(device.get("unknown-dev-features", 0)))
    assert found == after(device["guest-features"], "_F_") | unnamed, device["name"]
    status, isr = names(STATUS.text(value(node, "status"))), value(node, "isr")
    if device["broken"]:
        assert status == after(device["status"], "_S_") - {NEEDS_RESET}
        assert device["isr"] in (isr, isr | ISR_OF_BROKEN)
    else:
        assert (status, isr) == (after(device["status"], "_S_"), device["isr"])
    assert value(node, "queue_sel") == device["queue-sel"]
    assert bool(value(node, "virtio/started", "started")) == device["started"]
    assert bool(value(node, "virtio/disabled", "disabled")) == device["disabled"]
    order = value(node, "virtio/device_endian", "device_endian")
    assert order is None or device["device-endian"] == ORDERS[order]


def _queues_agree(device: Facts, node: Node) -> None:
    queues = node.find("vq").value
    rings = value(node, "virtio/virtqueues", "vq")
    assert len(queues) == len(device["queues"])
    for i, (num, desc, avail, used, last) in enumerate(device["queues"]):
        assert (queues[i].num, queues[i].desc, queues[i].last_avail_idx) == (num, desc, last)
        if rings is not None and any((rings[i].avail, rings[i].used)):
            assert (rings[i].avail, rings[i].used) == (avail, used)


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_the_fields_of_a_stream_are_what_qemu_says_of_the_same_guest(folder, name):
    contents, devices = contents_of(folder, name), recorded(folder, name)["devices"]
    assert devices
    for device in devices:
        agrees(device, node_of(contents, device))


@pytest.mark.parametrize(("folder", "name"), EDITED)
def test_an_edited_field_is_loaded_and_seen_by_a_real_qemu(folder, name):
    contents = contents_of(folder, name)
    before = {device["name"]: device for device in recorded(folder, name)["devices"]}
    seen = 0
    for edit in recorded(folder, name)["edits"]:
        edited = Contents(open_stream(changed(contents, [edit["change"]], known_meanings())))
        if edit["verdict"] == "completed":
            assert edit["stderr"] == []
            agrees(edit["device"], node_of(edited, edit["device"]))
            seen += edit["device"] != before[edit["device"]["name"]]
    assert seen >= 4


@pytest.mark.parametrize(("folder", "name"), EDITED)
def test_a_feature_that_the_device_does_not_offer_is_refused_by_a_real_qemu(folder, name):
    refused = next(edit for edit in recorded(folder, name)["edits"] if edit["verdict"] == "failed")
    asked = features("virtio-blk", 0, 64).value(refused["change"].partition("=")[2])
    assert refused["stderr"][0].startswith(f"Features {asked:#x} unsupported. Allowed features: ")
