"""The buses of a machine while it starts: each -device finds one, and takes an address on it."""

from __future__ import annotations

from vmstate.errors import NotModelled
from vmstate.pseries.board.buses import Bus, Buses
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.pci_bus import HOST_BRIDGE
from vmstate.pseries.board.usb import UsbBus
from vmstate.pseries.devices import drivers
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.recorded_devices import find_driver
from vmstate.pseries.registration import default_devices


class BusesInUse:
    """The buses, with the board's own devices."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._buses = Buses()
        self._buses.add(HOST_BRIDGE, None)
        for name in default_devices(machine):
            bus = self._buses.find(drivers()[name].bus)
            if bus is not None:
                bus.check(machine, name, None)
            self.add(drivers()[name], None, bus, _path_on_vio(machine, name))

    @classmethod
    def of(cls, machine: Machine) -> BusesInUse:
        """Return the buses of a machine that runs, with all its devices."""
        found = cls(machine)
        for option in machine.devices:
            found._plug(option)
        for change in machine.changes:
            if change.unplugged:
                found._buses.remove(change.option)
            else:
                found._plug(change.option)
        return found

    def _plug(self, option: DeviceOption) -> None:
        driver = find_driver(option.driver, self._machine)
        if driver is not None:
            bus = self.find(driver, option)
            self.take(driver, option, bus)
            self.add(driver, option, bus)

    def find(self, driver: Driver, option: DeviceOption) -> Bus | None:
        """Return the bus for a device, None for one that has none (``qdev_device_add``).

        Raises Refused if there is no such bus, or it is of another type.
        """
        name = option.get("bus")
        if name is None:
            bus = self._buses.find(driver.bus) if driver.bus else None
            if driver.bus and bus is None:
                raise Refused(f"{option.text}: No '{driver.bus}' bus found for device '{driver.name}'")
            return bus
        if "/" in name or not driver.bus:
            raise NotModelled(f"{option.text}: bus={name} is not modelled")
        bus = self._buses.named(name)
        if bus is None:
            raise Refused(f"{option.text}: Bus '{name}' not found")
        if bus.kind != driver.bus:
            raise Refused(f"{option.text}: Device '{driver.name}' can't go on {bus.kind} bus")
        return bus

    def take(self, driver: Driver, option: DeviceOption, bus: Bus | None) -> None:
        """Take an address.  Raises Refused if it is in use, or not one of the bus."""
        if bus is not None:
            bus.check(self._machine, driver.name, option)

    def add(self, driver: Driver, option: DeviceOption | None, bus: Bus | None, path: str = "") -> None:
        """Add the bus that a new device on ``bus`` provides; ``path``: the device's on the VIO bus."""
        if driver.behind is not None:
            new = self._buses.add(driver.behind, option, bus, path)
            if isinstance(new, UsbBus) and driver.usb_ports is not None:
                ports = driver.usb_ports(self._machine, option)
                new.free = [str(number + 1) for number in range(ports)]


def _path_on_vio(machine: Machine, driver: str) -> str:
    """Return the path of a device of the board's own."""
    own = (one for one in machine.vio.devices if one.option is None)
    return next((one.path for one in own if one.driver == driver), "")
