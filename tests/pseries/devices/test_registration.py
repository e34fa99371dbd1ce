"""Section ids, instances and order, compared with the streams of thirteen releases."""

from __future__ import annotations

import pytest

from tests.support import corpus, sections
from tests.support.sections import PSERIES, arguments, machine
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.registration import build, connector, register
from vmstate.stream import SectionType, open_stream


def sends(device):
    return device.active() if isinstance(device, LiveDevice) else device.needed()


def announced(entries):
    """Return (id, name, instance, version) in the order of the stream: live sections start first."""
    sent = [entry for entry in entries if sends(entry.device)]
    live_first = sorted(sent, key=lambda entry: not isinstance(entry.device, LiveDevice))
    return [(e.section_id, e.device.idstr, e.device.instance_id, e.device.version_id) for e in live_first]


#: Devices were plugged into these before they were saved.
BUILDABLE = [n for n in sections.names() if n != "10.0-devices" and "hotplug" not in n]


@pytest.mark.parametrize("name", BUILDABLE)
def test_sections_have_the_ids_and_the_order_that_qemu_gave_them(name):
    release = corpus.manifest()[name]["release"]
    stream = open_stream(corpus.load(name))
    expected = [
        (s.section_id, s.idstr, s.instance_id, s.version_id)
        for s in stream.sections
        if s.kind in {SectionType.START, SectionType.FULL}
    ]
    assert announced(register(machine(release, arguments(name)))) == expected


def test_a_connector_is_found_by_its_index_though_it_is_not_listed():
    board = build(machine("7.2.22", PSERIES))
    assert connector(board, "spapr_drc", 0x10000000).device.attached
    assert not connector(board, "spapr_drc", 0x20000005).device.attached
    assert connector(board, "spapr_drc/physical", 0x40000008).device.instance_id == 0x40000008
    assert connector(board, "spapr_drc", 0x10000001) is None
    assert connector(board, "spapr_drc/physical", 0x20000005) is None
    assert connector(board, "spapr", 0) is None


def test_before_2_10_connectors_are_not_registered():
    assert (
        connector(build(machine("2.9.1", ["-nodefaults", "-machine", "pseries"])), "spapr_drc", 0x10000000)
        is None
    )


def test_a_second_host_bridge_takes_the_next_instance_and_its_own_windows():
    made = register(machine("7.2.22", [*PSERIES, "-device", "spapr-pci-host-bridge,index=1"]))
    names = {(e.device.idstr, e.device.instance_id & 0xFFFFFFFF) for e in made}
    assert {
        ("spapr_pci", 1),
        ("PCIBUS", 1),
        ("spapr_iommu", 0x80000100),
        ("spapr_iommu", 0x80000101),
    } <= names


def test_devices_on_the_vio_bus_get_the_next_address_that_is_free():
    args = [*PSERIES, "-serial", "null", "-serial", "null", "-device", "spapr-vscsi"]
    made = register(machine("7.2.22", args))
    named = [e.device.idstr for e in made if "@" in e.device.idstr]
    assert named == [
        "vty@71000000/spapr_vty",
        "vty@71000001/spapr_vty",
        "nvram@71000002/spapr_nvram",
        "v-scsi@71000003/spapr_vscsi",
    ]
