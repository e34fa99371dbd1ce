"""Where a running guest's state that is not simulated would decide a load.

Its devices have addresses that firmware and kernel chose, and drivers that are not all known.  If a
destination checks one of these, only a captured stream can be judged.
"""

from __future__ import annotations

from vmstate.errors import NotModelled
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.pci.pci_device import PciState
from vmstate.pseries.devices.virtio.indexes import ACCESS_PLATFORM
from vmstate.pseries.devices.virtio.virtio_pci import VirtioDevice
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.guest_drivers import agree
from vmstate.simulate.instance import Instance

_ASK = "capture a stream, or ask a real QEMU: `vmstate replay`"


def check_decided(source: Instance, destination: Instance, verdict: Verdict) -> None:
    """Raise NotModelled if state that is not simulated would decide before the check that did."""
    decided = verdict.decided_by if verdict.outcome is Outcome.REJECT else None
    last = None if decided is None else (decided.section, decided.instance)
    others = {(one.idstr, one.instance_id): one for one in destination.machine.registered(Device)}
    for device in source.machine.registered(Device):
        key = device.idstr, device.instance_id
        if key in others:
            reason = _reason(source, device, others[key])
            if reason:
                raise NotModelled(f"{device.idstr}: {reason}: {_ASK}")
        if key == last:
            return


def _reason(source: Instance, device: Device, other: Device) -> str:
    """Return what of a device would decide, in the order of its checks; empty for nothing."""
    ours, theirs = getattr(device, "pci", None), getattr(other, "pci", None)
    if isinstance(ours, PciState) and isinstance(theirs, PciState):
        wrong = theirs.space.difference(ours.config)
        place = theirs.space.first_checked(ours.space)
        if place is not None and (wrong is None or wrong >= place):
            return (
                f"the destination checks byte {place:#x} of the configuration space, which the guest has set"
            )
        if wrong is not None:
            return ""
    if isinstance(device, VirtioDevice) and isinstance(other, VirtioDevice):
        if device.started and other.host_features & ~device.guest_features_64 & ACCESS_PLATFORM:
            return "the destination puts it behind an IOMMU of which the guest's driver does not know"
        if device.started and device.of_peer & ~other.of_peer:
            return "the destination offers fewer of the features that the host's network decides"
        lost = _unknown_features(source, device) & ~other.host_features
        if lost:
            return (
                f"the destination does not offer the features {lost:#x}; whether the guest uses them is not"
                " modelled"
            )
    return ""


def _unknown_features(source: Instance, device: VirtioDevice) -> int:
    agreed = agree(device, source.linux)
    return device.host_features if agreed is None else agreed.unknown
