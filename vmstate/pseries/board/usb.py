"""USB buses, and the interfaces of their controllers and devices."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.pseries.board.device import Device


class UsbController(Device):
    """A host controller; ``resets_devices``: it resets each device that is plugged in."""

    resets_devices = False

    @property
    def room(self) -> int:
        """The number of free ports."""
        raise NotImplementedError

    def plug(self) -> int:
        """Take the next port; return its number, counted from 1."""
        raise NotImplementedError


class UsbDevice(Device):
    """A device in a port of a USB bus."""

    def reset(self) -> None:
        """Handle a reset over the bus."""


@dataclass(frozen=True, slots=True)
class UsbBus:
    """A USB bus: the path and names of its controller."""

    path: str
    names: tuple[str, ...]
    controller: UsbController
