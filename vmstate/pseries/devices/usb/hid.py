"""USB input devices: keyboard, mouse, tablet (hw/usb/dev-hid.c, hw/usb/bus.c, hw/input/hid.c)."""

from __future__ import annotations

from vmstate.describe import (
    History,
    Int32,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    VMStateDescription,
    WireArray,
    WireRecords,
    plan_of,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.diagnostics import EINVAL
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.board.usb import UsbDevice
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

ATTACHED, DEFAULT = 1, 3
REPORT_PROTOCOL = 1
DATA_SIZE = 4096
QUEUE_LENGTH = 16


def usb_post_load(usb: UsbHid, version_id: int) -> int:
    """Refuse a control transfer that does not fit its buffer, up to 3.1 (usb_device_post_load)."""
    fits = 0 <= usb.setup_index <= usb.setup_len <= DATA_SIZE
    return 0 if fits else -EINVAL


USB_DEVICE = VMStateDescription(
    "USBDevice",
    version_id=1,
    minimum_version_id=1,
    post_load=History(usb_post_load, ("4.0", None)),
    fields=[
        UInt8("addr"),
        *(Int32(name) for name in ("state", "remote_wakeup", "setup_state", "setup_len", "setup_index")),
        UInt8("setup_buf")[8],
    ],
)

POINTER_EVENT = VMStateDescription(
    "HIDPointerEventQueue",
    version_id=1,
    minimum_version_id=1,
    fields=[Int32("xdx"), Int32("ydy"), Int32("dz"), Int32("buttons_state")],
)

POINTER = VMStateDescription(
    "HIDPointerDevice",
    version_id=1,
    minimum_version_id=1,
    fields=[
        Struct("ptr.queue", POINTER_EVENT)[QUEUE_LENGTH],
        UInt32("head"),
        UInt32("n"),
        Int32("protocol"),
        UInt8("idle"),
    ],
)

KEYBOARD = VMStateDescription(
    "HIDKeyboardDevice",
    version_id=1,
    minimum_version_id=1,
    fields=[
        UInt32("kbd.keycodes")[QUEUE_LENGTH],
        UInt32("head"),
        UInt32("n"),
        UInt16("kbd.modifiers"),
        UInt8("kbd.leds"),
        UInt8("kbd.key")[16],
        Int32("kbd.keys"),
        Int32("protocol"),
        UInt8("idle"),
    ],
)

USB_KBD = VMStateDescription(
    "usb-kbd",
    version_id=1,
    minimum_version_id=1,
    fields=[Struct("dev", USB_DEVICE, attr="."), Struct("hid", KEYBOARD, attr=".")],
)

USB_PTR = VMStateDescription(
    "usb-ptr",
    version_id=1,
    minimum_version_id=1,
    fields=[Struct("dev", USB_DEVICE, attr="."), Struct("hid", POINTER, attr=".")],
)


class UsbHid(UsbDevice):
    """A device in its port, without an address from the guest."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.addr = 0
        self.state = ATTACHED
        self.remote_wakeup = self.setup_state = self.setup_len = self.setup_index = 0
        self.setup_buf = WireArray("B", zeros(8))
        self.head = self.n = 0
        self.protocol = 0
        self.idle = 0

    def reset(self) -> None:
        """Handle a reset over the bus, which some controllers do at once."""
        self.state = DEFAULT
        self.protocol = REPORT_PROTOCOL


class UsbKeyboard(UsbHid):
    """A keyboard without a pressed key."""

    description = USB_KBD

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.keycodes = WireArray.filled("I", QUEUE_LENGTH)
        self.modifiers = self.leds = self.keys = 0
        self.key = WireArray("B", zeros(16))


class UsbPointer(UsbHid):
    """A mouse or a tablet that has not moved."""

    description = USB_PTR

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        layout = plan_of(POINTER_EVENT).layout(1)
        assert layout is not None
        names, item = layout
        self.queue = WireRecords(names, item, zeros(QUEUE_LENGTH * item.size))


def plug_keyboard(board: Board, option: DeviceOption | None) -> None:
    """Plug a keyboard."""
    board.plug_usb(UsbKeyboard(board.machine), "usb-kbd", option)


def plug_mouse(board: Board, option: DeviceOption | None) -> None:
    """Plug a mouse."""
    board.plug_usb(UsbPointer(board.machine), "usb-mouse", option)


def plug_tablet(board: Board, option: DeviceOption | None) -> None:
    """Plug a tablet."""
    board.plug_usb(UsbPointer(board.machine), "usb-tablet", option)


def _properties(name: str) -> tuple[Property, ...]:
    return (not_modelled(name, "usb_version", "uint32", "2"),)


def _display(name: str) -> tuple[Property, ...]:
    return harmless(name, "str", "where the host's events come from", "display")


DRIVERS = (
    Driver(
        "usb-kbd",
        plug_keyboard,
        bus="usb-bus",
        properties=(*_properties("usb-kbd"), *_display("usb-kbd")),
        examples=("-device nec-usb-xhci -device usb-kbd",),
    ),
    Driver(
        "usb-mouse",
        plug_mouse,
        bus="usb-bus",
        properties=_properties("usb-mouse"),
        examples=("-device nec-usb-xhci,id=x{0} -device usb-mouse",),
    ),
    Driver(
        "usb-tablet",
        plug_tablet,
        bus="usb-bus",
        properties=(
            *_properties("usb-tablet"),
            *_display("usb-tablet"),
            *harmless("usb-tablet", "uint32", "where the host's events come from", "head"),
        ),
    ),
)
