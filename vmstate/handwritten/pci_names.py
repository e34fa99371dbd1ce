"""Names of values in PCI registers, as Linux has them in ``<linux/pci_regs.h>`` and ``pci_ids.h``."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.words import BitFields, Flags, Names

COMMAND = Flags(
    16,
    dict(
        enumerate(
            [
                "io",
                "memory",
                "master",
                "special",
                "invalidate",
                "vga_palette",
                "parity",
                "wait",
                "serr",
                "fast_back",
                "intx_disable",
            ]
        )
    ),
)
STATUS = Flags(
    16,
    {
        0: "imm_ready",
        3: "interrupt",
        4: "cap_list",
        5: "66mhz",
        6: "udf",
        7: "fast_back",
        8: "parity",
        9: "devsel_medium",
        10: "devsel_slow",
        11: "sig_target_abort",
        12: "rec_target_abort",
        13: "rec_master_abort",
        14: "sig_system_error",
        15: "detected_parity",
    },
)
BRIDGE_CONTROL = Flags(
    16, {0: "parity", 1: "serr", 2: "isa", 3: "vga", 5: "master_abort", 6: "bus_reset", 7: "fast_back"}
)
_HEADERS = {0: "normal", 1: "bridge", 2: "cardbus"}
HEADER_TYPE = Names({**_HEADERS, **{kind | 0x80: f"{name} multifunction" for kind, name in _HEADERS.items()}})
INTERRUPT_PIN = Names({1: "INTA", 2: "INTB", 3: "INTC", 4: "INTD"})

VENDORS = Names(
    {
        0x1000: "LSI Logic",
        0x1002: "ATI",
        0x1011: "DEC",
        0x1013: "Cirrus Logic",
        0x1014: "IBM",
        0x101E: "AMI",
        0x1022: "AMD",
        0x1033: "NEC",
        0x104C: "TI",
        0x1057: "Motorola",
        0x106B: "Apple",
        0x108E: "Sun",
        0x1095: "CMD",
        0x10EC: "Realtek",
        0x1106: "VIA",
        0x1234: "QEMU (1234)",
        0x126F: "Silicon Motion",
        0x1274: "Ensoniq",
        0x13F6: "C-Media",
        0x15AD: "VMware",
        0x1957: "Freescale",
        0x1AF4: "Red Hat (virtio)",
        0x1B36: "Red Hat (QEMU)",
        0x1B73: "Fresco Logic",
        0x5853: "XenSource",
        0x8086: "Intel",
    }
)
CLASSES = Names(
    {
        0x0000: "not defined",
        0x0001: "not defined, VGA",
        0x0100: "SCSI storage",
        0x0101: "IDE storage",
        0x0102: "floppy storage",
        0x0104: "RAID storage",
        0x0106: "SATA storage",
        0x0107: "SAS storage",
        0x0108: "NVM Express storage",
        0x0180: "other storage",
        0x0200: "Ethernet",
        0x0201: "token ring",
        0x0280: "other network",
        0x0300: "VGA display",
        0x0301: "XGA display",
        0x0302: "3D display",
        0x0380: "other display",
        0x0400: "multimedia video",
        0x0401: "multimedia audio",
        0x0403: "HD audio",
        0x0480: "other multimedia",
        0x0500: "RAM",
        0x0501: "flash",
        0x0502: "CXL memory",
        0x0580: "other memory",
        0x0600: "host bridge",
        0x0601: "ISA bridge",
        0x0604: "PCI bridge",
        0x0609: "PCI bridge, semi-transparent",
        0x0680: "other bridge",
        0x0700: "serial",
        0x0701: "parallel",
        0x0702: "multiport serial",
        0x0703: "modem",
        0x0780: "other communication",
        0x0800: "interrupt controller",
        0x0801: "DMA controller",
        0x0802: "timer",
        0x0803: "RTC",
        0x0805: "SD host controller",
        0x0806: "IOMMU",
        0x0880: "other system device",
        0x0900: "keyboard",
        0x0901: "pen",
        0x0902: "mouse",
        0x0980: "other input",
        0x0B20: "PowerPC processor",
        0x0C00: "FireWire",
        0x0C03: "USB",
        0x0C05: "SMBus",
        0x0C07: "IPMI",
        0x0D00: "IrDA",
        0x1000: "network encryption",
        0x1200: "processing accelerator",
        0x00FF: "other",
        0xFF00: "other",
    }
)

CAP_IDS = Names(
    dict(
        enumerate(
            [
                "PM",
                "AGP",
                "VPD",
                "SLOTID",
                "MSI",
                "CHSWP",
                "PCIX",
                "HT",
                "VNDR",
                "DBG",
                "CCRC",
                "SHPC",
                "SSVID",
                "AGP3",
                "SECDEV",
                "EXP",
                "MSIX",
                "SATA",
                "AF",
                "EA",
            ],
            1,
        )
    )
)
EXT_CAP_IDS = Names(
    {
        **dict(
            enumerate(
                [
                    "ERR",
                    "VC",
                    "DSN",
                    "PWR",
                    "RCLD",
                    "RCILC",
                    "RCEC",
                    "MFVC",
                    "VC9",
                    "RCRB",
                    "VNDR",
                    "CAC",
                    "ACS",
                    "ARI",
                    "ATS",
                ],
                1,
            )
        ),
        **dict(
            enumerate(
                [
                    "SRIOV",
                    "MRIOV",
                    "MCAST",
                    "PRI",
                    "AMD_XXX",
                    "REBAR",
                    "DPA",
                    "TPH",
                    "LTR",
                    "SECPCI",
                    "PMUX",
                    "PASID",
                ],
                0x10,
            )
        ),
        0x1D: "DPC",
        0x1E: "L1SS",
        0x1F: "PTM",
        0x23: "DVSEC",
        0x25: "DLF",
        0x26: "PL_16GT",
        0x2E: "DOE",
    }
)
EXT_CAP_NEXT = BitFields(16, {"version": (0, 4), "next": (4, 12)})


@dataclass(frozen=True)
class BarWords:
    """A base address register: what it maps, how, and where."""

    def text(self, value: int) -> str | None:
        """Return the kind and the address, as ``info pci`` has them."""
        if not value:
            return None
        if value & 1:
            return f"I/O at {value & ~3:#x}"
        kinds = {0: "32-bit", 2: "below 1 MiB,", 4: "64-bit"}
        kind = kinds.get(value & 6, "reserved")
        return f"{kind} {'prefetchable ' if value & 8 else ''}memory at {value & ~15:#x}"

    def value(self, text: str) -> int | None:
        """Return None: a register is set by its number."""
        return None


@dataclass(frozen=True)
class RomWords:
    """An expansion ROM's base address: where it is, and if it is enabled."""

    def text(self, value: int) -> str | None:
        """Return the address and the state."""
        if not value:
            return None
        return f"ROM at {value & ~0x7FF:#x}, {'enabled' if value & 1 else 'disabled'}"

    def value(self, text: str) -> int | None:
        """Return None: a register is set by its number."""
        return None


