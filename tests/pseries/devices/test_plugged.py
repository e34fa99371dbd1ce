"""Devices of ``-device``: their places, and a destination's messages for those that do not match."""

from __future__ import annotations

import pytest

from tests.support.sections import PSERIES, device_class, machine
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.handwritten.msix import announced_vectors
from vmstate.pseries.declarations import device_classes
from vmstate.pseries.devices.pci.config_space import config_space
from vmstate.pseries.devices.usb.xhci import NEC, XhciShape
from vmstate.pseries.devices.usb.xhci import identity as controller
from vmstate.pseries.devices.virtio.virtio_pci import Interfaces, VirtioDevice, VirtioModel, identity
from vmstate.pseries.registration import register
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration, parse
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.migration import load, migrate, save, send


def side(release, *devices, machine_type="pseries", more=()):
    caps = ",cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
    caps = "" if release == "2.9.1" else caps
    line = ["-nodefaults", "-machine", f"{machine_type}{caps}", *more]
    for device in devices:
        line += ["-device", device]
    return configuration(release, line)


def paths(*devices, release="7.2.22", more=()):
    args = [*PSERIES, *more]
    for device in devices:
        args += ["-device", device]
    return [e.device.idstr for e in register(machine(release, args)) if e.device.idstr.startswith("pci@")]


def test_pci_devices_take_the_first_free_slot_or_the_requested_one():
    assert paths("virtio-rng-pci,addr=1", "virtio-rng-pci", "virtio-rng-pci", "virtio-rng-pci,addr=3.1") == [
        "pci@800000020000000:01.0/virtio-rng",
        "pci@800000020000000:00.0/virtio-rng",
        "pci@800000020000000:02.0/virtio-rng",
        "pci@800000020000000:03.1/virtio-rng",
    ]


def test_without_a_bus_a_device_goes_to_the_newest_one():
    assert paths("virtio-rng-pci", "spapr-pci-host-bridge,index=2,id=p", "e1000", "VGA,bus=pci.0") == [
        "pci@800000020000000:00.0/virtio-rng",
        "pci@800000020000002:00.0/e1000",
        "pci@800000020000000:01.0/vga",
    ]


@pytest.mark.parametrize("address", ["1F", "0x1f", "+1f", "0000000001f"])
def test_a_slot_is_read_as_scanf_reads_it(address):
    assert paths(f"virtio-rng-pci,addr={address}") == ["pci@800000020000000:1f.0/virtio-rng"]


#: As 10.0.13 and 11.1.3 refused them.
OCCUPIED = (
    ("igb,addr=0xf", "VF addr overflows"),
    (
        "igb,addr=3 sii3112,addr=0x13",
        "PCI: slot 19 function 0 not available for sii3112, in use by igbvf,id=(null)",
    ),
    ("sii3112,addr=0x13 igb,addr=3", "PCI: slot 19 already occupied by sii3112"),
    ("igb,addr=3 pci-ohci,addr=0x14.3", "PCI: single function device can't be populated in function 14.3"),
    ("virtio-rng-pci,acpi-index=16384", "acpi-index should be less or equal to 16383"),
    ("pci-ohci,acpi-index=5 virtio-rng-pci,acpi-index=5", "a PCI device with acpi-index = 5 already exist"),
)


@pytest.mark.parametrize("release", ["10.0.13", "11.1.3"])
@pytest.mark.parametrize(("devices", "line"), OCCUPIED)
def test_virtual_functions_and_indexes_are_taken_once(release, devices, line):
    options = " ".join(f"-device {device}" for device in devices.split())
    start = build(parse(f"qemu-{release} -nodefaults -machine pseries-5.2 {options}"))
    assert start.messages[-1] == f"{options[options.rindex('-device') :]}: {line}"


@pytest.mark.parametrize(
    "devices", ["igb,addr=0xe", "igb,addr=3 sii3112,addr=0x15", "pci-ohci,acpi-index=16383"]
)
def test_functions_beside_virtual_ones_are_free(devices):
    options = " ".join(f"-device {device}" for device in devices.split())
    assert build(parse(f"qemu-11.1.3 -nodefaults -machine pseries-5.2 {options}")).refused is False


