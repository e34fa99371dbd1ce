"""What ``info qtree`` of a real QEMU says of a guest is what its stream says, where both say it.

``fixtures/guests/only-in-qtree.txt`` lists the other properties: configuration that no field of a stream
states.  Where it matters to the guest a destination must be given the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from tests.support.handwritten import guest, recorded, recordings
from tests.support.qtree import ALONE, QDevice, alone, qtree
from vmstate.describe import Node
from vmstate.handwritten.msix import announced_vectors
from vmstate.handwritten.pci_walk import capabilities
from vmstate.handwritten.virtio.names import OWN
from vmstate.pseries.devices import drivers
from vmstate.stream.items import Section
from vmstate.tree.paths import find_one, walk

NAMES = recordings("guests")
ADDRESS = re.compile(
    r"class (?:Class (?P<class>\w{4})|.*), addr (?P<bus>\w\w):(?P<slot>\w\w)\.(?P<function>\d), "
    r"pci id (?P<id>\w{4}:\w{4}) \(sub (?P<sub>\w{4}:\w{4})\)"
)
BAR = re.compile(r"bar (?P<bar>\d): (?P<kind>mem|i/o) at (?P<address>0x\w+) \[0x\w+\]")
FIRST_BUID = 0x800000020000000
VENDOR_SPECIFIC, ROM = 9, "6"
#: After a reset, 10.0.13 gives each queue the largest size, whatever it was made with.
OTHER_SIZES = "-10.0"
OTHER_QUEUES = {"virtio-scsi-device": 2, "vhost-user-fs-device": 1}  # beside those that a property counts


class Seen:
    """The sections of one guest, as the comparisons use them; ``compared``: by driver, what they compared."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.contents = guest(name)
        self.data = self.contents.stream.data
        self.prefix = recorded("guests", name).get("buses", [None])[0]
        self.compared: set[tuple[str, str]] = set()

    def same(self, device: QDevice, name: str, found: object, wanted: object) -> None:
        assert found == wanted, (device.driver, name)
        self.compared.add((device.driver, name))

    def value(self, path: str) -> Any:
        return find_one(self.contents, path).node.value

    def place(self, device: QDevice) -> str | None:
        """Return how the names of the sections of a PCI or a ccw device begin."""
        for one in device.around():
            if "subch_id" in one.properties:
                return f"/{one.text('dev_id')}"
            for line in one.lines:
                if self.prefix and (at := ADDRESS.match(line)):
                    assert at["bus"] == "00"
                    return f"{self.prefix}{at['slot']}.{at['function']}"
        return None

    def sections(self, place: str) -> list[Section]:
        return [one for one in self.contents.stream.devices if one.idstr.rpartition("/")[0] == place]


@cache
def configs(name: str) -> dict[str, Node]:
    found = {}
    for place in walk(guest(name)):
        if place.node.type == "pci config" and place.section is not None:
            found[place.section.idstr.rpartition("/")[0]] = place.node
    return found


def virtio_of(seen: Seen, device: QDevice) -> Node | None:
    """Return the field ``virtio`` of a virtio device behind its proxy."""
    place = seen.place(device)
    for section in seen.sections(place) if place else ():
        label = seen.contents.labels[section.start]
        root = find_one(seen.contents, label).node
        if root.find("virtio") is not None:
            return root.find("virtio")
    return None


def inside(node: Node | None, path: str) -> Node | None:
    for name in path.split("|"):
        node = None if node is None else node.find(name)
    return node


