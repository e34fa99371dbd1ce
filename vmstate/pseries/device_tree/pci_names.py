"""The names of PCI devices in the device tree, by class (hw/ppc/spapr_pci.c dt_name_from_class)."""

from __future__ import annotations

_OTHER = "pci"

#: By base class.
_CLASSES = (
    "legacy-device",
    "mass-storage",
    "network",
    "display",
    "multimedia-device",
    "memory-controller",
    "unknown-bridge",
    "communication-controller",
    "system-peripheral",
    "input-controller",
    "docking-station",
    "cpu",
    "serial-bus",
    "wireless-controller",
    "intelligent-io",
    "satellite-device",
    "encryption",
    "data-processing-controller",
)

#: By base class and subclass, where a subclass has its own name.
_SUBCLASSES = {
    0x0001: "display",
    0x0100: "scsi",
    0x0101: "ide",
    0x0102: "fdc",
    0x0104: "raid",
    0x0105: "ata",
    0x0106: "sata",
    0x0107: "sas",
    0x0200: "ethernet",
    0x0300: "vga",
    0x0301: "xga",
    0x0302: "3d-controller",
    0x0400: "video",
    0x0401: "sound",
    0x0500: "memory",
    0x0501: "flash",
    0x0600: "host",
    0x0601: "isa",
    0x0604: "pci",
    0x0700: "serial",
    0x0701: "parallel",
    0x0702: "multiport-serial",
    0x0703: "modem",
    0x0800: "interrupt-controller",
    0x0801: "dma-controller",
    0x0802: "timer",
    0x0803: "rtc",
    0x0805: "sd-host-controller",
    0x0900: "keyboard",
    0x0901: "pen",
    0x0902: "mouse",
    0x0C00: "firewire",
    0x0C03: "usb",
    0x0C04: "fibre-channel",
    0x0C05: "smb",
    0x0C07: "ipmi",
    0x1000: "network-encryption",
}

#: By base class, subclass and programming interface, where the interface matters.
_INTERFACES = {
    0x080010: "io-apic",
    0x080020: "io-xapic",
    0x0C0300: "usb-uhci",
    0x0C0310: "usb-ohci",
    0x0C0320: "usb-ehci",
    0x0C0330: "usb-xhci",
    0x0C0380: "usb-unknown",
    0x0C03FE: "usb-device",
}


def node_name(class_code: int) -> str:
    """Return the name of a device with this class, subclass and interface (one byte each)."""
    base = class_code >> 16
    if base >= len(_CLASSES):
        return _OTHER
    name = _SUBCLASSES.get(class_code >> 8, _CLASSES[base])
    return _INTERFACES.get(class_code, name)
