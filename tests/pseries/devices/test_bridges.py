"""PCI bridges: the devices behind them, their hotplug controller, their bus numbers, their connectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sections import PSERIES, devices, machine
from vmstate.errors import NotModelled
from vmstate.handwritten.pci_walk import capability
from vmstate.pseries.devices.pci.pci_bridge import SHPC_ID, SHPC_SIZE, hotplug_registers
from vmstate.pseries.registration import build, register
from vmstate.pseries.startup.build import build as start
from vmstate.pseries.startup.command_line import configuration
from vmstate.simulate.migration import migrate, save

RELEASES = ["5.2.0", "7.2.22", "10.0.13", "11.1.3"]
ROOT = "pci@800000020000000"


def arguments(*plugged):
    return [*PSERIES, *(part for device in plugged for part in ("-device", device))]


def refusal(release, *plugged):
    messages = start(configuration(release, arguments(*plugged))).messages
    return [line for line in messages if not line.startswith("warning: ")]


def bus_numbers(*plugged, release="7.2.22"):
    made = devices(machine(release, arguments(*plugged))).items()
    return {name: tuple(one.pci.config[0x18:0x1B]) for (name, _), one in made if name.endswith("pci_bridge")}


@given(st.frozensets(st.integers(1, 31)), st.sampled_from([0, 0x30]))
def test_the_hotplug_controller_sees_the_occupied_slots(slots, attention):
    registers = hotplug_registers(slots, attention)
    assert len(registers) == SHPC_SIZE
    states = [registers[0x24 + 4 * n] & 3 for n in range(31)]
    assert {slot for slot, state in enumerate(states, 1) if state == 2} == slots
    assert all(state in (2, 3) for state in states)


def test_devices_behind_a_bridge_have_its_path_before_their_own():
    made = register(
        machine("7.2.22", arguments("pci-bridge,chassis_nr=1,id=b,addr=5", "e1000,bus=b,addr=3.0"))
    )
    names = [entry.device.idstr for entry in made if entry.device.idstr.startswith("pci@")]
    assert names == [f"{ROOT}:05.0/pci_bridge", f"{ROOT}:05.0:03.0/e1000"]


def test_buses_are_numbered_in_the_order_of_slots_and_depth_first():
    """A multifunction bridge is left out.  Checked against QEMU 5.2, 7.2, 10.0 and 11.1."""
    assert bus_numbers(
        "pci-bridge,chassis_nr=1,id=a,addr=5",
        "pci-bridge,chassis_nr=2,id=b,addr=4",
        "pci-bridge,chassis_nr=3,bus=b",
        "pci-bridge,chassis_nr=4,addr=6,multifunction=on",
    ) == {
        f"{ROOT}:05.0/pci_bridge": (0, 3, 3),
        f"{ROOT}:04.0/pci_bridge": (0, 1, 2),
        f"{ROOT}:04.0:00.0/pci_bridge": (1, 2, 2),
        f"{ROOT}:06.0/pci_bridge": (0, 0, 0),
    }


@pytest.mark.parametrize(("release", "more"), [("4.0.1", 0), ("4.1.1", 512), ("10.0.13", 512)])
def test_a_bridge_takes_section_ids_for_the_connectors_behind_it(release, more):
    def last(*plugged):
        return build(machine(release, arguments(*plugged))).entries[-1].section_id

    assert last("pci-bridge,chassis_nr=1") - last() == 2 + more  # itself and its bus


@pytest.mark.parametrize("release", RELEASES)
def test_a_bridge_without_a_chassis_of_its_own_is_refused(release):
    lacks = [
        '-device pci-bridge: PCI Bridge lacks a "chassis_nr" property',
        "Try -device pci-bridge instead.",
    ]
    if release == "5.2.0":
        needed = "Each bridge is required to be assigned a unique chassis id > 0."
        lacks = [f"-device pci-bridge: Bridge chassis not specified. {needed}"]
    assert refusal(release, "pci-bridge") == lacks
    same = refusal(release, "pci-bridge,chassis_nr=3", "pci-bridge-seat,chassis_nr=3")
    assert same == ["-device pci-bridge-seat,chassis_nr=3: Bridge chassis 3 already in use"]


@pytest.mark.parametrize(
    ("reserve", "line"),
    [
        ("pref32-reserve=1M,pref64-reserve=1M", "PREF32 and PREF64 conflict"),
        ("mem-reserve=4G", "mem-reserve must be less than 4G"),
        ("pref32-reserve=8G", "pref32-reserve  must be less than 4G"),
    ],
)
def test_reserves_that_do_not_fit_are_refused(reserve, line):
    assert refusal("7.2.22", f"pci-bridge,chassis_nr=1,{reserve}")[-1].endswith(f"reserve cap: {line}")


def test_devices_behind_bridges_are_not_modelled_before_4_1():
    side = configuration("4.0.1", arguments("pci-bridge,chassis_nr=1,id=b", "e1000,bus=b"))
    with pytest.raises(NotModelled, match="behind bridges"):
        start(side)


def test_a_destination_with_another_hotplug_controller_finds_other_capabilities():
    sides = [configuration("7.2.22", arguments(f"pci-bridge,chassis_nr=1,shpc={on}")) for on in ("on", "off")]
    assert "get_pci_config_device: Bad config data: i=0x34 " in "".join(migrate(*sides).messages)


@pytest.mark.parametrize("shpc", ["on", "off"])
def test_a_stream_alone_tells_whether_there_is_a_hotplug_controller(shpc):
    built = machine("7.2.22", arguments(f"pci-bridge,chassis_nr=1,shpc={shpc}"))
    bridge = next(one for (name, _), one in devices(built).items() if name.endswith("pci_bridge"))
    assert bool(capability(bridge.pci.config, SHPC_ID)) == (shpc == "on")
    assert save(configuration("7.2.22", arguments(f"pci-bridge,chassis_nr=1,shpc={shpc}")))
