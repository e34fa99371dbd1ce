"""What a USB bus needs of its controller and of the devices in its ports."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.pseries.board.device import Device


class UsbController(Device):
    """A host controller; ``resets_devices``: it resets each device that is plugged in."""

    resets_devices = False

    @property
    def room(self) -> int:
        """Ports that are left."""
        raise NotImplementedError

    def plug(self) -> int:
        """Take the next port; return its number, counted from 1."""
        raise NotImplementedError


class UsbDevice(Device):
    """A device in a port."""

    def reset(self) -> None:
        """Take a reset over the bus."""


@dataclass(frozen=True, slots=True)
class UsbBus:
    """A USB bus: the path and names of its controller."""

    path: str
    names: tuple[str, ...]
    controller: UsbController
