"""Findings of campaigns in our own code, and facts about QEMU that they showed, each with its recipe."""

from __future__ import annotations

import time

import pytest

from tests.support.bases import base, destination, loaded, mutated
from vmstate.fuzz.targets import Reader
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.commands import DEEPEST
from vmstate.simulate.instance import Instance
from vmstate.stream import open_stream
from vmstate.tree import Contents

SMALL = "7.2-pseries-7.2"


def within(depth: int, body: str = "end") -> tuple[str, dict[str, object]]:
    return "packaged-within", {"before": "timer", "depth": depth, "body": body}


def test_a_version_of_many_digits_in_a_vmdesc_is_a_finding():
    numbers = "vmdesc-number", {"number": 207, "value": "9" * 25, "repaired": True}
    stream = open_stream(mutated("x86_64-microvm", numbers))
    errors = [decoded.error for decoded in map(Contents(stream).decoded, stream.devices)]
    assert any("more than 32 bits" in str(error) for error in errors)


def test_a_large_count_of_capabilities_is_read_quickly():
    data = mutated(SMALL, ("capabilities", {"name": "", "times": 2, "count": "0x80000000"}))
    start = time.process_time()
    answer = Reader().run(memoryview(data)).answer
    assert "capabilities" in answer.messages[0]
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("10.0-pseries-10.0", "Unknown savevm section type 12"),
        ("11.1-pseries-11.1", "load of migration failed: Invalid argument: Unknown section type 12"),
    ],
)
def test_of_capabilities_that_come_twice_only_the_last_count_is_checked(name, line):
    """As real 10.0.13 and 11.1.3 printed: no capability is left of the first subsection."""
    first = "mapped-ram-header", {"page_size": "0", "bitmap": "beyond", "pages": "top", "version": 2}
    verdict = loaded(name, first, ("capabilities", {"name": "postcopy-ram", "times": 1, "count": "0"}))
    assert verdict.messages[0] == line


@pytest.mark.parametrize("depth", [1, 2, 16, 256])
def test_nested_packages_are_read_from_the_migration_file(depth):
    """As seen in QEMU 5.2 to 11.1: the inner package's length and content are in the outermost stream."""
    assert loaded(SMALL, within(depth)).outcome == "accept"


def test_a_properly_nested_package_is_refused():
    """As real QEMU 7.2 printed: it reads the next section's beginning as the inner length."""
    inside = "packaged-nested", {"before": "timer", "depth": 2, "body": "end"}
    assert loaded(SMALL, inside).messages == [
        "CMD_PACKAGED: Buffer receive fail ret=2302444 length=67108864",
        "load of migration failed: Resource temporarily unavailable",
    ]


def test_packages_too_deep_for_the_stack_crash_qemu():
    """All tested releases of real QEMU crashed (signal 11) at a depth of 16384."""
    verdict = loaded(SMALL, within(16384))
    assert verdict.decided_by is not None
    assert verdict.decided_by.rule == "aborted"
    machine = destination(SMALL)
    deepest = DEEPEST.at(machine.release)
    assert deepest < 16384


def test_a_return_path_that_is_open_is_open_in_packages_too():
    twice = "commands-in-turn", {"first": 1, "second": 1, "before": "timer"}
    assert loaded(SMALL, twice).messages.count("CMD_OPEN_RETURN_PATH called when RP already open") == 2


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("qemu-2.11 -nodefaults -machine pseries-2.1 -m 256", "Unreasonably large packaged state: 16777217"),
        ("qemu-2.12 -nodefaults -machine pseries-2.1 -m 256", "CMD_PACKAGED: Buffer receive fail ret="),
    ],
)
def test_how_large_a_package_may_be(command, line):
    name = "2.9.1-pseries-2.1"
    large = "section-packaged", {"section": "timer", "length": "0x1000001", "ended": True}
    machine = build(parse(command)).machine
    assert Instance(machine).load(memoryview(mutated(name, large))).messages[0].startswith(line)


def test_virtio_queues_are_counted_before_they_are_read():
    """A count of millions with an array of that length is refused at once."""
    name = "7.2-peripherals"
    queues = "pci@800000020000000:03.0/virtio-rng.virtio.queues"
    start = time.process_time()
    verdict = loaded(name, ("count-edge", {"count": queues, "value": "top", "repaired": True}))
    assert "Invalid number of virtqueues: 0xffffffff" in verdict.messages
    assert time.process_time() - start < 0.5 + 1e-6 * len(base(name).data)


@pytest.mark.parametrize(
    ("name", "count", "ends"),
    [
        ("7.2-peripherals", "0", True),
        ("7.2-peripherals", "1", True),
        ("7.2-peripherals", "2", True),
        ("7.2-peripherals", "0x80", True),
        ("10.0-peripherals", "+1", True),
        ("5.2-peripherals-pseries-2.4", "0", False),
        ("5.2-peripherals-pseries-2.4", "+1", True),
        ("5.2-peripherals-pseries-2.4", "0x80", True),
    ],
)
def test_a_network_card_with_another_number_of_queues_crashes_qemu(name, count, ends):
    """As in real 7.2.22 and 10.0.13, which create as many as the stream has, and 5.2.0, which counts them."""
    queues = "pci@800000020000000:00.0/virtio-net.virtio.queues"
    verdict = loaded(name, ("count-edge", {"count": queues, "value": count, "repaired": True}))
    assert (verdict.decided_by is not None and verdict.decided_by.rule == "aborted") is ends


def test_a_possible_subsection_after_an_array_at_the_end_of_the_stream_fails_the_last_element():
    """As real 7.2.22 printed: the byte 5 is present, but not the length of the name."""
    anatomy = base(SMALL)
    count = anatomy.leaves["spapr_pci.msi_devs_num"]
    entries = b"".join(number.to_bytes(4, "big") * 3 for number in (7, 8))
    changed = anatomy.data[: count.start] + (2).to_bytes(4, "big") + entries + b"\5"
    assert Instance(destination(SMALL)).load(memoryview(changed)).messages[-3:] == [
        "Failed to load spapr_pci:msi_devs",
        "error while loading state for instance 0x0 of device 'spapr_pci'",
        "load of migration failed: Input/output error",
    ]
