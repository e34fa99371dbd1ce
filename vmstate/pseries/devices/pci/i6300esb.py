"""``i6300esb``: a watchdog of a chipset of Intel's (hw/watchdog/wdt_i6300esb.c)."""

from __future__ import annotations

from vmstate.describe import Int32, Timer, UInt32, VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.devices.pci.config_space import Bar, PciId, with_options
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

NAME = "i6300esb"
IDENTITY = PciId(0x8086, 0x25AB, 0x088000, interrupt_pin=0, bars=(Bar(0, 0x10),))
LONGEST = 0xFFFFF  # the preload of both timers
NEVER = 0xFFFFFFFFFFFFFFFF

#: The versions were once the size of QEMU's structure; 10000 is above all of these (since 1.6).
I6300ESB = VMStateDescription(
    "i6300esb_wdt",
    version_id=10000,
    minimum_version_id=1,
    fields=[
        Pci("dev"),
        *(Int32(name) for name in ("reboot_enabled", "clock_scale", "int_type")),
        *(Int32(name) for name in ("free_run", "locked", "enabled")),
        Timer("timer"),
        UInt32("timer1_preload"),
        UInt32("timer2_preload"),
        *(Int32(name) for name in ("stage", "unlock_state", "previous_reboot_flag")),
    ],
)


class I6300Esb(Device):
    """A watchdog that the guest has not switched on (``i6300esb_reset``)."""

    description = I6300ESB

    def __init__(self, machine: Machine, identity: PciId) -> None:
        super().__init__(machine)
        self.pci = PciState(self, identity)
        self.reboot_enabled = self.stage = 1
        self.clock_scale = self.int_type = self.free_run = self.locked = self.enabled = 0
        self.timer = NEVER
        self.timer1_preload = self.timer2_preload = LONGEST
        self.unlock_state = self.previous_reboot_flag = 0


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a watchdog."""
    machine = board.machine
    identity, _ = with_options(IDENTITY, machine, option, NAME)
    board.plug_pci(I6300Esb(machine, identity), NAME, option)


DRIVERS = (Driver(NAME, plug, examples=(f"-device {NAME}",)),)
