"""PCI fields are what ``query-pci`` (``info pci``) of a real QEMU says of the same stopped guest.

``fixtures/pci`` and ``fixtures/guests`` have the captured streams without their memory, and the answers; the
first also those about edited streams, which the same QEMU loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.handwritten import Facts, captured, recorded, recordings
from vmstate.describe import Node
from vmstate.front.known import known_meanings
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.paths import walk
from vmstate.tree.typed_changes import changed

EDITED = [("pci", name) for name in recordings("pci")]
NAMES = EDITED + [("guests", name) for name in recordings("guests") if "buses" in recorded("guests", name)]
UNMAPPED = -1


def said(folder: str, name: str, buses: list[Facts]) -> dict[str, Facts]:
    """Return what QEMU says of each device, by the beginning of its section's name."""
    named = zip(recorded(folder, name)["buses"], buses, strict=True)
    return {path: device for prefix, bus in named for path, device in _devices(prefix, bus["devices"])}


def _devices(prefix: str, devices: list[Facts]) -> Iterator[tuple[str, Facts]]:
    for device in devices:
        path = f"{prefix}{device['slot']:02x}.{device['function']:x}"
        yield path, device
        yield from _devices(f"{path}:", device.get("pci_bridge", {}).get("devices", []))


def spaces(data: bytes) -> dict[str, dict[str, int]]:
    """Return the registers of each configuration space, by the beginning of its section's name."""
    found = {}
    for place in walk(Contents(open_stream(data))):
        if place.node.type == "pci config" and place.section is not None:
            found[place.section.idstr.rpartition("/")[0]] = registers(place.node)
    return found


def registers(config: Node) -> dict[str, int]:
    return {node.name: node.value for node in config.children if isinstance(node.value, int)}


def agrees(device: Facts, config: dict[str, int]) -> None:
    identity = device["id"]
    assert (config["vendor_id"], config["device_id"]) == (identity["vendor"], identity["device"])
    assert config["class_device"] == device["class_info"]["class"]
    if config["interrupt_pin"]:
        assert (config["interrupt_line"], config["interrupt_pin"]) == (device["irq"], device["irq_pin"])
    if "subsystem" in identity:
        assert config["subsystem_id"] == identity["subsystem"]
        assert config["subsystem_vendor_id"] == identity["subsystem-vendor"]
    for region in device["regions"]:
        bar = config["rom_address" if region["bar"] == 6 else f"bar{region['bar']}"]
        in_memory = region["type"] == "memory"
        if region["bar"] != 6:
            assert bar & 1 == (not in_memory)
            if in_memory:
                assert (bar & 8 != 0, bar & 6 == 4) == (region["prefetch"], region["mem_type_64"])
        enabled = config["command"] & (2 if in_memory else 1) and (region["bar"] != 6 or bar & 1)
        if region["address"] != UNMAPPED:
            assert enabled
            assert bar & ~(0x7FF if region["bar"] == 6 else 15 if in_memory else 3) == region["address"]
    if "pci_bridge" in device:
        _bridge_agrees(device["pci_bridge"]["bus"], config)


def _bridge_agrees(bus: Facts, config: dict[str, int]) -> None:
    names = ("primary_bus", "secondary_bus", "subordinate_bus")
    assert [config[name] for name in names] == [bus["number"], bus["secondary"], bus["subordinate"]]
    memory = (config["memory_base"] & 0xFFF0) << 16, (config["memory_limit"] & 0xFFF0) << 16 | 0xFFFFF
    assert memory == (bus["memory_range"]["base"], bus["memory_range"]["limit"])
    high = config["pref_base_upper32"] << 32, config["pref_limit_upper32"] << 32
    low = (config["pref_memory_base"] & 0xFFF0) << 16, (config["pref_memory_limit"] & 0xFFF0) << 16 | 0xFFFFF
    prefetchable = bus["prefetchable_range"]
    assert (high[0] | low[0], high[1] | low[1]) == (prefetchable["base"], prefetchable["limit"])


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_the_fields_of_a_capture_are_what_qemu_says_of_the_same_guest(folder, name):
    devices, found = said(folder, name, recorded(folder, name)["query-pci"]), spaces(captured(folder, name))
    assert len(found) >= 5
    for path, config in found.items():
        agrees(devices[path], config)


@pytest.mark.parametrize(("folder", "name"), EDITED)
def test_an_edited_register_is_loaded_and_seen_by_a_real_qemu(folder, name):
    before = said(folder, name, recorded(folder, name)["query-pci"])
    contents = Contents(open_stream(captured(folder, name)))
    for edit in recorded(folder, name)["edits"]:
        config = spaces(changed(contents, [edit["change"]], known_meanings()))[edit["path"]]
        assert edit["device"] != before[edit["path"]], edit["change"]
        agrees(edit["device"], config)
