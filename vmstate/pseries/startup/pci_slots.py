"""The used slots and functions of PCI buses while devices are created."""

from __future__ import annotations

from dataclasses import dataclass, field

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.board import first_free, slot_number
from vmstate.pseries.board.bus_properties import MULTIFUNCTION
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.devices import drivers
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.registration import default_devices

#: The connector of a slot finds out before the bus does.
_CONNECTOR_CHECKS = History(False, ("6.0", True))
_IN_USE = History("in use by {name}", ("7.0", "in use by {name},id={id}"))


@dataclass(frozen=True)
class _Function:
    """The device in a function of a slot."""

    name: str
    id: str | None
    several: bool


@dataclass
class _Bus:
    names: tuple[str, ...]
    taken: dict[int, _Function] = field(default_factory=dict)


class PciSlotsInUse:
    """The buses of a machine while it starts, with the board's own devices."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        board = _Bus(("pci.0",))
        self._buses = [board]
        for name in default_devices(machine):
            if drivers()[name].bus == "PCI":
                several = MULTIFUNCTION.flag(machine, None, name)
                board.taken[first_free(board.taken) or 0] = _Function(name, None, several)

    def add_bus(self, option: DeviceOption) -> None:
        """Add the bus behind a host bridge."""
        name = f"{option.id}.0" if option.id else f"pci.{len(self._buses)}"
        self._buses.append(_Bus((name,)))

    def plug(self, option: DeviceOption, driver: Driver) -> None:
        """Take a slot.  Raises Refused if it is in use, or if its functions do not fit together.

        A bus or an address that is not modelled is left to the board.
        """
        wanted = option.get("bus")
        bus = next((one for one in reversed(self._buses) if wanted is None or wanted in one.names), None)
        if bus is None:
            return
        address = option.get("addr")
        number = first_free(bus.taken) if address is None else slot_number(address)
        if number is None:
            return
        self._check_free(option, driver, bus, number)
        several = MULTIFUNCTION.flag(self._machine, option, driver.name)
        _check_functions(option, bus, number, several=several)
        bus.taken[number] = _Function(driver.name, option.id, several)

    def _check_free(self, option: DeviceOption, driver: Driver, bus: _Bus, number: int) -> None:
        """``spapr_pci_pre_plug``, then ``do_pci_register_device``."""
        there = bus.taken.get(number)
        if there is None:
            return
        release = self._machine.release
        if _CONNECTOR_CHECKS.at(release) and self._machine.flags.phb_dynamic_reconfiguration:
            first = bus.taken.get(number & ~7)
            if first is None:
                raise ConfigurationError(
                    f"{option.text}: a function twice without function 0 is not modelled"
                )
            raise Refused(f"{option.text}: PCI: slot {number >> 3} already occupied by {first.name}")
        user = _IN_USE.at(release).format(name=there.name, id=there.id or "(null)")
        place = f"slot {number >> 3} function {number & 7}"
        raise Refused(f"{option.text}: PCI: {place} not available for {driver.name}, {user}")


def _check_functions(option: DeviceOption, bus: _Bus, number: int, *, several: bool) -> None:
    """Refuse further functions unless the first is multifunction (``pci_init_multifunction``)."""
    slot, function = number >> 3, number & 7
    if function:
        first = bus.taken.get(number & ~7)
        if first is not None and not first.several:
            line = f"PCI: single function device can't be populated in function {slot:x}.{function:x}"
            raise Refused(f"{option.text}: {line}")
    elif not several:
        other = next((number + n for n in range(1, 8) if number + n in bus.taken), None)
        if other is not None:
            line = f"{slot:x}.0 indicates single function, but {slot:x}.{other & 7:x} is already populated."
            raise Refused(f"{option.text}: PCI: {line}")
