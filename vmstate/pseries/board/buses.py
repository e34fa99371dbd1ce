"""The buses of a machine: a tree, which QEMU searches for the bus of each new device.

softmmu/qdev-monitor.c ``qbus_find_recursive``, hw/core/bus.c ``qbus_init_internal``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from vmstate.dataclass import dataclass, field
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

VIO_BUS, VIO_BUS_NAME = "spapr-vio-bus", "spapr-vio"


@dataclass(eq=False)
class Bus:
    """A bus: its type, its name, the beginning of its devices' paths, the buses behind its devices.

    ``provider``: the option of the device that has it.
    """

    kind: str
    name: str
    path: str = ""
    inner: list[Bus] = field(default_factory=list)
    provider: DeviceOption | None = None

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take the address that ``option`` asks for, or the first free one; return the device's path.

        Raises Refused as the bus does, and ConfigurationError for an address that is not modelled.
        """
        del machine, option
        raise NotModelled(f"-device {driver}: devices on a bus of type {self.kind} are not modelled")

    def release(self, option: DeviceOption) -> None:
        """Free the address of the device of ``option``, if it is on this bus."""

    def check(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Take an address while QEMU starts; a bus that cannot refuse one leaves this to the board."""

    def below(self) -> Iterator[Bus]:
        """Yield this bus, then the buses behind its devices, those of the newest device first."""
        yield self
        for bus in reversed(self.inner):
            yield from bus.below()


@dataclass(frozen=True)
class Behind:
    """The bus that a device provides: its type, its name (``{}`` is the device's id), its class.

    A bus of a device without an id is numbered.  ``unless``: the device has no bus if this property is set.
    ``count``: how many it has; the last number in ``name`` is the first one's.
    """

    kind: str
    name: str = "{}.0"
    make: Callable[[str, str, str], Bus] = Bus
    unless: str = ""
    count: int = 1


class Buses:
    """All buses of a machine.  The bus of VIO devices is always there, and the oldest."""

    def __init__(self) -> None:
        self.vio = Bus(VIO_BUS, VIO_BUS_NAME)
        self.root = Bus("System", "main-system-bus", inner=[self.vio])
        self._numbered: Counter[str] = Counter()
        self._found: dict[str, Bus | None] = {}

    def find(self, kind: str) -> Bus | None:
        """Return the bus of that type for a device without ``bus=``; None if there is none."""
        if kind not in self._found:
            self._found[kind] = next((bus for bus in self.root.below() if bus.kind == kind), None)
        return self._found[kind]

    def named(self, name: str) -> Bus | None:
        """Return the bus of that name; of several, the one that QEMU finds first."""
        return next((bus for bus in self.root.below() if bus.name == name), None)

    def remove(self, option: DeviceOption) -> None:
        """Free the address of an unplugged device, and remove the buses behind it."""
        self._found.clear()
        for bus in list(self.root.below()):
            bus.release(option)
            bus.inner = [inner for inner in bus.inner if inner.provider is not option]

    def add(
        self, behind: Behind, option: DeviceOption | None, on: Bus | None = None, path: str = ""
    ) -> Bus | None:
        """Add the bus of a new device with that path on the bus ``on`` (None: the system's); return it.

        Return the newest if there are several, None if there is none.
        """
        if behind.unless and option is not None and option.get(behind.unless) is not None:
            return None
        own = path if on is self.vio else ""  # spapr_vio_busdev_realize makes it the id
        bus = None
        self._found.clear()
        for number in range(behind.count):
            bus = behind.make(behind.kind, self._name(behind, option, number, own), path)
            bus.provider = option
            (on or self.root).inner.append(bus)
        return bus

    def _name(self, behind: Behind, option: DeviceOption | None, number: int, own: str) -> str:
        given = option.id if option is not None and option.id else own
        if given:
            name = behind.name.format(given)
            return name.removesuffix("0") + str(number) if behind.count > 1 else name
        self._numbered[behind.kind] += 1
        return f"{behind.kind.lower()}.{self._numbered[behind.kind] - 1}"
