"""``pci config``: the configuration space of a PCI device, 256 or 4096 bytes (hw/pci/pci.c).

The registers have the names of ``<linux/pci_regs.h>``.  The lists of capabilities are followed as the bytes
have them; the bytes between are called by their offset.
"""

from __future__ import annotations

from vmstate.describe import Node
from vmstate.errors import StreamError
from vmstate.handwritten import pci_names as names
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, be32, le16, le32, le64, placed, raw, u8
from vmstate.handwritten.pci_capabilities import capability_at, extended_at
from vmstate.handwritten.pci_walk import CONVENTIONAL, EXPRESS, capabilities, extended_capabilities

TYPE = "pci config"
_FIRST_BAR, _HEADER_END = 0x10, 0x40
_NORMAL, _BRIDGE = 0, 1
_BARS = {_NORMAL: 6, _BRIDGE: 2}

_COMMON = Layout(
    TYPE,
    le16("vendor_id", names.VENDORS),
    le16("device_id"),
    le16("command", names.COMMAND),
    le16("status", names.STATUS),
    u8("revision_id"),
    u8("class_prog"),
    le16("class_device", names.CLASSES),
    u8("cache_line_size"),
    u8("latency_timer"),
    u8("header_type", names.HEADER_TYPE),
    u8("bist"),
)
_TAIL = {
    _NORMAL: Layout(
        TYPE,
        le32("cardbus_cis"),
        le16("subsystem_vendor_id", names.VENDORS),
        le16("subsystem_id"),
        le32("rom_address", names.ROM),
        u8("capability_list"),
        raw("reserved", 7),
        u8("interrupt_line"),
        u8("interrupt_pin", names.INTERRUPT_PIN),
        u8("min_gnt"),
        u8("max_lat"),
    ),
    _BRIDGE: Layout(
        TYPE,
        u8("primary_bus"),
        u8("secondary_bus"),
        u8("subordinate_bus"),
        u8("sec_latency_timer"),
        u8("io_base"),
        u8("io_limit"),
        le16("sec_status", names.STATUS),
        le16("memory_base"),
        le16("memory_limit"),
        le16("pref_memory_base"),
        le16("pref_memory_limit"),
        le32("pref_base_upper32"),
        le32("pref_limit_upper32"),
        le16("io_base_upper16"),
        le16("io_limit_upper16"),
        u8("capability_list"),
        raw("reserved", 3),
        le32("rom_address", names.ROM),
        u8("interrupt_line"),
        u8("interrupt_pin", names.INTERRUPT_PIN),
        le16("bridge_control", names.BRIDGE_CONTROL),
    ),
}
_PINS = Layout("pci irq state", *(be32(pin) for pin in ("inta", "intb", "intc", "intd")))


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    if end - start not in (CONVENTIONAL, EXPRESS):
        raise StreamError("not the size of a configuration space", offset=start)
    found = _header(data, start)
    if found[-1].end == start + _HEADER_END:
        found += _capabilities(data, start)
    if end - start == EXPRESS:
        found += _extended(data, start)
    return placed(data, start, end, found, border=start + CONVENTIONAL)


def _header(data: memoryview, start: int) -> list[Node]:
    """Return the header's registers; of a header of another type those that all have."""
    end = start + CONVENTIONAL
    found = _COMMON.nodes(data, start, end)
    kind = data[start + 0x0E] & 0x7F
    if kind not in _TAIL:
        return found
    found += _bars(data, start + _FIRST_BAR, _BARS[kind])
    return found + _TAIL[kind].nodes(data, found[-1].end, end)


def _bars(data: memoryview, at: int, count: int) -> list[Node]:
    """Return the base address registers; one of 64 bits takes the place of two."""
    found: list[Node] = []
    number = 0
    while number < count:
        wide = data[at] & 7 == 4 and number + 1 < count
        register = (le64 if wide else le32)(f"bar{number}", names.BAR)
        found.append(register.node(data, at))
        at += register.size
        number += 2 if wide else 1
    return found


def _capabilities(data: memoryview, start: int) -> list[Node]:
    """Return the capabilities in the order of their list; StreamError if it does not end."""
    config = data[start : start + CONVENTIONAL]
    vendor = int.from_bytes(config[:2], "little")
    found: list[Node] = []
    for at in capabilities(config):
        name, layout = capability_at(config, at, vendor)
        found.append(layout.node(name, data, start + at, start + CONVENTIONAL))
    return found


def _extended(data: memoryview, start: int) -> list[Node]:
    """Return the extended capabilities; StreamError if their list does not end."""
    found: list[Node] = []
    for at in extended_capabilities(data[start : start + EXPRESS]):
        name, layout = extended_at(int.from_bytes(data[start + at : start + at + 2], "little"))
        found.append(layout.node(name, data, start + at, start + EXPRESS))
    return found


PCI_CONFIG = Content(TYPE, _read)
#: The levels of the interrupt pins (hw/pci/pci.c vmstate_info_pci_irq_state).
PCI_IRQ_STATE = Content("pci irq state", _PINS.nodes)
