"""What a machine without ``-nodefaults`` has beside its terminal: network, a CD drive, graphics, USB."""

from __future__ import annotations

from vmstate.pseries.board.board import Board
from vmstate.pseries.devices.vio.scsi_disk import ScsiDisk
from vmstate.pseries.pci_plugging import add_ohci, add_vga, add_xhci, plug_usb
from vmstate.pseries.plugging import add_vio

CD_ADDRESS = "0:2:0"  # channel, target, unit


def add_default_devices(board: Board) -> None:
    """In the order of spapr_machine_init: a network card, SCSI, a graphics card, USB.

    A graphics card of ``-device`` takes the place of the default one, but comes later.
    """
    machine = board.machine
    if not machine.default_devices:
        return
    if not machine.netdevs:
        add_vio(board)
    adapter = add_vio(board)
    path = adapter.idstr.rsplit("/", 1)[0]
    board.add_at(f"{path}/{CD_ADDRESS}", ScsiDisk(machine))
    if all(option.driver != "VGA" for option in machine.devices):
        add_vga(board)
    if machine.flags.use_ohci_by_default:
        add_ohci(board)
    else:
        add_xhci(board)
    plug_usb(board, "usb-kbd")
    plug_usb(board, "usb-mouse")