def test_usb_devices_take_ports_in_order_of_the_newest_controller_or_the_one_named():
    assert paths("qemu-xhci,id=x", "pci-ohci", "usb-kbd", "usb-mouse", "usb-tablet,bus=x.0")[2:] == [
        "pci@800000020000000:01.0/1/usb-kbd",
        "pci@800000020000000:01.0/2/usb-ptr",
        "pci@800000020000000:00.0/1/usb-ptr",
    ]


@pytest.mark.parametrize(
    "devices",
    [
        ("pci-ohci", "usb-kbd", "usb-kbd", "usb-kbd"),
    ],
)
def test_places_that_qemu_would_refuse_are_configuration_errors(devices):
    with pytest.raises(ConfigurationError):
        paths(*devices)


def test_a_device_on_a_path_is_also_known_by_the_plain_name_of_old_streams():
    made = register(machine("7.2.22", [*PSERIES, "-device", "e1000", "-device", "e1000"]))
    assert [e.device.compat for e in made if "e1000" in e.device.idstr] == [("e1000", 0), ("e1000", 1)]


def test_plugged_cores_are_numbered_by_place_but_their_xive_presenters_in_order_of_plugging():
    cores = ["power9_v2.0-spapr-cpu-core,core-id=2", "power9_v2.0-spapr-cpu-core,core-id=1"]
    args = [*PSERIES, "-cpu", "power9_v2.0", "-smp", "1,maxcpus=4"]
    for core in cores:
        args += ["-device", core]
    made = [e.device for e in register(machine("7.2.22", args))]
    assert [d.instance_id for d in made if d.idstr == "cpu"] == [0, 2, 1]
    assert [d.instance_id for d in made if d.idstr == "xive-tctx"] == [0, 1, 2]


@pytest.mark.parametrize(
    "device", ["virtio-net-pci", "e1000", "qemu-xhci", "VGA", "spapr-vscsi", "spapr-vlan"]
)
@pytest.mark.parametrize("release", ["2.9.1", "4.2.1", "7.2.22", "11.1.3"])
def test_the_same_devices_on_both_sides_are_accepted(release, device):
    if (release, device) == ("2.9.1", "qemu-xhci"):
        pytest.skip("qemu-xhci came with 2.10")
    assert migrate(side(release, device), side(release, device)).outcome == "accept"


@pytest.mark.parametrize("device", ["virtio-rng-pci", "nec-usb-xhci", "spapr-vscsi"])
def test_a_device_that_only_the_source_has_is_refused(device):
    verdict = migrate(side("7.2.22", device), side("7.2.22"))
    assert verdict.outcome == "reject"
    assert verdict.messages[0].startswith("Unknown savevm section or instance")


@pytest.mark.parametrize("device", ["virtio-rng-pci", "nec-usb-xhci", "spapr-vscsi"])
def test_a_device_that_only_the_destination_has_keeps_its_state(device):
    assert migrate(side("7.2.22"), side("7.2.22", device)).outcome == "accept"


def test_memory_on_a_device_must_be_on_both_sides():
    verdict = migrate(side("7.2.22", "VGA"), side("7.2.22"))
    block = "pci@800000020000000:00.0/vga.vram"
    assert verdict.messages[0] == f'Unknown ramblock "{block}", cannot accept migration'


WHERE = "error while loading state for instance 0x0 of device 'pci@800000020000000:00.0/virtio-rng'"
CHAIN = f"load of migration failed: Invalid argument: {WHERE}: "


@pytest.mark.parametrize(
    ("release", "lines"),
    [
        (
            "7.2.22",
            [
                "Failed to load PCIDevice:config",
                "Failed to load virtio-rng:virtio",
                WHERE,
                "load of migration failed: Invalid argument",
            ],
        ),
        (
            "11.1.3",
            [
                "Failed to load element of type pci config for config",
                CHAIN + "Failed to load element of type virtio for virtio",
            ],
        ),
    ],
)
def test_other_vectors_show_in_the_configuration_space(release, lines):
    kind = {"machine_type": "pseries-7.2"}
    verdict = migrate(
        side(release, "virtio-rng-pci,vectors=3", **kind), side(release, "virtio-rng-pci,vectors=2", **kind)
    )
    first = "get_pci_config_device: Bad config data: i=0x9a read: 2 device: 1 cmask: ff wmask: 0 w1cmask:0"
    errors = [line for line in verdict.messages if not line.startswith("warning")]
    assert errors == [first, *lines]


