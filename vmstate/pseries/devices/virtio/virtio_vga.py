"""virtio-vga: a virtio-gpu that is a VGA card, too (hw/display/virtio-vga.c)."""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.describe import Record, Struct, VMStateDescription
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import harmless
from vmstate.pseries.devices.pci.config_space import BAR_PREFETCH, ROM_BAR, Bar
from vmstate.pseries.devices.pci.vga import ROM_SIZE, VGA_COMMON, reset_registers
from vmstate.pseries.devices.virtio.virtio_gpu import FIRST, VirtioGpu, card, check, properties
from vmstate.pseries.devices.virtio.virtio_pci import Layout, checking
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

NAME = "virtio-vga"
VRAM_SIZE = 8 << 20
BARS = (Bar(0, VRAM_SIZE, BAR_PREFETCH), Bar(ROM_BAR, ROM_SIZE))
LAYOUT = Layout(msix=4, port=5, memory=2, vga=True)
MODEL = replace(VirtioGpu.model, class_code=0x030000)

VIRTIO_VGA = VMStateDescription("virtio-vga", 2, 2, fields=[Struct("vga", VGA_COMMON)])


class VirtioVga(Device):
    """The VGA card, in text mode; its PCI side is sent with virtio-gpu."""

    description = VIRTIO_VGA

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.vga = Record(**reset_registers(VRAM_SIZE), big_endian_fb=True, default_endian_fb=True)


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card with its memory and its firmware."""
    machine = board.machine
    gpu, chosen = card(machine, option, NAME, MODEL, BARS, LAYOUT)
    path = board.plug_pci(gpu, NAME, option)
    board.add_at(path, VirtioVga(machine))
    board.ram_blocks.append(RamBlock(f"{path}/vga.vram", VRAM_SIZE))
    if chosen.rom:
        board.ram_blocks.append(RamBlock(f"{path}/virtio-vga.rom", ROM_SIZE))


DRIVERS = (
    Driver(
        NAME,
        plug,
        FIRST,
        check=checking(check, only_modern=True),
        properties=(
            *properties("virtio-vga-base"),
            *harmless("virtio-vga-base", "bool", "a reset undoes it", "big-endian-framebuffer"),
        ),
        graphics=True,
        hotpluggable=False,
        module="hw-display-virtio-vga",
        examples=("-device virtio-vga",),
    ),
)
