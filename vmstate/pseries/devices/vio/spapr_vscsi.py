"""``spapr_vscsi``: the virtual SCSI adapter of PAPR (hw/scsi/spapr_vscsi.c).

Requests in flight are not here: they are sent with the disks.
"""

from __future__ import annotations

from vmstate.describe import VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.buses import VIO_BUS
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.scsi_bus import scsi_bus
from vmstate.pseries.devices.vio.spapr_vio import GLOBALS, SpaprVio, VioDevice, plug_vio
from vmstate.pseries.options import DeviceOption

BUS = scsi_bus(7, 63, 31)

SPAPR_VSCSI = VMStateDescription(
    "spapr_vscsi", version_id=1, minimum_version_id=1, fields=[VioDevice("vdev")]
)


class SpaprVscsi(SpaprVio):
    """An adapter that the guest has not used."""

    description = SPAPR_VSCSI
    rtce_window_size = 0x10000000


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug an adapter."""
    adapter = plug_vio(board, SpaprVscsi)
    board.add_bus(BUS, VIO_BUS, option, adapter.idstr.rpartition("/")[0])


DRIVERS = (
    Driver(
        "spapr-vscsi",
        plug,
        bus=VIO_BUS,
        behind=BUS,
        vio_name="v-scsi",
        followed_globals=GLOBALS,
        examples=("-device spapr-vscsi",),
    ),
)
