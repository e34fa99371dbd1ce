"""A PCI bus: its slots and functions, and how it refuses a device (hw/pci/pci.c)."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.bus_properties import ACPI_INDEX, ADDR, MULTIFUNCTION
from vmstate.pseries.board.buses import Behind, Bus
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

PCI, FUNCTIONS = "PCI", 256
#: The connector of a slot finds out before the bus does.
CONNECTOR_CHECKS = History(False, ("6.0", True))
_IN_USE = History("in use by {name}", ("7.0", "in use by {name},id={id}"))
#: From 8.0 on every bus compares the indexes for ACPI; before, they changed nothing on a pseries.
_ACPI_INDEX_CHECKS = Span("8.0")
_HIGHEST_ACPI_INDEX = 0x3FFF


@dataclass(frozen=True, slots=True)
class VirtualFunctions:
    """The virtual functions that a device makes when it is plugged: ``count`` functions named ``name``.

    ``first``: how far the first is from the device; ``step``: how far each is from the one before.
    """

    name: str
    first: int
    step: int
    count: int
    span: Span


#: hw/net/igb.c ``igb_pci_realize``, hw/pci/pcie_sriov.c ``pcie_sriov_pf_init``; before, the guest made them.
_VIRTUAL_FUNCTIONS = {"igb": VirtualFunctions("igbvf", 0x80, 2, 8, Span("10.0"))}


@dataclass(frozen=True, slots=True)
class Function:
    """The device in a function of a slot."""

    name: str
    option: DeviceOption | None
    several: bool
    virtual: bool = False

    @property
    def id(self) -> str | None:
        """The device's id, if it has one."""
        return None if self.option is None else self.option.id


