"""``uhci``: USB 1 host controllers, alone or as companions of a USB 2 controller (hw/usb/hcd-uhci.c)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vmstate.dataclass import dataclass, replace
from vmstate.describe import (
    Int64,
    Record,
    Struct,
    Timer,
    UInt8,
    UInt8Equal,
    UInt16,
    UInt32,
    VMStateDescription,
)
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless
from vmstate.pseries.board.usb import CONTROLLER, USB, UsbBus, UsbController
from vmstate.pseries.devices.pci.config_space import BAR_IO, Bar, PciId, with_options
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.devices.usb import ehci
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

PORTS = 2
HALTED, FRAME_LENGTH = 0x20, 64
NEVER = 0xFFFFFFFFFFFFFFFF
PORT_EMPTY, PORT_TAKEN = 0x80, 3  # a device is connected, the change not yet seen

UHCI_PORT = VMStateDescription("uhci port", version_id=1, minimum_version_id=1, fields=[UInt16("ctrl")])

UHCI = VMStateDescription(
    "uhci",
    version_id=3,
    minimum_version_id=1,
    fields=[
        Pci("dev"),
        UInt8Equal("num_ports_vmstate"),
        Struct("ports", UHCI_PORT, 1)[PORTS],
        *(UInt16(name) for name in ("cmd", "status", "intr", "frnum")),
        UInt32("fl_base_addr"),
        UInt8("sof_timing"),
        UInt8("status2"),
        Timer("frame_timer"),
        Int64("expire_time", version_id=2),
        UInt32("pending_int_mask", version_id=3),
    ],
)


@dataclass(frozen=True)
class UhciModel:
    """A model: device number, revision, interrupt pin, and True if it can be a companion."""

    device: int
    revision: int
    pin: int
    companion: bool


MODELS = {
    "piix3-usb-uhci": UhciModel(0x7020, 1, 4, companion=False),
    "piix4-usb-uhci": UhciModel(0x7112, 1, 4, companion=False),
    **{
        f"ich9-usb-uhci{number + 1}": UhciModel(0x2934 + number, 3, number % 3 + 1, companion=True)
        for number in range(6)
    },
}


class Uhci(UsbController):
    """A controller that the guest has not started."""

    description = UHCI
    resets_devices = True

    def __init__(self, machine: Machine, identity: PciId) -> None:
        super().__init__(machine, PORTS)
        self.pci = PciState(self, identity)
        self.num_ports_vmstate = PORTS
        self.ports = [Record(ctrl=PORT_EMPTY) for _ in range(PORTS)]
        self.cmd = self.intr = self.frnum = self.fl_base_addr = self.status2 = 0
        self.status, self.sof_timing = HALTED, FRAME_LENGTH
        self.frame_timer = NEVER
        self.expire_time = self.pending_int_mask = 0

    def occupy(self, number: int) -> None:
        """Record that a device is in a port."""
        self.ports[number - 1].ctrl |= PORT_TAKEN


MASTERBUS = Property("uhci", "masterbus", by_global=False)
FIRSTPORT = Property("uhci", "firstport", "0", "uint32", by_global=False)


def _properties(name: str) -> tuple[Property, ...]:
    what = "how much of a running guest's schedule is done at once"
    own = (replace(MASTERBUS, owner=name), replace(FIRSTPORT, owner=name)) if MODELS[name].companion else ()
    return (*own, *harmless(name, "uint32", what, "bandwidth", "maxframes"))


def check(machine: Machine, option: DeviceOption) -> None:
    """Check the ports that a companion takes (``usb_register_companion``, ``ehci_register_companion``)."""
    bus = option.get(MASTERBUS.name)
    if bus is None:
        return
    earlier = machine.earlier(option)
    _check_master(bus, option, earlier)
    first, last = FIRSTPORT.number(machine, option), ehci.PORTS - PORTS
    if first > last:
        raise Refused(f"{option.text}: firstport must be between 0 and {last}")
    used = {
        FIRSTPORT.number(machine, other) + port
        for other in earlier
        if other.driver in MODELS and other.get(MASTERBUS.name) == bus
        for port in range(PORTS)
    }
    taken = next((port for port in (first, first + 1) if port in used), None)
    if taken is not None:
        asks = f"firstport {first} asks for ports {first}-{first + PORTS - 1}"
        raise Refused(f"{option.text}: {asks}, but port {taken} has a companion assigned already")


def _check_master(bus: str, option: DeviceOption, before: Sequence[DeviceOption]) -> None:
    """Check that the controller of a bus takes companions.  Raises NotModelled if it is not known."""
    master = next((other for other in before if f"{other.id}.0" == bus), None)
    if master is None and not bus.startswith(f"{USB}."):
        raise Refused(f"{option.text}: USB bus '{bus}' not found")
    if master is None or master.driver not in ehci.MODELS:
        raise NotModelled(f"{option.text}: masterbus={bus} is not modelled")
    if not ehci.MODELS[master.driver][2]:
        line = f"Can't use USB bus '{bus}' as masterbus, it doesn't support companion controllers"
        raise Refused(f"{option.text}: {line}")


BUS = replace(CONTROLLER, unless=MASTERBUS.name)


def _ports(machine: Machine, option: DeviceOption | None) -> int:
    del machine, option
    return PORTS


def _plug(name: str, board: Board, option: DeviceOption | None) -> None:
    model, machine = MODELS[name], board.machine
    shown = PciId(
        *(0x8086, model.device, 0x0C0300, model.revision),
        interrupt_pin=model.pin,
        bars=(Bar(4, 0x20, BAR_IO),),
        extra=((0x60, 0x10), (0x6A, 0x01)),
    )
    shown, _ = with_options(shown, machine, option, name)
    controller = Uhci(machine, shown)
    master = None if option is None else option.get(MASTERBUS.name)
    if option is None or master is None:
        board.plug_usb_controller(controller, name, option)
        return
    board.plug_pci(controller, name, option)
    bus = board.buses.named(master)
    if not isinstance(bus, UsbBus) or not isinstance(bus.controller, ehci.Ehci):
        raise NotModelled(f"{option.text}: masterbus={master} is not modelled")
    bus.controller.add_companion(controller, FIRSTPORT.number(machine, option))


DRIVERS = tuple(
    Driver(
        name,
        partial(_plug, name),
        behind=BUS if model.companion else CONTROLLER,
        usb_ports=_ports,
        check=check,
        properties=_properties(name),
        hotpluggable=not model.companion,
        examples=(f"-device {name}",),
    )
    for name, model in MODELS.items()
)
