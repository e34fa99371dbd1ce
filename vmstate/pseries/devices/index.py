"""Which device a section belongs to, by its name in the stream."""

from __future__ import annotations

from functools import cache

from vmstate.pseries.devices.device import Device

#: Two names that begin alike: the part after the last ``/`` is not enough to tell them from a device's path.
WHOLE_NAMES = frozenset({"icp/server", "spapr/rtc", "spapr/htab", "spapr_drc/physical"})


def device_class(idstr: str) -> type[Device] | None:
    """The device that sends sections of this name (``cpu``, ``nvram@71000000/spapr_nvram``).

    None for a name that we have no declaration for, and for ``ram`` and ``spapr/htab``, which have none.
    """
    known = _classes()
    if idstr in known:
        return known[idstr]
    return known.get(idstr.rsplit("/", 1)[-1]) if "/" in idstr and idstr not in WHOLE_NAMES else None


@cache
def _classes() -> dict[str, type[Device]]:
    return {kind.description.name: kind for kind in _all()}


def _all() -> tuple[type[Device], ...]:
    from vmstate.pseries.devices import (
        cpu,
        cpu_common,
        globalstate,
        pci_bus,
        quiet,
        slirp,
        spapr,
        spapr_cpu,
        spapr_drc,
        spapr_iommu,
        spapr_llan,
        spapr_nvram,
        spapr_pci,
        spapr_rtc,
        spapr_vscsi,
        spapr_vty,
        spapr_watchdog,
        timer,
        xics,
        xive,
    )

    return (
        *(timer.Timers, slirp.Slirp, quiet.ColoState, globalstate.GlobalState),
        *(cpu_common.CpuCommon, cpu.Cpu, spapr_cpu.SpaprCpu),
        *(xics.Ics, xics.Icp, xive.XiveSource, xive.SpaprXive, xive.XiveTctx),
        *(spapr.Spapr, spapr_rtc.SpaprRtc, spapr_drc.SpaprDrc, spapr_drc.SpaprDrcPhysical),
        *(spapr_vty.SpaprVty, spapr_nvram.SpaprNvram, spapr_llan.SpaprLlan, spapr_vscsi.SpaprVscsi),
        *(spapr_iommu.SpaprIommu, spapr_pci.SpaprPci, pci_bus.PciBus, spapr_watchdog.SpaprWatchdog),
    )
