"""Which device a section belongs to, by its name in the stream."""

from __future__ import annotations

from vmstate.pseries.devices import (
    ohci,
    quiet,
    scsi,
    slirp,
    spapr_iommu,
    spapr_llan,
    spapr_nvram,
    spapr_pci,
    spapr_rtc,
    timer,
    usb,
    vga,
    xhci,
    xics,
    xive,
)
from vmstate.pseries.devices import virtio_models as virtio
from vmstate.pseries.devices.cpu import Cpu
from vmstate.pseries.devices.cpu_common import CpuCommon
from vmstate.pseries.devices.device import Device
from vmstate.pseries.devices.e1000 import E1000Card
from vmstate.pseries.devices.globalstate import GlobalState
from vmstate.pseries.devices.pci_bus import PciBus
from vmstate.pseries.devices.spapr import Spapr
from vmstate.pseries.devices.spapr_cpu import SpaprCpu
from vmstate.pseries.devices.spapr_drc import SpaprDrc, SpaprDrcPhysical
from vmstate.pseries.devices.spapr_vscsi import SpaprVscsi
from vmstate.pseries.devices.spapr_vty import SpaprVty
from vmstate.pseries.devices.spapr_watchdog import SpaprWatchdog

#: Names with a ``/`` in them: what is after it does not name a device.
WHOLE_NAMES = frozenset({"icp/server", "spapr/rtc", "spapr/htab", "spapr_drc/physical"})

DEVICES: tuple[type[Device], ...] = (
    *(timer.Timers, slirp.Slirp, quiet.ColoState, GlobalState),
    *(CpuCommon, Cpu, SpaprCpu, xics.Ics, xics.Icp, xive.XiveSource, xive.SpaprXive, xive.XiveTctx),
    *(Spapr, spapr_rtc.SpaprRtc, SpaprDrc, SpaprDrcPhysical, SpaprWatchdog),
    *(SpaprVty, spapr_nvram.SpaprNvram, spapr_llan.SpaprLlan, SpaprVscsi, scsi.ScsiDisk),
    *(spapr_iommu.SpaprIommu, spapr_pci.SpaprPci, PciBus),
    *(virtio.VirtioNet, virtio.VirtioBlk, virtio.VirtioScsi),
    *(virtio.VirtioBalloon, virtio.VirtioRng, virtio.VirtioSerial),
    *(E1000Card, vga.Vga, xhci.Xhci, ohci.Ohci, usb.UsbKeyboard, usb.UsbPointer),
)

_BY_NAME = {kind.description.name: kind for kind in DEVICES}


def device_class(idstr: str) -> type[Device] | None:
    """The device that sends sections of this name (``cpu``, ``nvram@71000000/spapr_nvram``).

    None for a name that we have no declaration for, and for ``ram`` and ``spapr/htab``, which have none.
    """
    if idstr in _BY_NAME:
        return _BY_NAME[idstr]
    return None if idstr in WHOLE_NAMES else _BY_NAME.get(idstr.rsplit("/", 1)[-1])
