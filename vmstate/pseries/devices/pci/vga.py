"""``vga``: the graphics card of the default machine (hw/display/vga-pci.c, hw/display/vga.c)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vmstate.dataclass import replace
from vmstate.describe import (
    Bool,
    Buffer,
    Int32,
    Record,
    Struct,
    UInt8,
    UInt8Equal,
    UInt16,
    UInt32,
    VMStateDescription,
    WireArray,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.history import Span
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.bus_properties import going
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless
from vmstate.pseries.devices.pci.config_space import BAR_PREFETCH, ROM_BAR, Bar, PciId, with_options
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

VRAM_SIZE = 16 << 20
ROM_SIZE = 64 << 10
VBE_REGISTERS = 10
VBE_ID = 0xB0C5

IDENTITY = PciId(
    0x1234,
    0x1111,
    0x030000,
    revision=2,
    interrupt_pin=0,
    bars=(Bar(0, VRAM_SIZE, BAR_PREFETCH), Bar(2, 4096), Bar(ROM_BAR, ROM_SIZE)),
)


def other_endian(vga: Record) -> bool:
    """The guest has switched the frame buffer's byte order."""
    return bool(vga.big_endian_fb != vga.default_endian_fb)


VGA_ENDIAN = VMStateDescription(
    "vga.endian", version_id=1, minimum_version_id=1, needed=other_endian, fields=[Bool("big_endian_fb")]
)

VGA_COMMON = VMStateDescription(
    "vga",
    version_id=2,
    minimum_version_id=2,
    fields=[
        UInt32("latch"),
        UInt8("sr_index"),
        Buffer("sr", 8),
        UInt8("gr_index"),
        Buffer("gr", 16),
        UInt8("ar_index"),
        Buffer("ar", 21),
        Int32("ar_flip_flop"),
        UInt8("cr_index"),
        Buffer("cr", 256),
        *(UInt8(name) for name in ("msr", "fcr", "st00", "st01")),
        *(UInt8(name) for name in ("dac_state", "dac_sub_index", "dac_read_index", "dac_write_index")),
        Buffer("dac_cache", 3),
        Buffer("palette", 768),
        Int32("bank_offset"),
        UInt8Equal("is_vbe_vmstate"),
        UInt16("vbe_index"),
        UInt16("vbe_regs")[VBE_REGISTERS],
        UInt32("vbe_start_addr"),
        UInt32("vbe_line_offset"),
        UInt32("vbe_bank_mask"),
    ],
    subsections=[VGA_ENDIAN],
)

VGA_PCI = VMStateDescription(
    "vga",
    version_id=2,
    minimum_version_id=2,
    fields=[Pci("dev"), Struct("vga", VGA_COMMON)],
)


@lru_cache(maxsize=4)
def reset_registers(vram_size: int) -> dict[str, Any]:
    """Return zeros, except for the identity of the VBE interface and the mask of banks of 64 KiB."""
    numbers: dict[str, Any] = {}
    for field in VGA_COMMON.fields:
        assert isinstance(field.size, int)
        numbers[str(field.attr)] = zeros(field.size) if field.size else 0
    regs = WireArray("H", VBE_ID.to_bytes(2, "big") + bytes(2 * (VBE_REGISTERS - 1)))
    return numbers | {"is_vbe_vmstate": 1, "vbe_regs": regs, "vbe_bank_mask": (vram_size >> 16) - 1}


class Vga(Device):
    """A card in text mode that the guest has not set up."""

    description = VGA_PCI

    def __init__(self, machine: Machine, identity: PciId = IDENTITY, vram_size: int = VRAM_SIZE) -> None:
        super().__init__(machine)
        self.pci = PciState(self, identity)
        self.vga = Record(**reset_registers(vram_size), big_endian_fb=True, default_endian_fb=True)


VGAMEM_MB = Property("VGA", "vgamem_mb", "16", "uint32")
MMIO = Property("VGA", "mmio", "on", "bool")
EXTENDED_REGISTERS = Property("VGA", "qemu-extended-regs", "on", "bool")
GLOBAL_VMSTATE = Property("VGA", "global-vmstate", "off", "bool", span=Span("3.0"))
PROPERTIES = (
    VGAMEM_MB,
    MMIO,
    EXTENDED_REGISTERS,
    *going(GLOBAL_VMSTATE),
    *harmless("VGA", "bool", "a reset undoes it", "big-endian-framebuffer"),
    *harmless("VGA", "bool", "what the monitor says, which no stream has", "edid", span=Span("3.1")),
    *harmless(
        "VGA", "uint32", "what the monitor says, which no stream has", "xres", "yres", span=Span("3.1")
    ),
    *harmless(
        "VGA", "uint32", "what the monitor says, which no stream has", "xmax", "ymax", span=Span("4.1")
    ),
    *harmless(
        "VGA", "uint32", "what the monitor says, which no stream has", "refresh_rate", span=Span("6.1")
    ),
)
LEAST_MIB, MOST_MIB = 1, 512


def identity(machine: Machine, option: DeviceOption | None) -> PciId:
    """Return the card with that memory and those registers; with a window for them it has revision 2."""
    mmio = MMIO.flag(machine, option)
    bars = (Bar(0, vram_size(machine, option), BAR_PREFETCH), *IDENTITY.bars[1 if mmio else 2 :])
    return replace(
        IDENTITY, revision=2 if mmio and EXTENDED_REGISTERS.flag(machine, option) else 0, bars=bars
    )


def vram_size(machine: Machine, option: DeviceOption | None) -> int:
    """Return the bytes of video memory: a power of two of MiB (vga_common_init)."""
    mib = min(max(VGAMEM_MB.number(machine, option), LEAST_MIB), MOST_MIB)
    return 1 << 20 + (mib - 1).bit_length()


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card with its memory and its firmware."""
    machine = board.machine
    size = vram_size(machine, option)
    shape, rom = with_options(identity(machine, option), machine, option, "VGA")
    path = board.plug_pci(Vga(machine, shape, size), "VGA", option)
    memory = "vga.vram" if GLOBAL_VMSTATE.flag(machine, option) else f"{path}/vga.vram"
    board.ram_blocks.append(RamBlock(memory, size))
    if rom:
        board.ram_blocks.append(RamBlock(f"{path}/vga.rom", ROM_SIZE))


DRIVERS = (
    Driver(
        "VGA",
        plug,
        properties=PROPERTIES,
        graphics=True,
        hotpluggable=False,
        examples=("-device VGA",),
    ),
)