@dataclass(frozen=True)
class InBarWords:
    """A place in the memory of a BAR: its number in the lowest three bits."""

    def text(self, value: int) -> str | None:
        """Return the BAR and the offset in it."""
        return f"{value & ~7:#x} in bar{value & 7}"

    def value(self, text: str) -> int | None:
        """Return the register's value for such a text."""
        offset, _, bar = text.partition(" in bar")
        if not offset.lower().startswith("0x") or not bar.isdecimal() or int(bar) > 7:
            return None
        return int(offset, 16) & ~7 | int(bar)


BAR, ROM, IN_BAR = BarWords(), RomWords(), InBarWords()

MSI_CONTROL = BitFields(
    16,
    {
        "enable": (0, 1),
        "log2_capable": (1, 3),
        "log2_enabled": (4, 3),
        "64bit": (7, 1),
        "maskable": (8, 1),
    },
)
MSIX_CONTROL = BitFields(16, {"enable": (15, 1), "mask_all": (14, 1), "last_vector": (0, 11)})
PM_CAPABILITIES = BitFields(
    16,
    {
        "version": (0, 3),
        "pme_clock": (3, 1),
        "dsi": (5, 1),
        "aux_power": (6, 3),
        "d1": (9, 1),
        "d2": (10, 1),
        "pme_d0": (11, 1),
        "pme_d1": (12, 1),
        "pme_d2": (13, 1),
        "pme_d3hot": (14, 1),
        "pme_d3cold": (15, 1),
    },
)
PM_CONTROL = BitFields(
    16,
    {
        "d": (0, 2),
        "no_soft_reset": (3, 1),
        "pme_enable": (8, 1),
        "data_select": (9, 4),
        "data_scale": (13, 2),
        "pme_status": (15, 1),
    },
)
EXP_FLAGS = BitFields(16, {"version": (0, 4), "type": (4, 4), "slot": (8, 1), "irq": (9, 5)})
DEVICE_CONTROL = BitFields(
    16,
    {
        "cere": (0, 1),
        "nfere": (1, 1),
        "fere": (2, 1),
        "urre": (3, 1),
        "relax_en": (4, 1),
        "payload": (5, 3),
        "ext_tag": (8, 1),
        "phantom": (9, 1),
        "aux_pme": (10, 1),
        "nosnoop_en": (11, 1),
        "readrq": (12, 3),
        "flr": (15, 1),
    },
)
DEVICE_STATUS = Flags(16, dict(enumerate(["ced", "nfed", "fed", "urd", "auxpd", "trpnd"])))
LINK_STATUS = BitFields(
    16,
    {
        "speed": (0, 4),
        "width": (4, 6),
        "training": (11, 1),
        "slot_clock": (12, 1),
        "active": (13, 1),
        "lbms": (14, 1),
        "labs": (15, 1),
    },
)
SLOT_CONTROL = BitFields(
    16,
    {
        "abpe": (0, 1),
        "pfde": (1, 1),
        "mrlsce": (2, 1),
        "pdce": (3, 1),
        "ccie": (4, 1),
        "hpie": (5, 1),
        "attn_ind": (6, 2),
        "pwr_ind": (8, 2),
        "pwr_off": (10, 1),
        "eic": (11, 1),
        "dllsce": (12, 1),
    },
)
SLOT_STATUS = Flags(16, dict(enumerate(["abp", "pfd", "mrlsc", "pdc", "cc", "mrlss", "pds", "eis", "dllsc"])))
ROOT_CONTROL = Flags(16, dict(enumerate(["secee", "senfee", "sefee", "pmeie", "crssve"])))
UNCORRECTABLE = Flags(
    32,
    {
        4: "dlp",
        5: "surpdn",
        **dict(
            enumerate(
                [
                    "poison_tlp",
                    "fcp",
                    "comp_time",
                    "comp_abort",
                    "unx_comp",
                    "rx_over",
                    "malf_tlp",
                    "ecrc",
                    "unsup",
                    "acsv",
                    "intn",
                    "mcbtlp",
                    "atomeg",
                    "tlppre",
                ],
                12,
            )
        ),
    },
)
CORRECTABLE = Flags(
    32,
    {
        0: "rcvr",
        6: "bad_tlp",
        7: "bad_dllp",
        8: "rep_roll",
        12: "rep_timer",
        13: "adv_nfat",
        14: "internal",
        15: "log_over",
    },
)
SRIOV_CONTROL = Flags(16, dict(enumerate(["vfe", "vfm", "intr", "mse", "ari"])))
VIRTIO_CFG_TYPE = Names(dict(enumerate(["COMMON_CFG", "NOTIFY_CFG", "ISR_CFG", "DEVICE_CFG", "PCI_CFG"], 1)))
