"""``shpc``: the registers of a standard hot-plug controller (hw/pci/shpc.c)."""

from __future__ import annotations

from vmstate.describe import Node
from vmstate.describe.words import BitFields
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, Register, le16, le32, u8

TYPE = "shpc"
_FIRST_SLOT, _SLOT_SIZE, _COUNT = 0x24, 4, 0x0C
_SLOT = BitFields(
    32,
    {
        "state": (0, 2),
        "power_led": (2, 2),
        "attention_led": (4, 2),
        "power_fault": (6, 1),
        "button": (7, 1),
        "mrl_open": (8, 1),
        "66mhz": (9, 1),
        "present": (10, 2),
        "events": (16, 8),
        "masked_events": (24, 8),
    },
)
_REGISTERS = (
    le32("base_offset"),
    le32("slots_33"),
    le32("slots_66"),
    u8("slots"),
    u8("first_device"),
    le16("physical_slot"),
    le16("secondary_bus"),
    u8("msi_control"),
    u8("programming_interface"),
    u8("command"),
    u8("command_target"),
    le16("command_status"),
    le32("interrupt_locator"),
    le32("serr_locator"),
    le32("serr_interrupt"),
)


def _slots(count: int) -> tuple[Register, ...]:
    return tuple(le32(f"slot{number}", _SLOT) for number in range(count))


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    count, rest = divmod(end - start - _FIRST_SLOT, _SLOT_SIZE)
    if rest or count < 0 or count != data[start + _COUNT]:
        raise StreamError("not as many slots as there are registers for", offset=start)
    return Layout(TYPE, *_REGISTERS, *_slots(count)).nodes(data, start, end)


SHPC = Content(TYPE, _read)
