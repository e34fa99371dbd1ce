"""SCSI disks: their places, their sections, and how QEMU refuses them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sections import PSERIES, machine
from vmstate.errors import NotModelled
from vmstate.pseries.board.scsi_bus import ScsiAddress, ScsiBus
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import DeviceOption, Opt
from vmstate.pseries.registration import register
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration
from vmstate.simulate.migration import migrate

NULL = "if=none,id=d,file.driver=null-co,format=raw"
RELEASES = ["5.2.0", "7.2.22", "10.0.13", "11.1.3"]


def arguments(*devices, drive=NULL):
    found = [*PSERIES, "-drive", drive]
    for device in devices:
        found += ["-device", device]
    return found


def paths(*devices, release="7.2.22"):
    made = register(machine(release, arguments(*devices)))
    return [entry.device.idstr for entry in made if entry.device.idstr.endswith("scsi-disk")]


def last_line(release, *devices, drive=NULL):
    return build(configuration(release, arguments(*devices, drive=drive))).messages[-1]


@given(st.lists(st.tuples(*[st.none() | st.integers(0, 3)] * 3), max_size=20))
def test_a_bus_gives_no_address_twice_and_only_its_own(wanted):
    bus, found = ScsiBus("SCSI", "s.0", "hba", highest=ScsiAddress(1, 2, 2)), []
    some = machine("7.2.22", [*PSERIES])
    for values in wanted:
        given_ = zip(("channel", "scsi-id", "lun"), values, strict=True)
        opts = tuple(Opt(name, str(value)) for name, value in given_ if value is not None)
        try:
            found.append(bus.place(some, "scsi-cd", DeviceOption("scsi-cd", opts, "-device scsi-cd")))
        except Refused:
            continue
        channel, target, unit = map(int, found[-1].removeprefix("hba/").split(":"))
        assert channel <= 1
        assert target <= 2
        assert unit <= 2
        asked = zip(values, (channel, target, unit), strict=True)
        assert all(value in (None, place) for value, place in asked)
    assert len(set(found)) == len(found)


def test_disks_take_the_first_free_target_or_unit_of_the_bus_that_qemu_finds():
    hba = "virtio-scsi-pci,id=a"
    assert paths(hba, "spapr-vscsi", "scsi-cd", "scsi-cd,scsi-id=0", "scsi-cd,lun=1", "scsi-cd") == [
        "pci@800000020000000:00.0/0:0:0/scsi-disk",
        "pci@800000020000000:00.0/0:0:1/scsi-disk",
        "pci@800000020000000:00.0/0:1:1/scsi-disk",
        "pci@800000020000000:00.0/0:1:0/scsi-disk",
    ]
    assert paths("spapr-vscsi", hba, "scsi-hd,drive=d,bus=v-scsi@71000001.0,channel=7") == [
        "v-scsi@71000001/7:0:0/scsi-disk"
    ]


def test_disks_also_go_on_the_buses_of_recorded_adapters():
    """Checked against QEMU 7.2 and 10.0."""
    assert paths("lsi53c895a", "scsi-cd,scsi-id=7", "scsi-hd,drive=d") == [
        "pci@800000020000000:00.0/0:7:0/scsi-disk",
        "pci@800000020000000:00.0/0:0:0/scsi-disk",
    ]
    assert last_line("7.2.22", "qemu-xhci", "usb-bot", "scsi-cd", "scsi-cd").endswith("no free target")
    with pytest.raises(NotModelled):
        paths("megasas", "scsi-cd")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("devices", "line"),
    [
        (["scsi-hd"], "scsi-hd: No 'SCSI' bus found for device 'scsi-hd'"),
        (["spapr-vscsi", "scsi-hd"], "scsi-hd: drive property not set"),
        (
            ["spapr-vscsi", "scsi-hd,drive=x"],
            "scsi-hd,drive=x: Property 'scsi-hd.drive' can't find value 'x'",
        ),
        (["spapr-vscsi", "scsi-cd,lun=32"], "scsi-cd,lun=32: bad scsi device lun: 32"),
        (["spapr-vscsi", "scsi-cd,scsi-id=64"], "scsi-cd,scsi-id=64: bad scsi device id: 64"),
        (["virtio-scsi-pci", "scsi-cd,channel=1"], "scsi-cd,channel=1: bad scsi channel id: 1"),
        (["virtio-scsi-pci", "scsi-cd,lun=-2"], "scsi-cd,lun=-2: Parameter 'lun' expects uint32_t"),
        (
            ["spapr-vscsi", "scsi-cd,id=c", "scsi-cd,scsi-id=0,lun=0"],
            "scsi-cd,scsi-id=0,lun=0: lun already used by 'c'",
        ),
        (
            ["spapr-vscsi", "scsi-cd,drive=d", "scsi-cd,drive=d"],
            "scsi-cd,drive=d: Drive 'd' is already in use by another device",
        ),
        (["spapr-vscsi", "scsi-generic,drive=d"], "Is this a SCSI device?"),
    ],
)
def test_a_disk_is_refused_in_qemus_words(release, devices, line):
    """Checked against QEMU 5.2, 7.2, 10.0 and 11.1."""
    assert last_line(release, *devices).removeprefix("-device ") == line


@pytest.mark.parametrize("release", RELEASES)
def test_a_disk_needs_a_medium_unless_it_is_removable(release):
    needs = "Device needs media, but drive is empty"
    empty = "if=none,id=d"
    assert last_line(release, "spapr-vscsi", "scsi-hd,drive=d", drive=empty).endswith(needs)
    assert last_line(release, "virtio-blk-pci,drive=d", drive=empty).endswith(needs)
    for disk in ("scsi-hd,drive=d,removable=on", "scsi-cd,drive=d"):
        line = arguments("spapr-vscsi", disk, drive=empty)
        assert build(configuration(release, line)).machine is not None


def test_what_is_not_known_of_a_drive_is_not_modelled():
    node = ["-blockdev", '{"driver":"null-co","node-name":"n"}']
    twice = ["-device", "scsi-cd,drive=n", "-device", "scsi-hd,drive=n"]
    for line in (
        ["-drive", "if=none,id=d,format=raw"],
        ["-drive", "if=none,id=d,file=/dev/sg0", "-device", "spapr-vscsi", "-device", "scsi-generic,drive=d"],
        [*node, "-device", "spapr-vscsi", *twice],
    ):
        with pytest.raises(NotModelled, match="not modelled"):
            build(configuration("7.2.22", [*PSERIES, *line]))


def test_a_destination_without_the_disk_does_not_know_its_section():
    source = configuration("7.2.22", arguments("virtio-scsi-pci", "scsi-hd,drive=d,scsi-id=5"))
    verdict = migrate(source, configuration("7.2.22", arguments("virtio-scsi-pci")))
    wanted = "'pci@800000020000000:00.0/0:5:0/scsi-disk' 0."
    assert f"Unknown savevm section or instance {wanted}" in verdict.messages[-2]
    assert verdict.messages[-1] == "load of migration failed: Invalid argument"
