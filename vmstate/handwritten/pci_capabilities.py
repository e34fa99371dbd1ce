"""The capabilities of a PCI configuration space: what follows the id of each (``<linux/pci_regs.h>``)."""

from __future__ import annotations

from vmstate.describe.words import BitFields
from vmstate.handwritten import pci_names as names
from vmstate.handwritten.layout import Layout, Register, le16, le32, le64, raw, u8

Choice = tuple[str, Layout]

RED_HAT_VIRTIO, RED_HAT = 0x1AF4, 0x1B36
_VENDOR_SPECIFIC, _MSI, _EXPRESS, _ENHANCED = 0x09, 0x05, 0x10, 0x14
_MSI_64BIT, _MSI_MASKABLE = 0x80, 0x100
_HEADER_TYPE, _BRIDGE = 0x0E, 1
_HEADER = (u8("cap_id", names.CAP_IDS), u8("next"))
_EXT_HEADER = (le16("cap_id", names.EXT_CAP_IDS), le16("version_next", names.EXT_CAP_NEXT))


def _capability(type_: str, *registers: Register) -> Layout:
    return Layout(f"pci {type_}", *_HEADER, *registers)


def _extended(type_: str, *registers: Register) -> Layout:
    return Layout(f"pcie {type_}", *_EXT_HEADER, *registers)


def _named(name: str, *registers: Register) -> Choice:
    return name, _capability(name, *registers)


def _named_extended(name: str, *registers: Register) -> Choice:
    return name, _extended(name, *registers)


#: Capabilities of one length.
FIXED: dict[int, Choice] = {
    0x01: _named(
        "pm",
        le16("capabilities", names.PM_CAPABILITIES),
        le16("control", names.PM_CONTROL),
        u8("ppb_extensions"),
        u8("data"),
    ),
    0x02: _named("agp", u8("version"), u8("rfu"), le32("status"), le32("command")),
    0x03: _named("vpd", le16("address"), le32("data")),
    0x04: _named("slotid", u8("expansion_slot"), u8("chassis")),
    0x07: _named("pcix", le16("command"), le32("status")),
    0x0C: _named("shpc", u8("dword_select"), u8("pending"), le32("dword_data")),
    0x0D: _named("ssvid", le16("reserved"), le16("vendor_id"), le16("device_id")),
    0x11: _named(
        "msix", le16("control", names.MSIX_CONTROL), le32("table", names.IN_BAR), le32("pba", names.IN_BAR)
    ),
    0x12: _named("sata", le16("revision"), le32("registers")),
    0x13: _named("af", u8("length"), u8("capabilities"), u8("control"), u8("status")),
}
_OTHER = _capability("capability")


def _msi(*, wide: bool, maskable: bool) -> Layout:
    address = (le64("address"),) if wide else (le32("address"),)
    masks = (le16("extended_data"), le32("mask"), le32("pending")) if maskable else ()
    return _capability("msi", le16("control", names.MSI_CONTROL), *address, le16("data"), *masks)


MSI = {
    (wide, maskable): _msi(wide=wide, maskable=maskable)
    for wide in (False, True)
    for maskable in (False, True)
}

_EXPRESS_V1 = (
    le16("flags", names.EXP_FLAGS),
    le32("device_capabilities"),
    le16("device_control", names.DEVICE_CONTROL),
    le16("device_status", names.DEVICE_STATUS),
    le32("link_capabilities"),
    le16("link_control"),
    le16("link_status", names.LINK_STATUS),
)
_EXPRESS_V2 = (
    *_EXPRESS_V1,
    le32("slot_capabilities"),
    le16("slot_control", names.SLOT_CONTROL),
    le16("slot_status", names.SLOT_STATUS),
    le16("root_control", names.ROOT_CONTROL),
    le16("root_capabilities"),
    le32("root_status"),
    le32("device_capabilities2"),
    le16("device_control2"),
    le16("device_status2"),
    le32("link_capabilities2"),
    le16("link_control2"),
    le16("link_status2"),
    le32("slot_capabilities2"),
    le16("slot_control2"),
    le16("slot_status2"),
)
#: By version: a space of version 1 has 20 bytes in QEMU (include/hw/pci/pcie_regs.h PCI_EXP_VER1_SIZEOF).
EXPRESS = {1: _capability("express", *_EXPRESS_V1), 2: _capability("express", *_EXPRESS_V2)}

_VENDOR = (u8("length"),)
#: Virtio's capabilities by type (``<linux/virtio_pci.h>`` struct virtio_pci_cap).
_VIRTIO_CAP = (
    *_VENDOR,
    u8("cfg_type", names.VIRTIO_CFG_TYPE),
    u8("bar"),
    u8("id"),
    raw("padding", 2),
    le32("offset"),
    le32("size"),
)
VIRTIO: dict[int, Choice] = {
    1: ("virtio_common_cfg", _capability("virtio", *_VIRTIO_CAP)),
    2: ("virtio_notify_cfg", _capability("virtio", *_VIRTIO_CAP, le32("notify_off_multiplier"))),
    3: ("virtio_isr_cfg", _capability("virtio", *_VIRTIO_CAP)),
    4: ("virtio_device_cfg", _capability("virtio", *_VIRTIO_CAP)),
    5: ("virtio_pci_cfg", _capability("virtio", *_VIRTIO_CAP, raw("pci_cfg_data", 4))),
    8: (
        "virtio_shared_memory_cfg",
        _capability("virtio", *_VIRTIO_CAP, le32("offset_hi"), le32("size_hi")),
    ),
}
#: What a bridge asks firmware to reserve (hw/pci/pci_bridge.c pci_bridge_qemu_reserve_cap_init).
BRIDGE_RESERVE = (
    "reserve",
    _capability(
        "reserve",
        *_VENDOR,
        u8("type"),
        le32("bus_reserve"),
        le64("io"),
        le32("memory"),
        le32("prefetchable_32"),
        le64("prefetchable_64"),
    ),
)
_RESERVE_TYPE = 1

