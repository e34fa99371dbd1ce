"""State of virtio devices that QEMU reads by hand: the end is ignored, checks are in its order (recorded)."""

from __future__ import annotations

import pytest

from tests.support.bases import base, destination, loaded
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import migrate

NET = "pci@800000020000000:00.0/virtio-net"
OLD, NEW = "7.2-peripherals", "11.1-peripherals-pseries-6.0"
FAILED = "load of migration failed: Invalid argument: error while loading state for instance 0x0 of device"


def count(value: str, *, repaired: bool = True) -> tuple[str, dict[str, object]]:
    return "count-edge", {"count": f"{NET}.virtio.queues", "value": value, "repaired": repaired}


def cut(field: str, bytes_in: int = 0) -> tuple[str, dict[str, object]]:
    return "cut-in-field", {"field": f"{NET}.virtio.{field}", "bytes_in": bytes_in}


@pytest.mark.parametrize("value", ["1", "2"])
def test_since_11_1_a_queue_is_no_larger_than_when_created(value):
    """With fewer than two queues, the control queue is the first: it has 64 places."""
    assert loaded(NEW, count(value)).messages == [
        "VQ 0 vring.num 256 exceeds allocated max 64",
        f"{FAILED} '{NET}': Failed to load element of type virtio for virtio",
    ]


def test_a_queue_too_many_has_a_size_too():
    assert loaded(NEW, count("4", repaired=False)).messages[0].startswith("VQ 3 vring.num ")
    assert loaded(NEW, count("4", repaired=False)).messages[0].endswith(" exceeds allocated max 256")


@pytest.mark.parametrize("name", [OLD, NEW])
@pytest.mark.parametrize("field", ["config_vector", "isr", "config_len", "queues"])
def test_after_the_end_there_are_no_queues_and_a_network_card_without_them_ends_qemu(name, field):
    assert loaded(name, cut(field)).aborted


def test_the_first_description_after_the_end_detects_it():
    verdict = loaded(
        OLD, ("counts-agree", {"array": f"{NET}.virtio.vq", "value": "4"}), cut("device.vqs.tx_waiting")
    )
    assert verdict.messages == [
        "Failed to load virtio-net-queue-tx_waiting:tx_waiting",
        "Failed to load virtio-net-device:vqs",
        "Failed to load virtio-net:virtio",
        f"error while loading state for instance 0x0 of device '{NET}'",
        "load of migration failed: Input/output error",
    ]


@pytest.mark.parametrize("left", [0, 3, 16, 24, 48])
def test_queues_are_zeros_after_the_end_and_the_card_itself_detects_it(left):
    queues = base(OLD).arrays[f"{NET}.virtio.vq"]
    verdict = Instance(destination(OLD)).load(memoryview(base(OLD).data[: queues.start + left]))
    assert verdict.messages == [
        "Failed to load virtio-net-device:mac",
        "Failed to load virtio-net:virtio",
        f"error while loading state for instance 0x0 of device '{NET}'",
        "load of migration failed: Input/output error",
    ]


@pytest.mark.parametrize("value", ["half-1", "half", "top"])
def test_a_configuration_that_is_longer_than_any_stream(value):
    """It is read byte by byte, for minutes; since a fix, reading ends with the stream."""
    length = "field-edge", {"field": f"{NET}.virtio.config_len", "value": value}
    verdict = loaded(OLD, length)
    assert (verdict.outcome, verdict.messages) == ("stalled", [])
    verdict = loaded(NEW, length)
    assert verdict.messages == [f"{FAILED} '{NET}': Failed to load element of type virtio for virtio"]


IN_USE = f"{NET}.virtio.device.mac_table.in_use"
BEYOND = {
    OLD: (
        "Failed to load virtio-net-device:unused",
        "Failed to load virtio-net:virtio",
        f"error while loading state for instance 0x0 of device '{NET}'",
        "load of migration failed: Input/output error",
    ),
    NEW: (
        "Failed to load virtio-net-device state: stream error: -5",
        f"{FAILED} '{NET}': Failed to load element of type virtio for virtio",
    ),
}


@pytest.mark.parametrize("name", [OLD, NEW])
@pytest.mark.parametrize("count", [0x2AAAAAAB, 0x60000000, 0x7FFFFFFF])
def test_more_addresses_than_a_table_has_room_for_are_skipped_however_many_bytes_that_makes(name, count):
    assert tuple(loaded(name, ("field-random", {"field": IN_USE, "value": count})).messages) == BEYOND[name]


@pytest.mark.parametrize("count", [0x80000000, 0xEE46FC8C, 0xFFFFFFFF])
def test_a_count_of_addresses_that_is_negative_is_none_until_11_1(count):
    verdict = loaded(OLD, ("field-random", {"field": IN_USE, "value": count}))
    assert (verdict.outcome, verdict.messages) == ("accept", [])
    assert tuple(loaded(NEW, ("field-random", {"field": IN_USE, "value": count})).messages) == BEYOND[NEW]


QUIET = "-machine pseries-7.2,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off -m 256"
SERIAL = f"qemu-7.2 -nodefaults {QUIET} -device virtio-serial-pci"
REFUSED = [
    "Failed to load virtio-console:virtio",
    "error while loading state for instance 0x0 of device 'pci@800000020000000:00.0/virtio-console'",
    "load of migration failed: Invalid argument",
]


@pytest.mark.parametrize("port", ["virtserialport", "virtconsole", "virtserialport,nr=7", "virtconsole,nr=7"])
def test_ports_that_the_destination_does_not_have_are_refused_silently(port):
    assert migrate(f"{SERIAL} -device {port}", SERIAL).messages == REFUSED


def test_a_port_that_the_source_does_not_have_is_noticed_unless_it_is_number_0():
    assert migrate(SERIAL, f"{SERIAL} -device virtserialport").messages == REFUSED
    assert migrate(SERIAL, f"{SERIAL} -device virtconsole").outcome == "accept"


def test_there_is_a_word_of_the_map_for_each_32_ports():
    adapter = f"{SERIAL},max_ports=40"
    port = f"{adapter} -device virtserialport,nr=33"
    assert migrate(port, adapter).messages == REFUSED
    assert migrate(port, port).outcome == "accept"


def added(subsection: str, fill: int) -> tuple[str, dict[str, object]]:
    return "subsection-added", {"subsection": f"{NET}.virtio{subsection}", "fill": fill, "times": 1}


def test_a_table_of_receive_side_scaling_has_a_size_that_is_checked_since_a_fix():
    first, second, last = loaded(NEW, added(".device/virtio-net-device/rss", 0)).messages
    assert first == "virtio-net: saved image has invalid RSS indirections_len: 0"
    assert second.endswith("virtio-net-device/rss, version_id: 2, minimum_version: 1, ret: -22")
    assert last == f"{FAILED} '{NET}': Failed to load element of type virtio for virtio"


def test_a_feature_above_64_counts():
    first, last = loaded(NEW, added("/virtio/128bit_features", 1)).messages
    offered = "0x00000000000000000000000179bf8064"
    assert first == f"Features 0x{0:032x} unsupported. Allowed features: {offered}"
    assert last == f"{FAILED} '{NET}': Failed to load element of type virtio for virtio"
