"""``xhci``: USB 3 host controllers, ``nec-usb-xhci`` and ``qemu-xhci`` (hw/usb/hcd-xhci*.c)."""

from __future__ import annotations

import struct
from functools import cache, lru_cache, partial

from vmstate.dataclass import dataclass, replace
from vmstate.describe import (
    Bool,
    History,
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
from vmstate.describe.history import ALWAYS, Span
from vmstate.handwritten.pci_walk import EXPRESS
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.board.usb import CONTROLLER, UsbController
from vmstate.pseries.devices.pci.config_space import (
    BAR_MEMORY_64,
    Bar,
    PciId,
    msi,
    msix,
    with_options,
)
from vmstate.pseries.devices.pci.pci_device import MSIX, MsixTable, Pci, PciState
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

SPLIT = "5.2"  # from here on the controller is a separate structure inside the PCI device
EVENT_QUEUE = (3 * 24 + 16) * 64
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

#: From here on, a vector that does not exist ends QEMU.
VECTORS_CHECKED = "7.2"


def post_load(controller: Xhci, version_id: int) -> int:
    """Without MSI-X there is no vector to free (xhci_pci_vmstate_post_load, msix_vector_unuse)."""
    if not controller.msix.msix_size:
        raise controller.machine.ends("msix_vector_unuse: Assertion `vector < dev->msix_entries_nr' failed.")
    return 0


XHCI = VMStateDescription(
    "xhci",
    version_id=1,
    post_load=History(None, (VECTORS_CHECKED, post_load)),
    fields=[
        Pci("parent_obj", express=True),
        Struct("parent_obj", MSIX, attr="msix"),
        *(Until(SPLIT, field) for field in _CORE_FIELDS),
        Since(SPLIT, Struct("xhci", XHCI_CORE, 1, attr=".")),
    ],
)


@dataclass(frozen=True)
class XhciModel:
    """A controller model; ``msi``: the default of that property."""

    name: str
    identity: PciId
    msi: str


NEC = XhciModel(
    "nec-usb-xhci",
    PciId(
        0x1033,
        0x0194,
        0x0C0330,
        revision=3,
        bars=(Bar(0, 0x4000, BAR_MEMORY_64),),
        size=EXPRESS,
        extra=((0x60, 0x30),),
        cache_line=0x10,
    ),
    "auto",
)


QEMU = XhciModel(
    "qemu-xhci",
    PciId(
        0x1B36,
        0x000D,
        0x0C0330,
        revision=1,
        bars=(Bar(0, 0x4000, BAR_MEMORY_64),),
        size=EXPRESS,
        extra=((0x60, 0x30),),
        cache_line=0x10,
    ),
    "off",
)


@dataclass(frozen=True, slots=True)
class XhciShape:
    """The numbers of USB 2 ports, USB 3 ports, slots and interrupters, and the kinds of interrupts.

    ``fast_first``: the ports of USB 3 come first.
    """

    slow_ports: int = 4
    fast_ports: int = 4
    slots: int = SLOTS
    interrupters: int = VECTORS
    msi: bool = True
    msix: bool = True
    fast_first: bool = True


@lru_cache(maxsize=16)
def identity(model: XhciModel, shape: XhciShape) -> PciId:
    """Return the controller with its capabilities."""
    found = []
    if shape.msi:
        found.append(msi(0x70, 0x0080 | (shape.interrupters.bit_length() - 1) << 1))
    if shape.msix:
        found.append(msix(0x90, shape.interrupters, 0x3000, 0x3800))
    return replace(model.identity, capabilities=tuple(found))


class Xhci(UsbController):
    """A controller that the guest has not started.  Slow devices use the USB 2 ports."""

    description = XHCI
    resets_devices = False
    numports, numslots, numintrs = 8, SLOTS, VECTORS

    def __init__(self, machine: Machine, shape: XhciShape, identity: PciId) -> None:
        super().__init__(machine, max(shape.slow_ports, shape.fast_ports), shape.slow_ports)
        self.first = shape.fast_ports if shape.fast_first else 0
        self.pci = PciState(self, identity)
        self.msix = MsixTable(shape.interrupters if shape.msix else 0)
        self.numports = shape.slow_ports + shape.fast_ports
        self.numslots, self.numintrs = shape.slots, shape.interrupters
        of_ports, of_slots = _layouts()
        self.ports = WireRecords(*of_ports, PORT_EMPTY.to_bytes(4, "big") * self.numports)
        self.slots = WireRecords(*of_slots, zeros(self.numslots * 2))
        self.intr = [_idle_interrupter() for _ in range(self.numintrs)]
        self.usbcmd = self.dnctrl = self.config = 0
        self.usbsts = HALTED
        self.crcr_low = self.crcr_high = self.dcbaap_low = self.dcbaap_high = 0
        self.mfindex_start = 0
        self.mfwrap_timer = NEVER
        self.cmd_ring = Record(dequeue=0, ccs=False)

    def occupy(self, number: int) -> None:
        """Record that a slow device is in a port of the bus, which is one USB 2 port and one USB 3 port."""
        self.ports[self.first + number - 1].portsc = PORT_TAKEN


@cache
def _layouts() -> tuple[tuple[tuple[str, ...], struct.Struct], ...]:
    return _layout(PORT), _layout(SLOT)


def _layout(vmsd: VMStateDescription) -> tuple[tuple[str, ...], struct.Struct]:
    layout = plan_of(vmsd).layout(1)
    assert layout is not None
    return layout


def _idle_interrupter() -> Record:
    zero = dict.fromkeys(("iman", "imod", "erstsz", "erstba_low", "erstba_high", "erdp_low", "erdp_high"), 0)
    flags = {"msix_used": False, "er_pcs": True, "er_full_unused": False}
    return Record(**zero, **flags, er_start=0, er_size=0, er_ep_idx=0)


ENDPOINT = "force-pcie-endcap"
SPLIT_SPAN = Span(SPLIT)
MOST_PORTS, MOST_SLOTS, MOST_INTERRUPTERS = 15, 64, 16
FAST_FIRST = Property(NEC.name, "superspeed-ports-first", "on", "bool")
INTRS = Property(NEC.name, "intrs", "16", "uint32")
SLOTS_PROPERTY = Property(NEC.name, "slots", "64", "uint32")
_TOO_LATE = "since the split it is read before it is set"
MESSAGES_OF_ALL = "10.0"  # from here on both controllers have the properties msi and msix


def _ports(model: XhciModel) -> tuple[Property, Property]:
    return Property(model.name, "p2", "4", "uint32"), Property(model.name, "p3", "4", "uint32")


def _messages(model: XhciModel) -> tuple[Property, Property]:
    span = ALWAYS if model is NEC else Span(MESSAGES_OF_ALL)
    return (
        Property(model.name, "msi", model.msi, "OnOffAuto", span=span),
        Property(model.name, "msix", "auto", "OnOffAuto", span=span),
    )


def _properties(model: XhciModel) -> tuple[Property, ...]:
    name, mapping = model.name, "which interrupter a running controller uses"
    return (
        *_ports(model),
        *_messages(model),
        *harmless(name, "bool", "what the controller says of itself to a guest", "streams"),
        *harmless(name, "bool", mapping, "conditional-intr-mapping", span=Span("10.0")),
        not_modelled(name, "host", "link<device>", span=Span(SPLIT)),
        not_modelled(name, "xhci-core", "child<base-xhci>", span=Span(SPLIT)),
    )


def shape_of(model: XhciModel, machine: Machine, option: DeviceOption | None) -> XhciShape:
    """Return the controller with its properties (usb_xhci_realize); numbers that are too large are cut."""
    slow, fast = (min(one.number(machine, option), MOST_PORTS) for one in _ports(model))
    messages = [one.text(machine, option) != "off" for one in _messages(model)]
    if model is not NEC or SPLIT_SPAN.covers(machine.release):
        return XhciShape(slow, fast, msi=messages[0], msix=messages[1])
    interrupters = max(min(INTRS.number(machine, option), MOST_INTERRUPTERS), 1)
    slots = max(min(SLOTS_PROPERTY.number(machine, option), MOST_SLOTS), 1)
    first = FAST_FIRST.flag(machine, option)
    return XhciShape(slow, fast, slots, 1 << (interrupters - 1).bit_length(), messages[0], messages[1], first)


def _bus_ports(model: XhciModel, machine: Machine, option: DeviceOption | None) -> int:
    shape = shape_of(model, machine, option)
    return max(shape.slow_ports, shape.fast_ports)


def _plug(model: XhciModel, board: Board, option: DeviceOption | None) -> None:
    machine = board.machine
    shape = shape_of(model, machine, option)
    shown, _ = with_options(identity(model, shape), machine, option, model.name)
    board.plug_usb_controller(Xhci(machine, shape, shown), model.name, option)


def plug_nec(board: Board, option: DeviceOption | None) -> None:
    """Plug a ``nec-usb-xhci``, the default controller."""
    _plug(NEC, board, option)


def plug_qemu(board: Board, option: DeviceOption | None) -> None:
    """Plug a ``qemu-xhci``."""
    _plug(QEMU, board, option)


DRIVERS = (
    Driver(
        NEC.name,
        plug_nec,
        properties=(
            *_properties(NEC),
            *(replace(one, span=Span(until=SPLIT)) for one in (INTRS, SLOTS_PROPERTY, FAST_FIRST)),
            *harmless(NEC.name, "uint32", _TOO_LATE, "intrs", "slots", span=SPLIT_SPAN),
            *harmless(NEC.name, "bool", _TOO_LATE, FAST_FIRST.name, ENDPOINT, span=Span(SPLIT, "9.1")),
            not_modelled(NEC.name, ENDPOINT, "bool", "off", Span(until=SPLIT)),
        ),
        behind=CONTROLLER,
        usb_ports=partial(_bus_ports, NEC),
        examples=("-device nec-usb-xhci",),
    ),
    Driver(
        QEMU.name,
        plug_qemu,
        Span("2.10"),
        properties=_properties(QEMU),
        behind=CONTROLLER,
        usb_ports=partial(_bus_ports, QEMU),
        examples=("-device qemu-xhci",),
    ),
)