EXTENDED: dict[int, Choice] = {
    0x01: _named_extended(
        "aer",
        le32("uncorrectable_status", names.UNCORRECTABLE),
        le32("uncorrectable_mask", names.UNCORRECTABLE),
        le32("uncorrectable_severity", names.UNCORRECTABLE),
        le32("correctable_status", names.CORRECTABLE),
        le32("correctable_mask", names.CORRECTABLE),
        le32("capabilities_control"),
        raw("header_log", 16),
        le32("root_command"),
        le32("root_status"),
        le16("correctable_source"),
        le16("uncorrectable_source"),
    ),
    0x03: _named_extended("dsn", le64("serial_number")),
    0x0D: _named_extended("acs", le16("capabilities"), le16("control")),
    0x0E: _named_extended("ari", le16("capabilities"), le16("control")),
    0x0F: _named_extended("ats", le16("capabilities"), le16("control")),
    0x10: _named_extended(
        "sriov",
        le32("capabilities"),
        le16("control", names.SRIOV_CONTROL),
        le16("status"),
        le16("initial_vfs"),
        le16("total_vfs"),
        le16("num_vfs"),
        u8("function_link"),
        u8("reserved"),
        le16("vf_offset"),
        le16("vf_stride"),
        le16("reserved2"),
        le16("vf_device_id"),
        le32("supported_page_sizes"),
        le32("system_page_size"),
        *(le32(f"vf_bar{number}", names.BAR) for number in range(6)),
        le32("migration_state"),
    ),
    0x13: _named_extended("pri", le16("control"), le16("status"), le32("max_requests"), le32("allocated")),
    0x1B: _named_extended("pasid", le16("capabilities"), le16("control")),
    0x23: _named_extended("dvsec", le32("header1"), le16("header2")),
    0x2E: _named_extended(
        "doe",
        le32("capabilities"),
        le32("control"),
        le32("status"),
        le32("write_mailbox"),
        le32("read_mailbox"),
    ),
}
_OTHER_EXTENDED = _extended("capability")


def capability_at(config: memoryview, at: int, vendor: int) -> Choice:
    """Return the name and the layout of the capability at an offset; of an unknown one only the header."""
    kind = config[at]
    control = int.from_bytes(config[at + 2 : at + 4], "little")
    if kind == _MSI:
        return "msi", MSI[bool(control & _MSI_64BIT), bool(control & _MSI_MASKABLE)]
    if kind == _EXPRESS:
        return "express", EXPRESS.get(control & 0xF, _OTHER)
    if kind == _ENHANCED:
        return "ea", _enhanced(config, at)
    if kind == _VENDOR_SPECIFIC:
        return _vendor_specific(config[at + 2 : at + 4].tobytes(), vendor)
    return FIXED.get(kind) or (_called(names.CAP_IDS.text(kind), kind), _OTHER)


_EA_HEADER = BitFields(
    32,
    {
        "more_words": (0, 3),
        "bei": (4, 4),
        "primary": (8, 8),
        "secondary": (16, 8),
        "writable": (30, 1),
        "enable": (31, 1),
    },
)
_EA_WORDS = ("base", "max_offset", "word3", "word4", "word5", "word6", "word7")


def _enhanced(config: memoryview, at: int) -> Layout:
    """Return the layout of an enhanced allocation: each entry says how many words follow its header."""
    found = [u8("entries"), u8("reserved")]
    place = at + 4
    if config[_HEADER_TYPE] & 0x7F == _BRIDGE:
        found.append(le32("fixed_buses"))
        place += 4
    for number in range(config[at + 2] & 0x3F):
        words = config[place] & 7 if place < len(config) else 0
        found.append(le32(f"entry{number}", _EA_HEADER))
        found += [le32(f"entry{number}_{name}") for name in _EA_WORDS[:words]]
        place += 4 + 4 * words
    return _capability("ea", *found)


def _vendor_specific(facts: bytes, vendor: int) -> Choice:
    length, kind = facts.ljust(2, b"\0")
    known = VIRTIO.get(kind) if vendor == RED_HAT_VIRTIO else None
    if vendor == RED_HAT and kind == _RESERVE_TYPE:
        known = BRIDGE_RESERVE
    if known is not None and known[1].size == length:
        return known
    rest = max(0, length - len(_HEADER) - len(_VENDOR))
    return "vendor", _capability("vendor", *_VENDOR, *([raw("data", rest)] if rest else []))


def extended_at(kind: int) -> Choice:
    """Return the name and the layout of an extended capability; of an unknown one only the header."""
    return EXTENDED.get(kind) or (_called(names.EXT_CAP_IDS.text(kind), kind), _OTHER_EXTENDED)


def _called(name: str | None, kind: int) -> str:
    return f"capability_{kind:#04x}" if name is None else name.lower()