def pci_agrees(seen: Seen, device: QDevice, config: Node) -> None:
    """Compare identity, class, BARs, and properties that the configuration space has."""
    register = {node.name: node.value for node in config.children}
    space = seen.data[config.start : config.end]
    for line in device.lines:
        if at := ADDRESS.match(line):
            assert at["id"] == f"{register['vendor_id']:04x}:{register['device_id']:04x}"
            if "subsystem_id" in register:
                assert at["sub"] == f"{register['subsystem_vendor_id']:04x}:{register['subsystem_id']:04x}"
            assert at["class"] is None or int(at["class"], 16) == register["class_device"]
            seen.same(device, "addr", device.properties["addr"], f"{at['slot']}.{at['function']}")
        elif at := BAR.match(line):
            rom, in_memory = at["bar"] == ROM, at["kind"] == "mem"
            bar = register["rom_address" if rom else f"bar{at['bar']}"]
            assert rom or bar & 1 == (not in_memory)
            if register["command"] & (2 if in_memory else 1) and not at["address"].endswith("ffffffff"):
                assert bar & ~(0x7FF if rom else 15 if in_memory else 3) == int(at["address"], 16)
    functions = device.properties["multifunction"] == "true"
    seen.same(device, "multifunction", bool(register["header_type"] & 0x80), functions)
    if "vectors" in device.properties:
        seen.same(device, "vectors", announced_vectors(space), device.number("vectors"))
    if "disable-legacy" in device.properties:
        modern = any(space[at] == VENDOR_SPECIFIC for at in capabilities(space))
        seen.same(device, "disable-modern", not modern, device.properties["disable-modern"] == "true")
        legacy = register["device_id"] < 0x1040
        seen.same(device, "disable-legacy", legacy, device.text("disable-legacy") == "off")


@cache
def feature_bits() -> dict[str, int]:
    """Return the features by the names of the properties that offer them."""
    every = (one for driver in drivers().values() for one in driver.properties)
    known = {name.lower(): bit for bit, name in OWN["virtio-net"].items()}
    return known | {one.name: one.feature for one in every if one.feature is not None}


#: By the class of a device, its members that a property gives, in the configuration or in its own part.
CONFIG = {
    ("virtio-blk-device", "logical_block_size"): "blk_size",
    ("virtio-blk-device", "num-queues"): "num_queues",
    ("vhost-user-blk", "num-queues"): "num_queues",
    ("virtio-scsi-device", "num_queues"): "num_queues",
    ("virtio-scsi-device", "max_sectors"): "max_sectors",
    ("virtio-scsi-device", "cmd_per_lun"): "cmd_per_lun",
}
QUEUES = ("num-queues", "num_queues", "num-request-queues")
SIZES = ("queue-size", "virtqueue_size")


def virtio_agrees(seen: Seen, device: QDevice, node: Node) -> None:
    """Compare features with those offered, queues with their number and size, the configuration."""
    wide = node.find("virtio/64bit_features")
    used = inside(node if wide is None else wide, "guest_features")
    status, queues = inside(node, "status"), inside(node, "vq")
    assert used is not None
    assert status is not None
    assert queues is not None
    for name, bit in feature_bits().items():
        if device.properties.get(name) in {"true", "false"}:
            assert device.properties[name] == "true" or not used.value >> bit & 1, (device.driver, name)
            seen.compared.add((device.driver, name))
    for name in QUEUES:
        if name in device.properties:
            beside = OTHER_QUEUES.get(device.driver, 0)
            seen.same(device, name, len(queues.value), device.number(name) + beside)
    for name in SIZES:
        if name in device.properties and not seen.name.endswith(OTHER_SIZES):
            sizes = {queue.num for queue in queues.value}
            assert max(sizes) <= device.number(name)
            if not status.value:
                seen.same(device, name, sizes, {device.number(name)})
    config = inside(node, "config")
    if config is not None and any(seen.data[config.start : config.end]):
        for (driver, name), member in CONFIG.items():
            one = config.find(member)
            if driver == device.driver and one is not None:
                seen.same(device, name, one.value, device.number(name))
    _own(seen, device, node)


