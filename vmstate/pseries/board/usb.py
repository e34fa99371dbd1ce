"""USB buses, and the interfaces of their controllers and devices."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.errors import NotModelled
from vmstate.pseries.board.buses import Behind, Bus
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

USB, HUB = "usb-bus", "usb-hub"


class UsbController(Device):
    """A host controller; ``resets_devices``: it resets each device that is plugged in.

    ``count``: the ports of its bus; ``usable``: how many accept a slow device; ``taken``: those in use.
    """

    resets_devices = False

    def __init__(self, machine: Machine, count: int, usable: int | None = None) -> None:
        super().__init__(machine)
        self.count, self.usable = count, count if usable is None else usable
        self.taken: set[int] = set()

    def plug(self, asked: str | None = None) -> int:
        """Take the port ``asked`` for, or the first free one; return its number, counted from 1.

        Raises NotModelled if it is not free, does not accept the device, or is the last, where QEMU
        puts a hub (usb_claim_port).
        """
        free = [number for number in range(1, self.count + 1) if number not in self.taken]
        if asked is not None:
            free = [number for number in free if str(number) == asked]
        elif len(free) == 1:
            free = []
        if not free or free[0] > self.usable:
            raise NotModelled(f"no USB port {asked or 'free'}: not modelled")
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


@dataclass(eq=False)
class UsbBus(Bus):
    """The ports of a controller, which the board connects; None while QEMU starts.

    ``free``: the ports that are free while QEMU starts; None if that is not known.
    """

    controller: UsbController | None = None
    free: list[str] | None = None

    def check(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Take a port (``usb_claim_port``).  Where a hub is, or QEMU puts one, ports are not known."""
        del machine
        asked = None if option is None else option.get("port")
        if self.free is None or driver == HUB or (asked is None and len(self.free) <= 1):
            self.free = None
        elif option is not None and asked is not None and asked not in self.free:
            raise Refused(f"{option.text}: usb port {asked} (bus {self.name}) not found (in use?)")
        else:
            self.free.remove(asked or self.free[0])

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take a port."""
        del machine
        if self.controller is None:
            raise NotModelled(f"-device {driver}: no USB controller that is modelled")
        return f"{self.path}/{self.controller.plug(None if option is None else option.get('port'))}"


CONTROLLER = Behind(USB, make=UsbBus)
