"""The buses of a machine: their names, which one QEMU finds, how it refuses a device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sections import PSERIES
from vmstate.pseries.board.buses import Behind, Buses
from vmstate.pseries.options import DeviceOption, Opt
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration

KINDS = ("PCI", "SCSI", "usb-bus")


def option(name):
    return DeviceOption("any", () if name is None else (Opt("id", name),), "-device any")


def refusal(*devices, release="7.2.22"):
    args = [part for device in devices for part in ("-device", device)]
    return build(configuration(release, [*PSERIES, *args])).messages


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from((None, "a", "b")), st.integers(0, 9))))
def test_no_bus_of_the_type_is_behind_a_newer_device_than_the_one_found(made):
    """A search goes depth first, and from the newest device to the oldest."""
    buses, known = Buses(), []
    for kind, name, place in made:
        on = known[place % len(known)] if known and place < 5 else None
        known.append(buses.add(Behind(kind), option(name), on))
    for kind in KINDS:
        found = buses.find(kind)
        same = [bus for bus in known if bus.kind == kind]
        assert (found is None) == (not same)
        siblings = next((bus.inner for bus in known if found in bus.inner), [])
        newer = siblings[siblings.index(found) + 1 :] if siblings else []
        assert all(bus.kind != kind for one in newer for bus in one.below())


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans())))
def test_buses_of_devices_without_an_id_are_numbered_by_type(made):
    buses, numbers = Buses(), dict.fromkeys(KINDS, 0)
    for kind, named in made:
        bus = buses.add(Behind(kind), option("x" if named else None))
        assert bus.name == ("x.0" if named else f"{kind.lower()}.{numbers[kind]}")
        numbers[kind] += not named


@pytest.mark.parametrize("release", ["5.2.0", "7.2.22", "10.0.13", "11.1.3"])
@pytest.mark.parametrize(
    ("devices", "line"),
    [
        (["usb-kbd"], "usb-kbd: No 'usb-bus' bus found for device 'usb-kbd'"),
        (["e1000,bus=pci.7"], "e1000,bus=pci.7: Bus 'pci.7' not found"),
        (["usb-kbd,bus=pci.0"], "usb-kbd,bus=pci.0: Device 'usb-kbd' can't go on PCI bus"),
        (["e1000,bus=spapr-vio"], "e1000,bus=spapr-vio: Device 'e1000' can't go on spapr-vio-bus bus"),
        (["qemu-xhci", "e1000,bus=usb-bus.0"], "e1000,bus=usb-bus.0: Device 'e1000' can't go on usb-bus bus"),
        (["pci-ohci,id=u", "usb-kbd,bus=usb-bus.0"], "usb-kbd,bus=usb-bus.0: Bus 'usb-bus.0' not found"),
    ],
)
def test_a_device_without_a_bus_of_its_type_is_refused(release, devices, line):
    """Checked against QEMU 5.2, 7.2, 10.0 and 11.1."""
    assert refusal(*devices, release=release)[-1] == f"-device {line}"