@dataclass(eq=False)
class PciSlots(Bus):
    """A bus, with the functions in use by device and function number.

    ``connectors``: the number of the first of its slots' connectors; None if it has none.
    """

    taken: dict[int, Function] = field(default_factory=dict)
    connectors: int | None = None

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take a slot (``do_pci_register_device``, ``pci_init_multifunction``)."""
        address = None if option is None else option.get(ADDR.name)
        number = first_free(self.taken) if address is None else slot_number(address)
        if number is None:
            raise NotModelled(f"no PCI slot {address or 'free'} on {self.name}: not modelled")
        text = driver if option is None else option.text
        self._check_connector(machine, text, number)
        self._check_acpi_index(machine, driver, option)
        self._check_free(machine, driver, text, number)
        several = MULTIFUNCTION.flag(machine, option, driver)
        self._check_functions(text, number, several=several)
        self.taken[number] = Function(driver, option, several)
        self._make_virtual_functions(machine, driver, text, number)
        return f"{self.path}:{number >> 3:02x}.{number & 7:x}"

    def release(self, option: DeviceOption) -> None:
        """Free the function of the device of ``option``."""
        self.taken = {number: one for number, one in self.taken.items() if one.option is not option}

    def check(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Take a slot."""
        self.place(machine, driver, option)

    def _check_connector(self, machine: Machine, text: str, number: int) -> None:
        """Refuse a function with a device (``spapr_pci_pre_plug``); connectors have no virtual functions."""
        connectors = CONNECTOR_CHECKS.at(machine.release) and machine.flags.phb_dynamic_reconfiguration
        there = self.taken.get(number)
        if connectors and there is not None and not there.virtual:
            first = self.taken.get(number & ~7)
            if first is None:
                raise NotModelled(f"{text}: a function twice without function 0 is not modelled")
            raise Refused(f"{text}: PCI: slot {number >> 3} already occupied by {first.name}")

    def _check_acpi_index(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Refuse an index that is too high, or that a device before has (``pci_qdev_realize``)."""
        if option is None or not _ACPI_INDEX_CHECKS.covers(machine.release):
            return
        if any((one.driver, one.prop) == (ACPI_INDEX.owner, ACPI_INDEX.name) for one in machine.globals):
            raise NotModelled(f"-global {ACPI_INDEX.owner}.{ACPI_INDEX.name} is not modelled")
        index = ACPI_INDEX.number(machine, option, driver=driver) & 0xFFFFFFFF
        if index > _HIGHEST_ACPI_INDEX:
            raise Refused(
                f"{option.text}: {ACPI_INDEX.name} should be less or equal to {_HIGHEST_ACPI_INDEX}"
            )
        on_bus = ((there.name, there.option) for there in self.taken.values())
        others = (*on_bus, *((other.driver, other) for other in machine.earlier(option)))
        if index and index in (ACPI_INDEX.number(machine, other, driver=name) for name, other in others):
            raise Refused(f"{option.text}: a PCI device with {ACPI_INDEX.name} = {index} already exist")

    def _check_free(self, machine: Machine, driver: str, text: str, number: int) -> None:
        """Refuse a function with a device (``do_pci_register_device``)."""
        there = self.taken.get(number)
        if there is not None:
            user = _IN_USE.at(machine.release).format(name=there.name, id=there.id or "(null)")
            place = f"slot {number >> 3} function {number & 7}"
            raise Refused(f"{text}: PCI: {place} not available for {driver}, {user}")

    def _make_virtual_functions(self, machine: Machine, driver: str, text: str, number: int) -> None:
        """Take the functions of the virtual functions that the device of ``number`` makes."""
        made = _VIRTUAL_FUNCTIONS.get(driver)
        if made is None or not made.span.covers(machine.release):
            return
        numbers = [number + made.first + n * made.step for n in range(made.count)]
        if numbers[-1] >= FUNCTIONS:
            raise Refused(f"{text}: VF addr overflows")
        for one in numbers:
            self._check_connector(machine, text, one)
            self._check_free(machine, made.name, text, one)
            self.taken[one] = Function(made.name, None, several=False, virtual=True)

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


class Bridge(Protocol):
    """A bridge, as the bus behind it needs it."""

    def reset(self, slots: Container[int]) -> None:
        """Handle a reset of the machine, with devices in these functions of the bus behind it."""

    def number(self, primary: int, secondary: int, subordinate: int) -> None:
        """Take the number of its bus, of the bus behind it, and of the last bus behind that."""


@dataclass(eq=False)
class BridgedBus(PciSlots):
    """The bus behind a bridge."""

    bridge: Bridge | None = None
    bus_number: int = 0

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take a slot."""
        if not _BEHIND_BRIDGES.covers(machine.release):
            text = driver if option is None else option.text
            raise NotModelled(f"{text}: devices behind bridges are not modelled in {machine.release}")
        return super().place(machine, driver, option)


#: Before, the bridge's own hotplug controller took devices, and the connectors of the root bus were used.
_BEHIND_BRIDGES = Span("4.1")


def reset_bridges(bus: PciSlots, last: int = 0) -> int:
    """Reset the bridges on a bus, and number the buses behind them from ``last`` + 1 on; return the last.

    ``spapr_phb_pci_enumerate``.  A bridge that is one of several functions is not numbered.
    """
    primary = bus.bus_number if isinstance(bus, BridgedBus) else 0
    bridged = {one.path: one for one in bus.inner if isinstance(one, BridgedBus)}
    for number in sorted(bus.taken):
        inner = bridged.get(f"{bus.path}:{number >> 3:02x}.{number & 7:x}")
        if inner is None or inner.bridge is None:
            continue
        inner.bridge.reset(inner.taken)
        if bus.taken[number].several:
            continue
        inner.bus_number = last + 1
        last = reset_bridges(inner, inner.bus_number)
        inner.bridge.number(primary, inner.bus_number, last)
    return last


HOST_BRIDGE = Behind(PCI, make=PciSlots)


def first_free(taken: Container[int]) -> int | None:
    """Return function 0 of the first slot where it is free; None if all are taken."""
    return next((number for number in range(0, 256, 8) if number not in taken), None)


def slot_number(address: str) -> int | None:
    """Return the device and function number of an address such as 5 or 5.1; None if it is not one."""
    slot, _, function = address.partition(".")
    try:
        place = int(slot, 16), int(function or "0", 16)
    except ValueError:
        return None
    return place[0] << 3 | place[1] if 0 <= place[0] < 32 and 0 <= place[1] < 8 else None