def changed(stream, name, place, value):
    """Return the stream with one byte changed, ``place`` bytes after a name in it."""
    data = bytearray(stream)
    data[data.index(name) + len(name) + place] = value
    return bytes(data)


def test_a_guest_that_uses_features_the_device_does_not_offer_is_refused():
    own = side("7.2.22", "virtio-rng-pci", machine_type="pseries-7.2")
    verdict = load(changed(save(own), b"virtio/64bit_features", 4 + 7, 0x01), own)
    line = "Features 0x1 unsupported. Allowed features: 0x10179000000"
    assert verdict.messages[:2] == [line, "Failed to load virtio-rng:virtio"]
    assert verdict.messages[-1] == "load of migration failed: Operation not permitted"


def with_all_features(instance):
    for device in instance.machine.registered(VirtioDevice):
        device.guest_features_low, device.guest_features_64 = (1 << 32) - 1, (1 << 64) - 1


@pytest.mark.parametrize(
    ("release", "machine_type", "properties", "offered"),
    [  # as real QEMUs of these releases print them
        ("5.2.0", "pseries-3.1", "", 0x179000E54),
        ("5.2.0", "pseries-3.1", "config-wce=off,write-cache=off,num-queues=1", 0x179000454),
        ("5.2.0", "pseries-3.1", "write-cache=off", 0x179000C54),
        ("7.2.22", "pseries-3.1", "discard=off,write-zeroes=off,config-wce=off,num-queues=2", 0x179001654),
        ("7.2.22", "pseries-5.2", "disable-modern=on", 0x71006ED4),
        ("7.2.22", "pseries-5.2", "num-queues=2,discard=off,config-wce=off", 0x179005654),
        ("7.2.22", "pseries-7.2", "disable-modern=on", 0x10071006ED4),
        ("10.0.13", "pseries-10.0", "", 0x10179006E54),
        ("10.0.13", "pseries-10.0", "config-wce=off,write-cache=off", 0x10179006454),
        ("10.0.13", "pseries-10.0", "write-cache=off", 0x10179006E54),
    ],
)
def test_a_disk_offers_the_features_that_its_properties_and_machine_type_say(
    release, machine_type, properties, offered
):
    device = ",".join(filter(None, ["virtio-blk-pci,drive=d", properties]))
    own = side(release, device, machine_type=machine_type, more=("-blockdev", "null-co,node-name=d"))
    verdict = load(send(own, with_all_features).stream, own)
    used = (1 << 64 if offered >> 32 else 1 << 32) - 1
    line = f"Features {used:#x} unsupported. Allowed features: {offered:#x}"
    assert [one for one in verdict.messages if one.startswith("Features")] == [line]


def test_a_guest_that_loses_a_feature_which_its_driver_took_is_refused():
    kept, lost = (side("7.2.22", f"virtio-scsi-pci,event_idx={flag}") for flag in ("on", "off"))
    assert migrate_guest(lost, kept, "linux-6.1").outcome == "accept"
    verdict = migrate_guest(kept, lost, "linux-6.1")
    line = "Features 0x10130000006 unsupported. Allowed features: 0x10159000006"
    assert (verdict.outcome, verdict.messages[0]) == ("reject", line)


def test_a_guest_whose_drivers_are_not_known_and_that_may_lose_a_feature_is_not_modelled():
    kept, lost = (side("7.2.22", f"virtio-scsi-pci,event_idx={flag}") for flag in ("on", "off"))
    assert migrate_guest(lost, kept, "linux-5.4").outcome == "accept"
    with pytest.raises(ConfigurationError, match="does not offer the features 0x20000000"):
        migrate_guest(kept, lost, "linux-5.4")


@pytest.mark.parametrize(("destination", "outcome"), [("10.0.13", "accept"), ("11.1.3", "reject")])
def test_queues_larger_than_they_were_made_are_refused_since_11_1(destination, outcome):
    kind = {"machine_type": "pseries-7.2"}
    verdict = migrate(
        side("10.0.13", "virtio-scsi-pci", **kind), side(destination, "virtio-scsi-pci", **kind)
    )
    assert verdict.outcome == outcome
    line = "VQ 0 vring.num 1024 exceeds allocated max 256"
    assert (line in verdict.messages) == (outcome == "reject")


