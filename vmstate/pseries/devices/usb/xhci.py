"""``xhci``: USB 3 host controllers, ``nec-usb-xhci`` and ``qemu-xhci`` (hw/usb/hcd-xhci*.c)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vmstate.describe import (
    Bool,
    Int64,
    Record,
    Since,
    Struct,
    Timer,
    UInt8,
    UInt32,
    UInt64,
    Until,
    VMStateDescription,
    WireRecords,
    plan_of,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.history import Span
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.usb import UsbController
from vmstate.pseries.devices.pci.config_space import BAR_MEMORY_64, EXPRESS, Bar, PciId, msi, msix
from vmstate.pseries.devices.pci.pci_device import MSIX, MsixTable, Pci, PciState
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

SPLIT = "5.2"  # from here on the controller is a separate structure inside the PCI device
EVENT_QUEUE = 6 * 64
SLOTS = 64
VECTORS = 16
NEVER = 0xFFFFFFFFFFFFFFFF
HALTED = 1
PORT_EMPTY = 0x000202A0  # powered, nothing connected
PORT_TAKEN = 0x00020EE1  # powered, a full-speed device connected, the change not yet seen


def er_full(interrupter: Record, version_id: int) -> bool:
    """Never, whatever the preceding flag is: only releases before 2.9 held back events (xhci_er_full)."""
    return False


RING = VMStateDescription("xhci-ring", version_id=1, fields=[UInt64("dequeue"), Bool("ccs")])
PORT = VMStateDescription("xhci-port", version_id=1, fields=[UInt32("portsc")])
SLOT = VMStateDescription("xhci-slot", version_id=1, fields=[Bool("enabled"), Bool("addressed")])
EVENT = VMStateDescription(
    "xhci-event",
    version_id=1,
    fields=[
        UInt32("type"),
        UInt32("ccode"),
        UInt64("ptr"),
        UInt32("length"),
        UInt32("flags"),
        UInt8("slotid"),
        UInt8("epid"),
    ],
)
INTERRUPTER = VMStateDescription(
    "xhci-intr",
    version_id=1,
    fields=[
        *(UInt32(name) for name in ("iman", "imod", "erstsz", "erstba_low", "erstba_high")),
        *(UInt32(name) for name in ("erdp_low", "erdp_high")),
        Bool("msix_used"),
        Bool("er_pcs"),
        UInt64("er_start"),
        UInt32("er_size"),
        UInt32("er_ep_idx"),
        Bool("er_full_unused"),
        UInt32("ev_buffer_put", exists=er_full),
        UInt32("ev_buffer_get", exists=er_full),
        Struct("ev_buffer", EVENT, 1, exists=er_full)[EVENT_QUEUE],
    ],
)

_CORE_FIELDS = (
    Struct("ports", PORT, 1)["numports"],
    Struct("slots", SLOT, 1)["numslots"],
    Struct("intr", INTERRUPTER, 1)["numintrs"],
    *(UInt32(name) for name in ("usbcmd", "usbsts", "dnctrl", "crcr_low", "crcr_high")),
    *(UInt32(name) for name in ("dcbaap_low", "dcbaap_high", "config")),
    Int64("mfindex_start"),
    Timer("mfwrap_timer"),
    Struct("cmd_ring", RING, 1),
)

XHCI_CORE = VMStateDescription("xhci-core", version_id=1, fields=_CORE_FIELDS)

XHCI = VMStateDescription(
    "xhci",
    version_id=1,
    fields=[
        Pci("parent_obj", express=True),
        Struct("parent_obj", MSIX, attr="msix"),
        *(Until(SPLIT, field) for field in _CORE_FIELDS),
        Since(SPLIT, Struct("xhci", XHCI_CORE, 1, attr=".")),
    ],
)


@dataclass(frozen=True)
class XhciModel:
    """A controller model; ``ports``: the number of USB 2 ports, and of USB 3 ports."""

    identity: PciId
    ports: int


NEC = XhciModel(
    PciId(
        0x1033,
        0x0194,
        0x0C0330,
        revision=3,
        bars=(Bar(0, 0x4000, BAR_MEMORY_64),),
        capabilities=(msi(0x70, 0x0088), msix(0x90, VECTORS, 0x3000, 0x3800)),
        size=EXPRESS,
        extra=((0x60, 0x30),),
    ),
    ports=4,
)


QEMU = XhciModel(
    PciId(
        0x1B36,
        0x000D,
        0x0C0330,
        revision=1,
        bars=(Bar(0, 0x4000, BAR_MEMORY_64),),
        capabilities=(msix(0x90, VECTORS, 0x3000, 0x3800),),
        size=EXPRESS,
        extra=((0x60, 0x30),),
    ),
    ports=4,
)


class Xhci(UsbController):
    """A controller that the guest has not started.  USB 3 ports come first; slow devices use the others."""

    description = XHCI
    resets_devices = False
    numports, numslots, numintrs = 8, SLOTS, VECTORS

    def __init__(self, machine: Machine, model: XhciModel = NEC) -> None:
        super().__init__(machine)
        self.used = 0
        self.pci = PciState(self, model.identity)
        self.msix = MsixTable(VECTORS)
        self.numports = 2 * model.ports
        self.ports = WireRecords(*_layout(PORT), PORT_EMPTY.to_bytes(4, "big") * self.numports)
        self.slots = WireRecords(*_layout(SLOT), zeros(SLOTS * 2))
        self.intr = [_idle_interrupter() for _ in range(VECTORS)]
        self.usbcmd = self.dnctrl = self.config = 0
        self.usbsts = HALTED
        self.crcr_low = self.crcr_high = self.dcbaap_low = self.dcbaap_high = 0
        self.mfindex_start = 0
        self.mfwrap_timer = NEVER
        self.cmd_ring = Record(dequeue=0, ccs=False)

    @property
    def room(self) -> int:
        """The number of free ports."""
        return self.numports // 2 - self.used

    def plug(self) -> int:
        """Put a device into the next port; return the port's number, counted from 1."""
        self.ports[self.numports // 2 + self.used].portsc = PORT_TAKEN
        self.used += 1
        return self.used


def _layout(vmsd: VMStateDescription) -> tuple[tuple[str, ...], struct.Struct]:
    layout = plan_of(vmsd).layout(1)
    assert layout is not None
    return layout


def _idle_interrupter() -> Record:
    zero = dict.fromkeys(("iman", "imod", "erstsz", "erstba_low", "erstba_high", "erdp_low", "erdp_high"), 0)
    flags = {"msix_used": False, "er_pcs": True, "er_full_unused": False}
    return Record(**zero, **flags, er_start=0, er_size=0, er_ep_idx=0)


def plug_nec(board: Board, option: DeviceOption | None) -> None:
    """Plug a ``nec-usb-xhci``, the default controller."""
    board.plug_usb_controller(Xhci(board.machine, NEC), "nec-usb-xhci", option)


def plug_qemu(board: Board, option: DeviceOption | None) -> None:
    """Plug a ``qemu-xhci``."""
    board.plug_usb_controller(Xhci(board.machine, QEMU), "qemu-xhci", option)


DRIVERS = (
    Driver("nec-usb-xhci", plug_nec, usb_controller=True, examples=("-device nec-usb-xhci",)),
    Driver("qemu-xhci", plug_qemu, Span("2.10"), usb_controller=True, examples=("-device qemu-xhci",)),
)
