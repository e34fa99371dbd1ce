"""Guests with every virtio device, of four machines: each byte of a device is in a named field."""

from __future__ import annotations

import pytest

from tests.support.handwritten import encoded, guest, recordings
from vmstate.compare.verify import verify
from vmstate.handwritten.table import KNOWN, VIRTIO
from vmstate.tree.as_json import from_json, to_json
from vmstate.tree.nodes import leaves, taken_apart
from vmstate.tree.paths import walk

NAMES = recordings("guests")
KINDS = VIRTIO | {known.content.name for known in KNOWN if known.owner is None}
LEAST = {"q35": 13, "virt": 12, "pseries": 11, "s390x": 11, "q35-vhost": 1}


def test_there_are_guests_of_each_machine_and_release():
    found = {tuple(name.rsplit("-", 1)) for name in NAMES}
    assert found == {(machine, release) for machine in LEAST for release in ("7.2", "10.0", "11.1")}


@pytest.mark.parametrize("name", NAMES)
def test_every_device_is_taken_apart_and_its_fields_are_its_bytes(name):
    contents = guest(name)
    data, devices = contents.stream.data, 0
    for place in walk(contents):
        node = place.node
        if node.type not in KINDS or node.kind == "subsection" or node.end - node.start < 2:
            continue
        assert taken_apart(node), place.path
        found = list(leaves(node, uniform=True))
        spans = [(one.start, one.end) for one in found]
        assert [start for start, _ in spans] + [node.end] == [node.start] + [end for _, end in spans], (
            place.path
        )
        for one in found:  # bytes that the device ignores have no value
            assert one.value is None or encoded(one) == bytes(data[one.start : one.end]), place.path
        assert {one.type for one in found}.isdisjoint({"marker", "opaque"}), place.path
        devices += node.type == "virtio"
    assert devices >= LEAST[name.rpartition("-")[0]]


@pytest.mark.parametrize("name", NAMES)
def test_a_guest_is_written_again_bit_for_bit(name):
    contents = guest(name)
    assert from_json(to_json(contents), contents.stream.data) == contents.stream.data


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_guests_stream_contradicts_itself_or_a_declaration(name):
    errors = [str(one) for one in verify(guest(name)).findings if one.severity.name == "ERROR"]
    assert errors == []
