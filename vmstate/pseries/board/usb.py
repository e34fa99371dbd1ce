"""USB buses, and the interfaces of their controllers and devices."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.errors import ConfigurationError
from vmstate.pseries.board.device import Device


class UsbController(Device):
    """A host controller; ``resets_devices``: it resets each device that is plugged in.

    ``count``: the ports of its bus; ``usable``: how many accept a slow device; ``taken``: those in use.
    """

    resets_devices = False
    count: int
    usable: int
    taken: set[int]

    def plug(self, asked: str | None = None) -> int:
        """Take the port ``asked`` for, or the first free one; return its number, counted from 1.

        Raises ConfigurationError if it is not free, does not accept the device, or is the last, where QEMU
        puts a hub (usb_claim_port).
        """
        free = [number for number in range(1, self.count + 1) if number not in self.taken]
        if asked is not None:
            free = [number for number in free if str(number) == asked]
        elif len(free) == 1:
            free = []
        if not free or free[0] > self.usable:
            raise ConfigurationError(f"no USB port {asked or 'free'}: not modelled")
        self.taken.add(free[0])
        self.occupy(free[0])
        return free[0]

    def occupy(self, number: int) -> None:
        """Record that a device is in a port."""
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
