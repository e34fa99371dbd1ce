"""USB controllers: ports, companions, and how QEMU refuses them."""

from __future__ import annotations

import pytest

from tests.support.sections import PSERIES, devices, machine
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration

RELEASES = ["5.2.0", "7.2.22", "10.0.13", "11.1.3"]


def arguments(*plugged):
    return [*PSERIES, *(part for device in plugged for part in ("-device", device))]


def controllers(*plugged):
    made = devices(machine("7.2.22", arguments(*plugged)))
    return [one for (name, _), one in made.items() if name.endswith(("/ehci", "/uhci"))]


def test_a_device_in_a_port_with_a_companion_is_in_the_companions_port():
    """Checked against QEMU 5.2 and 10.0."""
    plugged = ("usb-kbd,bus=u.0", "usb-mouse,bus=u.0,port=3", "usb-tablet,bus=u.0,port=6")
    companions = [f"ich9-usb-uhci{n + 1},masterbus=u.0,firstport={2 * n}" for n in range(2)]
    for order in ((*companions, *plugged), (*plugged, *companions)):
        ehci, *uhci = controllers("ich9-usb-ehci1,id=u", *order)
        assert ehci.portsc == [0x3000, 0x3000, 0x3000, 0x3000, 0x1000, 0x1003]
        assert ehci.usbsts == 0x1004
        assert [[port.ctrl for port in one.ports] for one in uhci] == [[0x83, 0x80], [0x83, 0x80]]


def test_a_controller_whose_devices_are_all_in_companions_ports_has_seen_no_change():
    companion = "ich9-usb-uhci1,masterbus=u.0"
    ehci, _ = controllers("ich9-usb-ehci1,id=u", companion, "usb-kbd,bus=u.0")
    assert ehci.usbsts == 0x1000


def test_a_companion_provides_no_bus():
    line = arguments("ich9-usb-ehci1,id=u", "ich9-usb-uhci1,id=c,masterbus=u.0", "usb-kbd,bus=c.0")
    assert build(configuration("7.2.22", line)).messages[-1].endswith(": Bus 'c.0' not found")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("plugged", "line"),
    [
        (["ich9-usb-uhci1,masterbus=x.0"], "USB bus 'x.0' not found"),
        (
            ["ich9-usb-ehci1,id=u", "ich9-usb-uhci1,masterbus=u.0,firstport=5"],
            "firstport must be between 0 and 4",
        ),
        (
            ["ich9-usb-ehci2,id=u", *(f"ich9-usb-uhci2,masterbus=u.0,firstport={n}" for n in (0, 1))],
            "firstport 1 asks for ports 1-2, but port 1 has a companion assigned already",
        ),
        (
            ["usb-ehci,id=u", "ich9-usb-uhci1,masterbus=u.0"],
            "Can't use USB bus 'u.0' as masterbus, it doesn't support companion controllers",
        ),
        (["piix3-usb-uhci", "usb-kbd,port=3"], "usb port 3 (bus usb-bus.0) not found (in use?)"),
        (
            ["qemu-xhci,id=u", "usb-kbd", "usb-mouse,port=1"],
            "usb port 1 (bus u.0) not found (in use?)",
        ),
    ],
)
def test_a_controller_or_a_port_is_refused_in_qemus_words(release, plugged, line):
    """Checked against QEMU 5.2, 7.2, 10.0 and 11.1."""
    start = build(configuration(release, arguments(*plugged)))
    assert start.machine is None
    assert start.messages[-1] == f"-device {plugged[-1]}: {line}"
