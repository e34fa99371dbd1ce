"""``ehci``: USB 2 host controllers (hw/usb/hcd-ehci.c, hw/usb/hcd-ehci-pci.c)."""

from __future__ import annotations

from functools import partial

from vmstate.dataclass import replace
from vmstate.describe import History, Struct, Timer, UInt32, UInt64, VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property, not_modelled
from vmstate.pseries.board.usb import CONTROLLER, UsbController
from vmstate.pseries.devices.pci.config_space import Bar, PciId, with_options
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

PORTS = 6
INACTIVE = 1000  # of both schedules
NEVER = 0xFFFFFFFFFFFFFFFF
#: Eight microframes between interrupts; halted; a change of a port was seen.
INTERRUPT_RATE, HALTED, PORT_CHANGE = 8 << 16, 0x1000, 4
POWERED, TAKEN, COMPANION = 0x1000, 3, 0x2000


def pre_save(ehci: Ehci) -> None:
    """Round the frame index down to whole frames, as older controllers counted."""
    whole = ehci.frindex & ~7
    ehci.last_run_ns -= (ehci.frindex - whole) * 125000
    ehci.frindex = whole


EHCI_CORE = VMStateDescription(
    "ehci-core",
    version_id=2,
    minimum_version_id=1,
    pre_save=pre_save,
    fields=[
        UInt32("usbcmd"),
        UInt32("usbsts"),
        UInt32("usbsts_pending", version_id=2),
        UInt32("usbsts_frindex", version_id=2),
        *(UInt32(name) for name in ("usbintr", "frindex", "ctrldssegment", "periodiclistbase")),
        *(UInt32(name) for name in ("asynclistaddr", "configflag")),
        *(UInt32(f"portsc[{number}]", attr="portsc", index=number) for number in range(PORTS)),
        Timer("frame_timer"),
        UInt64("last_run_ns"),
        *(UInt32(name) for name in ("async_stepdown", "astate", "pstate", "a_fetch_addr", "p_fetch_addr")),
    ],
)

EHCI = VMStateDescription(
    "ehci",
    version_id=2,
    minimum_version_id=1,
    fields=[Pci("pcidev"), Struct("ehci", EHCI_CORE, 2, attr=".")],
)

#: Device number, revision, and True if it can have companions, by driver.
MODELS = {
    "usb-ehci": (0x24CD, 0x10, False),
    "ich9-usb-ehci1": (0x293A, 3, True),
    "ich9-usb-ehci2": (0x293C, 3, True),
}
#: The release of USB, the length of a frame, and the handover from firmware.
_REGISTERS = ((0x60, 0x20), (0x61, 0x20), (0x68, 0x01), (0x6F, 0xC0))


class Ehci(UsbController):
    """A controller that the guest has not started; slow devices in its ports belong to companions."""

    description = EHCI
    resets_devices = True

    def __init__(self, machine: Machine, identity: PciId) -> None:
        super().__init__(machine, PORTS)
        self.pci = PciState(self, identity)
        self.usbcmd, self.usbsts = INTERRUPT_RATE, HALTED
        self.usbsts_pending = self.usbsts_frindex = self.usbintr = self.frindex = 0
        self.ctrldssegment = self.periodiclistbase = self.asynclistaddr = self.configflag = 0
        self.portsc = [POWERED] * PORTS
        self.frame_timer = NEVER
        self.last_run_ns = self.async_stepdown = self.a_fetch_addr = self.p_fetch_addr = 0
        self.astate = self.pstate = INACTIVE
        self._companions: dict[int, tuple[UsbController, int]] = {}

    def occupy(self, number: int) -> None:
        """Record that a device is in a port: of the companion that it belongs to, or of its own."""
        companion = self._companions.get(number)
        if companion is not None:
            companion[0].occupy(companion[1])
            return
        self.portsc[number - 1] |= TAKEN
        self.usbsts |= PORT_CHANGE

    def add_companion(self, companion: UsbController, first: int) -> None:
        """Give the ports from ``first`` on, counted from 0, to a companion, with the devices in them."""
        for number in range(1, companion.count + 1):
            self._companions[first + number] = companion, number
            self.portsc[first + number - 1] = POWERED | COMPANION
        self.usbsts = HALTED
        for number in self.taken:
            self.occupy(number)


_REGION = History("child<qemu:memory-region>", ("6.0", "child<memory-region>"))


def _frames(value: str) -> bool:
    return 8 <= int(value, 0) <= 512


def _properties(name: str) -> tuple[Property, ...]:
    what = "how much of a running guest's schedule is done at once"
    regions = ("capabilities[0]", "ehci[0]", "operational[0]", "ports[0]")
    return (
        Property(name, "maxframes", "128", "uint32", Effect.HARMLESS, what, values=_frames),
        *(replace(not_modelled(name, region, _REGION), listed=False) for region in regions),
    )


def _ports(machine: Machine, option: DeviceOption | None) -> int:
    del machine, option
    return PORTS


def _plug(name: str, board: Board, option: DeviceOption | None) -> None:
    device, revision, _ = MODELS[name]
    shown = PciId(
        0x8086, device, 0x0C0320, revision, interrupt_pin=4, bars=(Bar(0, 0x1000),), extra=_REGISTERS
    )
    shown, _ = with_options(shown, board.machine, option, name)
    board.plug_usb_controller(Ehci(board.machine, shown), name, option)


DRIVERS = tuple(
    Driver(
        name,
        partial(_plug, name),
        behind=CONTROLLER,
        usb_ports=_ports,
        properties=_properties(name),
        hotpluggable=not companions,
        examples=(f"-device {name}",),
    )
    for name, (_, _, companions) in MODELS.items()
)
