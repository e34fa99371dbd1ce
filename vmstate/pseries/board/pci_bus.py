"""A PCI bus: its slots and functions, and how it refuses a device (hw/pci/pci.c)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from vmstate.describe.history import History
from vmstate.errors import NotModelled
from vmstate.pseries.board.bus_properties import ADDR, MULTIFUNCTION
from vmstate.pseries.board.buses import Behind, Bus
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

PCI = "PCI"
#: The connector of a slot finds out before the bus does.
_CONNECTOR_CHECKS = History(False, ("6.0", True))
_IN_USE = History("in use by {name}", ("7.0", "in use by {name},id={id}"))


@dataclass(frozen=True, slots=True)
class Function:
    """The device in a function of a slot."""

    name: str
    id: str | None
    several: bool


@dataclass(eq=False)
class PciBus(Bus):
    """A bus, with the functions in use by device and function number."""

    taken: dict[int, Function] = field(default_factory=dict)

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take a slot (``do_pci_register_device``, ``pci_init_multifunction``)."""
        address = None if option is None else option.get(ADDR.name)
        number = first_free(self.taken) if address is None else slot_number(address)
        if number is None:
            raise NotModelled(f"no PCI slot {address or 'free'} on {self.name}: not modelled")
        text = driver if option is None else option.text
        self._check_free(machine, driver, text, number)
        several = MULTIFUNCTION.flag(machine, option, driver)
        self._check_functions(text, number, several=several)
        self.taken[number] = Function(driver, None if option is None else option.id, several)
        return f"{self.path}:{number >> 3:02x}.{number & 7:x}"

    def check(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Take a slot."""
        self.place(machine, driver, option)

    def _check_free(self, machine: Machine, driver: str, text: str, number: int) -> None:
        """``spapr_pci_pre_plug``, then ``do_pci_register_device``."""
        there = self.taken.get(number)
        if there is None:
            return
        if _CONNECTOR_CHECKS.at(machine.release) and machine.flags.phb_dynamic_reconfiguration:
            first = self.taken.get(number & ~7)
            if first is None:
                raise NotModelled(f"{text}: a function twice without function 0 is not modelled")
            raise Refused(f"{text}: PCI: slot {number >> 3} already occupied by {first.name}")
        user = _IN_USE.at(machine.release).format(name=there.name, id=there.id or "(null)")
        place = f"slot {number >> 3} function {number & 7}"
        raise Refused(f"{text}: PCI: {place} not available for {driver}, {user}")

    def _check_functions(self, text: str, number: int, *, several: bool) -> None:
        """Refuse further functions unless the first is multifunction (``pci_init_multifunction``)."""
        slot, function = number >> 3, number & 7
        if function:
            first = self.taken.get(number & ~7)
            if first is not None and not first.several:
                line = f"PCI: single function device can't be populated in function {slot:x}.{function:x}"
                raise Refused(f"{text}: {line}")
        elif not several:
            other = next((number + n for n in range(1, 8) if number + n in self.taken), None)
            if other is not None:
                line = (
                    f"{slot:x}.0 indicates single function, but {slot:x}.{other & 7:x} is already populated."
                )
                raise Refused(f"{text}: PCI: {line}")


HOST_BRIDGE = Behind(PCI, make=PciBus)


def first_free(taken: Container[int]) -> int | None:
    """Return function 0 of the first slot where it is free; None if all are taken."""
    return next((number for number in range(0, 256, 8) if number not in taken), None)


def slot_number(address: str) -> int | None:
    """Return the device and function number of an address such as 5 or 5.1; None if it is not one."""
    slot, _, function = address.partition(".")
    try:
        number = int(slot, 16) << 3 | int(function or "0", 16)
    except ValueError:
        return None
    return number if 0 <= number < 256 else None
