"""``ohci``: a USB 1 host controller, the default one of machine types up to 2.5 (hw/usb/hcd-ohci*.c)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vmstate.describe import (
    Bool,
    Int32,
    Int64,
    Record,
    Struct,
    Timer,
    UInt8,
    UInt16,
    UInt32,
    VMStateDescription,
    WireArray,
)
from vmstate.describe.arrays import zeros
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.board.usb import CONTROLLER, UsbController
from vmstate.pseries.devices.pci.config_space import Bar, PciId, with_options
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

MAX_PORTS = 15
POWERED_PORTS = 3
BUFFER = 8192
ROOT_HUB_CHANGED = 0x40
PORT_TAKEN = 0x10001  # a device is connected, and the guest has not seen the change

IDENTITY = PciId(0x106B, 0x003F, 0x0C0310, bars=(Bar(0, 256),))
NAME = "pci-ohci"
NO_POWER_SWITCHING = 0x200

#: After a reset: only the master interrupt enable, and the frame's length.
RESET = {
    "intr": 0x80000000,
    "done_count": 7,
    "fsmps": 0x2778,
    "fi": 0x2EDF,
    "lst": 0x628,
}


def counting_frames(ohci: Record) -> bool:
    """The controller has been started."""
    return bool(ohci.eof_timer is not None)


OHCI_PORT = VMStateDescription("ohci-core/port", version_id=1, minimum_version_id=1, fields=[UInt32("ctrl")])

EOF_TIMER = VMStateDescription(
    "ohci-core/eof-timer",
    version_id=1,
    minimum_version_id=1,
    needed=counting_frames,
    fields=[Timer("eof_timer")],
)

OHCI_CORE = VMStateDescription(
    "ohci-core",
    version_id=1,
    minimum_version_id=1,
    fields=[
        Int64("sof_time"),
        *(UInt32(name) for name in ("ctl", "status", "intr_status", "intr", "hcca", "ctrl_head", "ctrl_cur")),
        *(UInt32(name) for name in ("bulk_head", "bulk_cur", "per_cur", "done")),
        Int32("done_count"),
        UInt16("fsmps"),
        UInt8("fit"),
        UInt16("fi"),
        UInt8("frt"),
        UInt16("frame_number"),
        UInt16("padding"),
        *(UInt32(name) for name in ("pstart", "lst", "rhdesc_a", "rhdesc_b", "rhstatus")),
        Struct("rhport", OHCI_PORT)[MAX_PORTS],
        *(UInt32(name) for name in ("hstatus", "hmask", "hreset", "htest", "old_ctl")),
        UInt8("usb_buf")[BUFFER],
        UInt32("async_td"),
        Bool("async_complete"),
    ],
    subsections=[EOF_TIMER],
)

OHCI = VMStateDescription(
    "ohci",
    version_id=1,
    minimum_version_id=1,
    fields=[Pci("parent_obj"), Struct("state", OHCI_CORE, 1)],
)


@lru_cache(maxsize=1)
def _reset_registers() -> dict[str, Any]:
    numbers: dict[str, Any] = {str(field.attr): 0 for field in OHCI_CORE.fields}
    return numbers | RESET | {"usb_buf": WireArray("B", zeros(BUFFER)), "eof_timer": None}


class Ohci(UsbController):
    """A controller that the guest has not started.  It resets each device that is plugged in."""

    description = OHCI
    resets_devices = True

    def __init__(self, machine: Machine, ports: int = POWERED_PORTS, identity: PciId = IDENTITY) -> None:
        super().__init__(machine, ports)
        self.pci = PciState(self, identity)
        self.state = Record(**_reset_registers() | {"rhport": [Record(ctrl=0) for _ in range(MAX_PORTS)]})
        self.state.rhdesc_a = NO_POWER_SWITCHING | ports

    def occupy(self, number: int) -> None:
        """Record that a device is in a port."""
        self.state.rhport[number - 1].ctrl = PORT_TAKEN
        self.state.intr_status |= ROOT_HUB_CHANGED


NUM_PORTS = Property(NAME, "num-ports", "3", "uint32")
PROPERTIES = (
    NUM_PORTS,
    not_modelled(NAME, "masterbus", "str"),
    *harmless(NAME, "uint32", "only with a masterbus, which we do not model", "firstport"),
)


def check(machine: Machine, option: DeviceOption) -> None:
    """Check the number of ports, at most 15 (``usb_ohci_init``)."""
    ports = NUM_PORTS.number(machine, option)
    if ports > MAX_PORTS:
        line = f"OHCI num-ports={ports} is too big (limit is {MAX_PORTS} ports)"
        raise Refused(f"{option.text}: {line}")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a controller."""
    machine = board.machine
    identity, _ = with_options(IDENTITY, machine, option, NAME)
    board.plug_usb_controller(Ohci(machine, NUM_PORTS.number(machine, option), identity), NAME, option)


DRIVERS = (
    Driver(
        NAME,
        plug,
        check=check,
        properties=PROPERTIES,
        behind=CONTROLLER,
        usb_ports=NUM_PORTS.number,
        hotpluggable=False,
        examples=("-device pci-ohci",),
    ),
)
