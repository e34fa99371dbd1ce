"""The virtio drivers of a guest that has booted: the features that they take, and devices that start or fail.

drivers/virtio/virtio.c virtio_dev_probe: a driver takes what it knows of what the device offers, changes that
in its ``validate``, and gives up if something is missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.pseries.devices.virtio.indexes import VERSION_1
from vmstate.pseries.devices.virtio.virtio_pci import VirtioDevice
from vmstate.pseries.machine import Machine
from vmstate.pseries.tables.linux_virtio import (
    ACCESS_PLATFORM,
    BAD_FEATURE,
    LINUX_DRIVERS,
    OLDEST,
    TRANSPORT,
    TRANSPORT_TAKEN,
    LinuxDriver,
    Taken,
)

_LEGACY = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Agreed:
    """``features``: those that a driver takes; ``unknown``: those that it may take.

    ``works``: it runs the device.
    """

    features: int
    unknown: int
    works: bool


def start_drivers(machine: Machine, linux: Release) -> None:
    """Let Linux of that version drive each device whose driver is known."""
    for device in machine.registered(VirtioDevice):
        agreed = agree(device, linux)
        if agreed is not None:
            device.drive(agreed.features, works=agreed.works)


def agree(device: VirtioDevice, linux: Release | None) -> Agreed | None:
    """Return what a device and its driver in that Linux agree on; None if the driver is not known."""
    driver = LINUX_DRIVERS.get(device.model.number)
    if driver is None or linux is None or linux < OLDEST:
        return None
    offered = device.host_features
    legacy = not offered & VERSION_1
    if legacy:
        offered &= _LEGACY
    takes, perhaps = _bits((*driver.takes, *TRANSPORT_TAKEN), linux)
    takes |= sum(1 << bit for bit in driver.of_legacy if legacy)
    returns, perhaps_returned = _bits(driver.returns, linux)
    features = offered & takes & ~returns
    unknown = perhaps | takes & perhaps_returned | _new_transport(takes)
    unknown |= sum(1 << bit for bit in driver.untried)
    return Agreed(features, offered & unknown, _works(driver, offered, features))


def _bits(several: Iterable[Taken], linux: Release) -> tuple[int, int]:
    """Return the bits that hold for that version, and those of which that is not known."""
    yes = unknown = 0
    for one in several:
        bits, at = sum(1 << bit for bit in one.bits), one.at(linux)
        yes |= bits if at else 0
        unknown |= bits if at is None else 0
    return yes, unknown


def _new_transport(takes: int) -> int:
    """Return the features of the transport of which nothing is known."""
    return sum(1 << bit for bit in TRANSPORT if bit != BAD_FEATURE and not takes >> bit & 1)


def _works(driver: LinuxDriver, offered: int, features: int) -> bool:
    """Return False if a feature lacks another, or if the device insists on ACCESS_PLATFORM in vain."""
    if offered & ~features & 1 << ACCESS_PLATFORM:
        return False
    return not any(
        features >> bit & 1
        for needed, several in driver.needs.items()
        if not features >> needed & 1
        for bit in several
    )
