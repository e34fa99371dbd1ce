"""``spapr_vty``: a virtual terminal (hw/char/spapr_vty.c)."""

from __future__ import annotations

from vmstate.describe import Buffer, UInt32, VMStateDescription
from vmstate.describe.arrays import zeros
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.buses import VIO_BUS
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.vio.spapr_vio import GLOBALS, SpaprVio, VioDevice, plug_vio
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

VTERM_BUFSIZE = 16

SPAPR_VTY = VMStateDescription(
    "spapr_vty",
    version_id=1,
    minimum_version_id=1,
    fields=[VioDevice("sdev"), UInt32("in"), UInt32("out"), Buffer("buf", VTERM_BUFSIZE)],
)


class SpaprVty(SpaprVio):
    """A terminal; ``in`` and ``out`` count the characters that went into and out of the ring ``buf``."""

    description = SPAPR_VTY

    def __init__(self, machine: Machine, reg: int, irq: int) -> None:
        super().__init__(machine, reg, irq)
        setattr(self, "in", 0)
        self.out = 0
        self.buf = zeros(VTERM_BUFSIZE)


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a terminal without an existing character device (``spapr_vty_realize``)."""
    wanted = option.get("chardev")
    if wanted is None:
        raise Refused(f"{option.text}: chardev property not set")
    if wanted not in machine.chardevs:
        raise Refused(f"{option.text}: Property 'spapr-vty.chardev' can't find value '{wanted}'")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a terminal."""
    del option
    plug_vio(board, SpaprVty)


CHARDEV = Property("spapr-vty", "chardev", by_global=False)
DRIVERS = (
    Driver(
        "spapr-vty",
        plug,
        bus=VIO_BUS,
        check=check,
        properties=(CHARDEV,),
        vio_name="vty",
        followed_globals=GLOBALS,
    ),
)
