"""The properties that every device on a bus has, and every device there is."""

from __future__ import annotations

from collections.abc import Mapping

from vmstate.dataclass import replace
from vmstate.describe.history import History, Span
from vmstate.pattern import pattern
from vmstate.pseries.board.properties import Effect, Property, harmless, not_modelled

#: Properties of the base class.  Help does not list them.
DEVICE = (
    Property("device", "realized", "", "bool", Effect.NOT_MODELLED, listed=False),
    *(
        Property("device", name, "", kind, listed=False, read_only=True)
        for name, kind in (
            *(("hotpluggable", "str"), ("hotplugged", "str")),
            *(("parent_bus", "link<bus>"), ("type", "str")),
        )
    ),
)

#: Some properties went with the machine types 2.8 to 4.0, in 11.0 or in 11.1.
GOING, GOING_UNTIL = "11.0", "11.1"


def going(found: Property) -> tuple[Property, Property]:
    """Return a property up to 11.0; 11.0 itself may lack it."""
    last = Span(GOING, GOING_UNTIL)
    before = replace(found, span=Span(found.span.since, GOING))
    return before, not_modelled(found.owner, found.name, found.kind, span=last)


#: A slot and a function in the syntax of scanf's %x (hw/core/qdev-properties-system.c ``set_pci_devfn``).
_DEVFN = pattern(
    r"[ \t\n]*\+?(0[xX]|(0[xX])?0*(1[0-9a-fA-F]|[0-9a-fA-F]))(\.[ \t\n]*\+?(0[xX]|(0[xX])?0*[0-7]))?"
)
#: Some C libraries read 0x without digits as 0, others do not.
_NO_DIGITS = pattern(r"0[xX](?![0-9a-fA-F])")
#: The slot and function.
ADDR = Property(
    "pci-device",
    "addr",
    "-1",
    History("int32", ("10.0", "str")),
    by_global=False,
    own_syntax=_DEVFN,
    values=lambda value: _NO_DIGITS.search(value) is None,
)
MULTIFUNCTION = Property("pci-device", "multifunction", "off", "bool")
ROMFILE = Property("pci-device", "romfile", "its own", values=lambda value: value == "")
ROMSIZE = Property(
    "pci-device",
    "romsize",
    "4294967295",
    "uint32",
    span=Span("6.0"),
    values=lambda value: int(value, 0) in (-1, 0xFFFFFFFF),
)
ROMBAR = Property("pci-device", "rombar", History("1", ("10.0", "-1")), History("uint32", ("10.0", "int32")))

#: A name for guests with ACPI.
ACPI_INDEX = Property("pci-device", "acpi-index", "0", "uint32", span=Span("6.0"))

EXPRESS = "only on a PCI Express bus, which a pseries lacks"

PCI: tuple[Property, ...] = (
    ADDR,
    MULTIFUNCTION,
    ROMFILE,
    ROMSIZE,
    ROMBAR,
    ACPI_INDEX,
    *harmless("pci-device", "bool", EXPRESS, "x-pcie-lnksta-dllla"),
    *going(*harmless("pci-device", "bool", EXPRESS, "x-pcie-extcap-init")),
    *harmless("pci-device", "bool", EXPRESS, "x-pcie-err-unc-mask", "x-pcie-ari-nextfn-1", span=Span("8.1")),
    *harmless("pci-device", "bool", EXPRESS, "x-pcie-ext-tag", span=Span("9.2")),
    *harmless(
        "pci-device", "size", "a limit of the running device", "x-max-bounce-buffer-size", span=Span("9.2")
    ),
    *harmless(
        "pci-device", "bool", "a bit of the command register", "command_serr_enable", span=Span(until="5.0")
    ),
    not_modelled("pci-device", "failover_pair_id", "str", span=Span("4.2")),
    not_modelled("pci-device", "busnr", "busnr", span=Span("10.0")),
    not_modelled("pci-device", "sriov-pf", "str", span=Span("10.1")),
)

USB: tuple[Property, ...] = (
    Property("usb-device", "port", by_global=False),
    *harmless("usb-device", "str", "part of a descriptor", "serial"),
    *harmless("usb-device", "bool", "part of a descriptor", "msos-desc"),
    not_modelled("usb-device", "full-path", "bool", "on", Span(until="6.0")),
    not_modelled("usb-device", "attached", "bool"),
    not_modelled("usb-device", "pcap", "str", span=Span("6.0")),
)

#: The unit address; by default the next free one.
REG = Property("vio-spapr-device", "reg", "4294967295", "uint32", by_global=False)
#: The interrupt; by default one that follows from the address.
IRQ = Property("vio-spapr-device", "irq", "0", "uint32", span=Span(until="4.0"), by_global=False)
VIO: tuple[Property, ...] = (REG, IRQ)

#: The address; target and unit are by default the first free ones.
CHANNEL = Property("scsi-device", "channel", "0", "uint32", by_global=False)
TARGET = Property("scsi-device", "scsi-id", "4294967295", "uint32", by_global=False)
LUN = Property("scsi-device", "lun", "4294967295", "uint32", by_global=False)
SCSI: tuple[Property, ...] = (
    *(CHANNEL, TARGET, LUN),
    Property("scsi-device", "bootindex", "", "int32", Effect.HARMLESS, "only the order in the device tree"),
)

OF_BUS: Mapping[str, tuple[Property, ...]] = {
    "PCI": PCI,
    "usb-bus": USB,
    "spapr-vio-bus": VIO,
    "SCSI": SCSI,
}

#: Properties of every network card.
BOOTINDEX = Property("nic", "bootindex", "", "int32", Effect.HARMLESS, "only the order in the device tree")
MAC = Property("nic", "mac", by_global=False)
NETDEV = Property("nic", "netdev", by_global=False)
NIC: tuple[Property, ...] = (
    MAC,
    NETDEV,
    BOOTINDEX,
    not_modelled("nic", "vlan", "int32", span=Span(until="3.0")),
)