def _own(seen: Seen, device: QDevice, node: Node) -> None:
    name = device.driver
    if name == "virtio-net-device":
        mac = inside(node, "device|mac")
        assert mac is not None
        seen.same(device, "mac", ":".join(f"{one:02x}" for one in mac.value), device.text("mac"))
    elif name == "virtio-serial-device":
        seen.same(device, "max_ports", (len(node.find("vq").value) - 2) // 2, device.number("max_ports"))
    elif name == "virtio-iommu-device":
        bypass = inside(node, "device|config.bypass")
        assert bypass is not None
        seen.same(device, "boot-bypass", bool(bypass.value), device.properties["boot-bypass"] == "true")


def gpu(seen: Seen, device: QDevice) -> None:
    place = seen.place(device)
    label = next(
        seen.contents.labels[s.start] for s in seen.sections(place) if s.idstr.endswith("virtio-gpu")
    )
    scanouts = f"{label}.virtio-gpu.scanouts.parent_obj"
    seen.same(device, "max_outputs", seen.value(f"{scanouts}.conf.max_outputs"), device.number("max_outputs"))


def disk(seen: Seen, device: QDevice) -> None:
    place = seen.place(device)
    numbers = [device.number(name) for name in ("channel", "scsi-id", "lun")]
    wanted = f"{place}/{':'.join(map(str, numbers))}/scsi-disk"
    assert wanted in {one.idstr for one in seen.contents.stream.devices}
    seen.compared |= {("scsi-hd", name) for name in ("channel", "scsi-id", "lun")}


def port(seen: Seen, device: QDevice) -> None:
    card = next(one for one in device.around() if one.driver == "virtio-serial-device")
    node = virtio_of(seen, card)
    assert device.number("nr") in leaves_called(node, "id")
    seen.compared.add((device.driver, "nr"))


def leaves_called(node: Node | None, name: str) -> Iterator[int]:
    assert node is not None
    return (one.value for one in node.walk() if one.name == name and isinstance(one.value, int))


def ccw(seen: Seen, device: QDevice) -> None:
    """Compare the addresses of a device on the channel: its own, and its subchannel's."""
    node = virtio_of(seen, device)
    sch = inside(node, "ccw|parent_obj|sch")
    assert sch is not None
    value = {one.name: one.value for one in sch.walk() if isinstance(one.value, int)}
    number = f"{value['cssid']:x}.{value['ssid']:x}."
    schid = value.get("schid", value.get("migrated_schid"))
    seen.same(device, "dev_id", f"{number}{value['devno']:04x}", device.text("dev_id"))
    seen.same(device, "subch_id", f"{number}{schid:04x}", device.text("subch_id"))


Check = Callable[[Seen, QDevice], None]


def equal(name: str, path: str) -> Check:
    """Return a check that a property is the value of a field."""
    return lambda seen, device: seen.same(device, name, seen.value(path), device.number(name))


def mcfg(seen: Seen, device: QDevice) -> None:
    config = find_one(seen.contents, "0000:00:00.0/mch.parent_obj.config[0]").node
    at = config.start + 0x60  # PCIEXBAR; its lowest bit enables it
    found = int.from_bytes(seen.data[at : at + 8], "little")
    seen.same(device, "MCFG", found & ~0xF, device.number("MCFG") if found & 1 else found & ~0xF)


CHECKS: dict[str, Check] = {
    "hpet": lambda seen, device: seen.same(
        device, "timers", len(seen.value("hpet.timer")), device.number("timers")
    ),
    "q35-pcihost": mcfg,
    "virtio-gpu-device": gpu,
    "scsi-hd": disk,
    "virtserialport": port,
    "spapr-pci-host-bridge": lambda seen, device: seen.same(
        device, "index", seen.value("spapr_pci.buid") - FIRST_BUID, device.number("index")
    ),
    "spapr-xive": equal("nr-irqs", "spapr-xive.nr_irqs"),
    "spapr-nvram": lambda seen, device: seen.same(
        device,
        "reg",
        next(s.idstr for s in seen.contents.stream.devices if s.idstr.startswith("nvram@")),
        f"nvram@{device.number('reg'):x}/spapr_nvram",
    ),
}


@cache
def compare(name: str) -> set[tuple[str, str]]:
    """Compare a guest's stream with what qtree says of it, and return the properties compared."""
    seen, found = Seen(name), 0
    for device in qtree(name):
        place = seen.place(device)
        own = any(ADDRESS.match(line) for line in device.lines)
        if own and place in configs(name):
            pci_agrees(seen, device, configs(name)[place])
            found += 1
        if "subch_id" in device.properties:
            ccw(seen, device)
            found += 1
        if "indirect_desc" in device.properties and place is not None:
            node = virtio_of(seen, device)
            assert node is not None, device.driver
            virtio_agrees(seen, device, node)
            found += 1
        if device.driver in CHECKS:
            CHECKS[device.driver](seen, device)
    assert found >= 2
    return seen.compared


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_says_what_qtree_says_of_the_same_guest(name):
    assert len(compare(name)) >= 5


def test_what_only_qtree_says_is_listed():
    compared = set().union(*(compare(name) for name in NAMES))
    assert ALONE.read_text().split() == alone(compared)
