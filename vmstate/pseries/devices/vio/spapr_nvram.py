"""``spapr_nvram``: the guest's non-volatile memory (hw/nvram/spapr_nvram.c)."""

from __future__ import annotations

from vmstate.describe import Allocated, Buffer, UInt32, VMStateDescription
from vmstate.describe.arrays import zeros
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.buses import VIO_BUS
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import not_modelled
from vmstate.pseries.devices.vio.spapr_vio import GLOBALS, SpaprVio, plug_vio
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

DEFAULT_SIZE = 65536


def pre_load(nvram: SpaprNvram) -> None:
    """Discard the local memory: the incoming one replaces it, whatever its size."""
    nvram.size = 0
    nvram.buf = memoryview(b"")


SPAPR_NVRAM = VMStateDescription(
    "spapr_nvram",
    version_id=1,
    minimum_version_id=1,
    pre_load=pre_load,
    fields=[UInt32("size"), Allocated(Buffer("buf", "size", 1))],
)


class SpaprNvram(SpaprVio):
    """64 KiB of zeros, unless a drive backs it.  Unlike other VIO devices it sends no bus state."""

    description = SPAPR_NVRAM

    def __init__(self, machine: Machine, reg: int, irq: int) -> None:
        super().__init__(machine, reg, irq)
        self.size = DEFAULT_SIZE
        self.buf = zeros(DEFAULT_SIZE)


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug the board's own memory."""
    del option
    plug_vio(board, SpaprNvram)


DRIVERS = (
    Driver(
        "spapr-nvram",
        plug,
        bus=VIO_BUS,
        properties=(not_modelled("spapr-nvram", "drive", "str"),),
        vio_name="nvram",
        user_creatable=False,
        followed_globals=GLOBALS,
    ),
)
