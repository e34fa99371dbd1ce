"""``spapr_vscsi``: the virtual SCSI adapter of PAPR (hw/scsi/spapr_vscsi.c).

Requests in flight are not here: they travel with the disks.
"""

from __future__ import annotations

from vmstate.describe import VMStateDescription
from vmstate.pseries.devices.vio.spapr_vio import SpaprVio, VioDevice

SPAPR_VSCSI = VMStateDescription(
    "spapr_vscsi", version_id=1, minimum_version_id=1, fields=[VioDevice("vdev")]
)


class SpaprVscsi(SpaprVio):
    """An adapter that the guest has not used."""

    description = SPAPR_VSCSI
    rtce_window_size = 0x10000000