def test_only_the_writable_bits_of_a_capability_may_differ():
    space = config_space(controller(NEC, XhciShape()))
    assert (space.data[0x34], space.data[0x90], space.data[0x91], space.data[0x70]) == (
        0x90,
        0x11,
        0x70,
        0x05,
    )
    for offset, bits in ((0x93, 0x40), (0x90, None), (0x100, 0xFF), (0x08, None)):
        other = bytearray(space.data)
        other[offset] ^= bits or 1
        assert space.difference(bytes(other)) == (offset if bits is None else None)


@pytest.mark.parametrize("vectors", [0, 1, 2, 64])
def test_the_number_of_vectors_can_be_read_from_the_configuration_space(vectors):
    model = VirtioModel(0x1005, 4, 0x00FF00, 0)
    assert announced_vectors(config_space(identity(model, Interfaces(vectors, 0))).data) == vectors


def test_every_device_is_found_by_the_name_of_its_section():
    for name, kinds in device_classes().items():
        assert device_class(name) is kinds[0]
        if "/" not in name:
            assert device_class(f"pci@800000020000000:00.0/{name}") is kinds[0]
    assert device_class("ram") is device_class("spapr/htab") is device_class("pci@1:00.0/nothing") is None


def with_section(stream, idstr, instance_id, payload):
    """Return the stream with another section, of version 1, before the one of the run state."""
    at = bytes(stream).index(b"\x0bglobalstate") - 5
    name = idstr.encode()
    head = bytes([4]) + (999).to_bytes(4, "big") + bytes([len(name)]) + name
    section = head + instance_id.to_bytes(4, "big") + (1).to_bytes(4, "big") + payload
    return bytes(stream)[:at] + section + b"\x7e" + (999).to_bytes(4, "big") + bytes(stream)[at:]


@pytest.mark.parametrize(
    ("idstr", "instance_id", "outcome"),
    [
        ("spapr_drc", 0x10000000, "accept"),
        ("spapr_drc/physical", 0x40000008, "accept"),
        ("spapr_drc", 0x10000001, "reject"),
        ("spapr_drc/physical", 0x10000000, "reject"),
    ],
)
def test_a_connector_in_the_middle_of_a_hotplug_is_loaded_if_it_exists(idstr, instance_id, outcome):
    own = side("7.2.22")
    verdict = load(with_section(save(own), idstr, instance_id, (3).to_bytes(4, "big")), own)
    assert verdict.outcome == outcome


TAP, PLAIN_TAP = "tap,id=n0,script=no,downscript=no", "tap,id=n0,script=no,downscript=no,vnet_hdr=off"


@pytest.mark.parametrize(
    ("source", "destination", "refused"),
    [(TAP, TAP, False), (TAP, PLAIN_TAP, True), (PLAIN_TAP, TAP, False), (PLAIN_TAP, PLAIN_TAP, False)],
)
def test_a_card_whose_network_knows_headers_needs_such_a_network(source, destination, refused):
    """As 7.2.22 and 11.1.3 did with a tap of the host."""
    sides = [
        side("7.2.22", "virtio-net-pci,netdev=n0", more=("-netdev", one)) for one in (source, destination)
    ]
    expected = ["virtio-net: saved image requires vnet_hdr=on", "Failed to load virtio-net-device:tmp"]
    assert migrate(*sides).messages[:2] == (expected if refused else [])


def test_what_a_hosts_network_offers_to_a_guest_is_not_judged():
    sides = [
        side("7.2.22", f"virtio-net-pci,netdev=n0{more}", more=("-netdev", TAP)) for more in ("", ",csum=off")
    ]
    assert migrate_guest(sides[0], sides[0], "linux-6.1").outcome == "accept"
    with pytest.raises(NotModelled, match="the host's network decides"):
        migrate_guest(*sides, "linux-6.1")


@pytest.mark.parametrize(("release", "judged"), [("7.2.0", False), ("7.2.1", True), ("7.2.22", True)])
def test_msix_of_virtio_rng_in_old_types_is_not_judged_in_the_release_that_had_it(release, judged):
    line = f"qemu-{release} -nodefaults -machine pseries-7.1 -device virtio-rng-pci"
    if judged:
        assert migrate(line, line).outcome is Outcome.ACCEPT
    else:
        with pytest.raises(NotModelled, match="MSI-X"):
            migrate(line, line)
