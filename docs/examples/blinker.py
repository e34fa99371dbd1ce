"""``blinker``: a made-up PCI card with a row of lamps; the worked example of CONTRIBUTING.md.

As ``vmstate/pseries/devices/pci/blinker.py`` it is a device like any other: nothing else changes.
"""

from __future__ import annotations

from vmstate.describe import Since, UInt32, VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.pci.config_space import Bar, PciId
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

IDENTITY = PciId(0x1234, 0xB11F, 0xFF0000, bars=(Bar(0, 4096),))
LAMPS = Property("blinker", "lamps", "8", "uint32")


def blinking(card: Blinker) -> bool:
    """The guest has set a period."""
    return card.period != 0


BLINKING = VMStateDescription(
    "blinker/blinking", version_id=1, minimum_version_id=1, needed=blinking, fields=[UInt32("period")]
)
BLINKER = VMStateDescription(
    "blinker",
    version_id=1,
    minimum_version_id=1,
    fields=[Pci("parent_obj"), UInt32("lamps"), UInt32("lit")],
    subsections=[Since("10.0", BLINKING)],
)


class Blinker(Device):
    """A card with all lamps off."""

    description = BLINKER

    def __init__(self, machine: Machine, lamps: int) -> None:
        super().__init__(machine)
        self.pci = PciState(self, IDENTITY)
        self.lamps, self.lit, self.period = lamps, 0, 0


def check(machine: Machine, option: DeviceOption) -> None:
    """``blinker_realize``: a row has 32 lamps at most."""
    if LAMPS.number(machine, option) > 32:
        raise Refused(f"{option.text}: too many lamps")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card."""
    card = Blinker(board.machine, LAMPS.number(board.machine, option))
    board.plug_pci(card, "blinker", option)


DRIVERS = (Driver("blinker", plug, check=check, properties=(LAMPS,), examples=("-device blinker",)),)
