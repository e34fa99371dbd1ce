"""Devices on the PCI buses of a machine, and on what is plugged there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.board import Board, UsbBus
from vmstate.pseries.devices.host.ram import RamBlock
from vmstate.pseries.devices.pci.config_space import NIC_ROM
from vmstate.pseries.devices.pci.e1000 import E1000Card
from vmstate.pseries.devices.pci.spapr_pci import DRIVER
from vmstate.pseries.devices.pci.vga import ROM_SIZE, VRAM_SIZE, Vga
from vmstate.pseries.devices.usb.hid import UsbDevice, UsbKeyboard, UsbPointer
from vmstate.pseries.devices.usb.ohci import Ohci
from vmstate.pseries.devices.usb.xhci import NEC, QEMU, Xhci, XhciModel
from vmstate.pseries.plugging import (
    VIO_DEVICES,
    add_host_bridge,
    add_vio,
    is_on,
    number_of,
    place,
    property_of,
)
from vmstate.pseries.virtio_plugging import MAKERS, add_virtio, has_rom

#: The property ``init-vet`` is younger than most machine types.
VLAN_SET = History("off", ("6.1", "on"))

UNITS = "BKMGTPE"

USB_DEVICES: dict[str, type[UsbDevice]] = {
    "usb-kbd": UsbKeyboard,
    "usb-mouse": UsbPointer,
    "usb-tablet": UsbPointer,
}


def add_vga(board: Board, option: Any | None = None) -> None:
    """A graphics card with its memory and its firmware."""
    path = place(board, option)
    extended = is_on(property_of(board, "VGA", "qemu-extended-regs", "on"))
    board.add_at(path, Vga(board.machine, extended=extended))
    nameless = is_on(property_of(board, "VGA", "global-vmstate", "off"))
    memory = "vga.vram" if nameless else f"{path}/vga.vram"
    board.ram_blocks += [RamBlock(memory, VRAM_SIZE), RamBlock(f"{path}/vga.rom", ROM_SIZE)]


def _add_controller(board: Board, option: Any | None, device: Xhci | Ohci) -> None:
    path = place(board, option)
    board.add_at(path, device)
    name = option.id if option is not None and option.id else f"usb-bus.{len(board.usb)}"
    board.usb.append(UsbBus(path, (f"{name}.0", name), device))


def add_xhci(board: Board, option: Any | None = None, model: XhciModel = NEC) -> None:
    """A USB 3 controller."""
    _add_controller(board, option, Xhci(board.machine, model))


def add_ohci(board: Board, option: Any | None = None) -> None:
    """A USB 1 controller."""
    _add_controller(board, option, Ohci(board.machine))


def plug_usb(board: Board, driver: str, bus: str | None = None) -> None:
    """A device in the next port of the controller named, else of the newest."""
    where = next((usb for usb in reversed(board.usb) if bus is None or bus in usb.names), None)
    if where is None or not where.controller.room:
        raise ConfigurationError(f"-device {driver}: no USB bus with a free port that we model")
    device = USB_DEVICES[driver](board.machine)
    if where.controller.resets_devices:
        device.reset()
    board.add_at(f"{where.path}/{where.controller.plug()}", device)


def add_e1000(board: Board, option: Any) -> None:
    """A network card with its boot firmware."""
    path = place(board, option)
    rom = has_rom(option)
    card = E1000Card(
        board.machine,
        board.mac(option.get("mac")),
        vlan=is_on(property_of(board, "e1000", "init-vet", VLAN_SET.at(board.machine.release))),
        full=is_on(property_of(board, "e1000", "extra_mac_registers", "on")),
        contexts=is_on(property_of(board, "e1000", "migrate_tso_props", "on")),
        rom=rom,
    )
    board.add_at(path, card)
    if rom:
        board.ram_blocks.append(RamBlock(f"{path}/e1000.rom", NIC_ROM.size))


def add_dimm(board: Board, option: Any) -> None:
    """A memory module: no section of its own, but a block of memory that has its backend's name."""
    backend = next(o for o in board.machine.objects if o.id == option.get("memdev"))
    size = size_in_bytes(backend.get("size") or "0")
    board.ram_blocks.append(RamBlock(backend.id or "", size))
    board.plugged_memory += size


def size_in_bytes(text: str) -> int:
    """A size as QEMU reads it: a number, perhaps with a unit of powers of 1024.

    Raises ConfigurationError for what is none.
    """
    unit = text[-1:].upper()
    scale = 1024 ** UNITS.index(unit) if unit and unit in UNITS else 1
    try:
        return int(text[:-1], 0) * scale if unit in UNITS else int(text, 0)
    except ValueError:
        raise ConfigurationError(f"size={text}: not a size that we model") from None


def add_option(board: Board, option: Any) -> None:
    """A ``-device``; drivers that send nothing add nothing."""
    driver = option.driver
    if driver in VIO_DEVICES:
        add_vio(board)
    elif driver == DRIVER:
        add_host_bridge(board, number_of(option, "index", 0), option.id)
    elif driver in USB_DEVICES:
        plug_usb(board, driver, option.get("bus"))
    elif driver in PCI_DEVICES:
        PCI_DEVICES[driver](board, option)


def _qemu_xhci(board: Board, option: Any) -> None:
    add_xhci(board, option, QEMU)


PCI_DEVICES: dict[str, Callable[[Board, Any], None]] = {
    **dict.fromkeys(MAKERS, add_virtio),
    "VGA": add_vga,
    "nec-usb-xhci": add_xhci,
    "qemu-xhci": _qemu_xhci,
    "pci-ohci": add_ohci,
    "e1000": add_e1000,
    "pc-dimm": add_dimm,
}
