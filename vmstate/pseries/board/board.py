"""A board under construction: section ids, instances, interrupt numbers, buses, memory blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

from vmstate.dataclass import dataclass, replace
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.bus_properties import IRQ
from vmstate.pseries.board.buses import Behind, Bus, Buses
from vmstate.pseries.board.connectors import SINCE as CONNECTORS_SINCE
from vmstate.pseries.board.connectors import Connectors, DrcType
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.board.interrupts import InterruptNumbers
from vmstate.pseries.board.pci_bus import PCI, PciSlots
from vmstate.pseries.board.usb import CONTROLLER, USB, UsbBus, UsbController, UsbDevice
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.vio_bus import VioDevice
from vmstate.savevm.entries import Described, SaveStateEntry, SaveVMHandlers

T = TypeVar("T")
Registered = SaveStateEntry[Described | SaveVMHandlers]

CONNECTORS = Span(since=CONNECTORS_SINCE)

#: The unit of memory hotplug, and the alignment of the area for modules.
LMB_SIZE, MEMORY_ALIGNMENT = 1 << 28, 1 << 30


@dataclass(frozen=True, slots=True)
class RamBlock:
    """A piece of guest memory: ``used_length`` bytes now, ``max_length`` at most if it can grow."""

    name: str
    used_length: int
    max_length: int = 0

    @property
    def resizeable(self) -> bool:
        """True for firmware images, whose size may differ on the destination; False for plain memory."""
        return self.max_length > 0

    @property
    def header(self) -> bytes:
        """The length byte and the name, which precede a block's first page."""
        raw = self.name.encode()
        return bytes([len(raw)]) + raw


@dataclass(frozen=True, slots=True)
class Module:
    """A memory module: its option, its address in the guest, its bytes."""

    option: DeviceOption | None
    address: int
    size: int

    @property
    def connectors(self) -> range:
        """The numbers of its connectors."""
        return range(self.address // LMB_SIZE, (self.address + self.size) // LMB_SIZE)


@dataclass(frozen=True)
class _Plugged:
    """The parts of the board that came with the device of an option."""

    option: DeviceOption
    entries: list[Registered]
    ram_blocks: list[RamBlock]
    connectors: list[Connectors]
    interrupts: list[int]


class Board:
    """The board of ``machine``, with all devices made so far.

    ``cores``: the vcpu ids of the present cores' first processors; ``modules``: the plugged memory.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.entries: list[Registered] = []
        self.connectors: list[Connectors] = []
        self.ram_blocks: list[RamBlock] = []
        self.cores: set[int] = set()
        self.modules: list[Module] = []
        self.numbers = InterruptNumbers(
            legacy=machine.irq == "xics-legacy", hotplug_events=machine.modern_hotplug_events
        )
        self.buses = Buses()
        self._vio: list[VioDevice] = list(reversed(machine.vio.devices))
        self._next_id = 0
        self._prioritized = False
        self._macs: dict[int, DeviceOption | None] = {}
        self._reserved: dict[str, Registered] = {}
        self._instances: Counter[str] = Counter()
        self._compat: Counter[str] = Counter()
        self._plugged: list[_Plugged] = []

    def add(self, device: Device | LiveDevice) -> None:
        """Register a section."""
        self.entries.append(SaveStateEntry(self._next_id, device))
        self._next_id += 1
        if device.priority:
            self._prioritized = True

    def add_at(self, path: str, device: Device) -> None:
        """Register a device under its path on a bus; older releases used its plain name."""
        name = device.description.name
        device.idstr = f"{path}/{name}"
        device.compat = (name, self._compat[name])
        self._compat[name] += 1
        self.add(device)

    @contextmanager
    def plugging(self, option: DeviceOption) -> Iterator[None]:
        """Record what the device of ``option`` puts on the board, so that it can be unplugged."""
        entries, blocks = len(self.entries), len(self.ram_blocks)
        connectors, interrupts = len(self.connectors), len(self.numbers.lsi)
        yield
        self._plugged.append(
            _Plugged(
                option,
                self.entries[entries:],
                self.ram_blocks[blocks:],
                self.connectors[connectors:],
                list(self.numbers.lsi)[interrupts:],
            )
        )

    def unplug(self, option: DeviceOption) -> None:
        """Remove a plugged device with its sections, memory, connectors, address and buses."""
        found = next(one for one in self._plugged if one.option is option)
        self._plugged.remove(found)
        self.entries = _without(self.entries, found.entries)
        self.ram_blocks = _without(self.ram_blocks, found.ram_blocks)
        self.connectors = _without(self.connectors, found.connectors)
        self.numbers.free(found.interrupts)
        self._macs = {number: owner for number, owner in self._macs.items() if owner is not option}
        self.modules = [one for one in self.modules if one.option is not option]
        self.buses.remove(option)
        for idstr in {entry.device.idstr for entry in found.entries}:
            taken = (one.device.instance_id for one in self.entries if one.device.idstr == idstr)
            self._instances[idstr] = max(taken, default=-1) + 1
        for name in {entry.device.compat[0] for entry in found.entries if entry.device.compat is not None}:
            compat = (one.device.compat for one in self.entries if one.device.compat is not None)
            self._compat[name] = max((one[1] for one in compat if one[0] == name), default=-1) + 1

    def plug_memory(self, option: DeviceOption | None, block: RamBlock) -> None:
        """Plug a memory module at the first free address (``memory_device_get_free_addr``)."""
        address = -(-self.machine.ram_size // MEMORY_ALIGNMENT) * MEMORY_ALIGNMENT
        for other in sorted(self.modules, key=lambda one: one.address):
            if address + block.used_length <= other.address:
                break
            address = other.address + other.size
        self.modules.append(Module(option, address, block.used_length))
        self.ram_blocks.append(block)

    @property
    def plugged_memory(self) -> int:
        """The bytes of all memory modules."""
        return sum(module.size for module in self.modules)

    def pci_buses(self) -> Iterator[PciSlots]:
        """Yield all PCI buses."""
        return (bus for bus in self.buses.root.below() if isinstance(bus, PciSlots))

    def attached(self, kind: DrcType, number: int) -> bool:
        """Return True if the connector of that kind and number has a device."""
        match kind:
            case DrcType.CPU:
                return number in self.cores
            case DrcType.PHB:
                return any(bus.connectors == number << 16 for bus in self.pci_buses())
            case DrcType.LMB:
                return any(number in module.connectors for module in self.modules)
            case DrcType.PCI:
                found = (bus for bus in self.pci_buses() if bus.connectors == number & ~0xFF)
                return any(number & 0xFF in bus.taken for bus in found)
        return False

    def plug_pci(self, device: Device, driver: str, option: DeviceOption | None = None) -> str:
        """Put a PCI device in the requested slot, or the first free one; return its path.

        Raises NotModelled for a bus or a slot that is not modelled.
        """
        path = self.bus(PCI, option).place(self.machine, driver, option)
        device.driver = driver
        self.add_at(path, device)
        return path

    def bus(self, kind: str, option: DeviceOption | None) -> Bus:
        """Return the bus of that type that an option names, or that QEMU finds.

        Raises NotModelled if there is none.
        """
        name = None if option is None else option.get("bus")
        found = self.buses.find(kind) if name is None else self.buses.named(name)
        if found is None or found.kind != kind:
            raise NotModelled(f"no bus {name or ''} of type {kind} that is modelled")
        return found

    def pci_bus(self, option: DeviceOption | None) -> PciSlots:
        """Return the bus that a PCI device is plugged into.  Raises NotModelled if there is none."""
        found = self.bus(PCI, option)
        assert isinstance(found, PciSlots)
        return found

    def add_bus(self, behind: Behind, kind: str, option: DeviceOption | None, path: str) -> Bus | None:
        """Add the bus behind a new device with that path, which is plugged into a bus of type ``kind``."""
        return self.buses.add(behind, option, self.bus(kind, option), path)

    def plug_usb(self, device: UsbDevice, driver: str, option: DeviceOption | None = None) -> str:
        """Put a USB device in a port of the named controller, or of the one that QEMU finds; return its path.

        Raises NotModelled if there is no such bus or no free port.
        """
        bus = self.bus(USB, option)
        if isinstance(bus, UsbBus) and bus.controller is not None and bus.controller.resets_devices:
            device.reset()
        path = bus.place(self.machine, driver, option)
        self.add_at(path, device)
        return path

    def plug_usb_controller(
        self, device: UsbController, driver: str, option: DeviceOption | None = None
    ) -> None:
        """Put a USB host controller on a PCI bus, and a USB bus behind it."""
        path = self.plug_pci(device, driver, option)
        bus = self.add_bus(CONTROLLER, PCI, option, path)
        assert isinstance(bus, UsbBus)
        bus.controller = device

    def skip(self, count: int) -> None:
        """Count registrations that are not listed."""
        self._next_id += count

    def reserve(self, name: str) -> None:
        """Register a section whose device depends on later ones; :meth:`fill` supplies it."""
        placeholder = LiveDevice(self.machine)
        placeholder.idstr = name
        entry: Registered = SaveStateEntry(self._next_id, placeholder)
        self._reserved[name] = entry
        self.entries.append(entry)
        self._next_id += 1

    def fill(self, name: str, device: Device | LiveDevice) -> None:
        """Supply the device of a reserved section."""
        self._reserved[name].device = device

    def connect(self, connectors: Connectors) -> None:
        """Add hotplug connectors, in releases that register them (2.10 on)."""
        if CONNECTORS.covers(self.machine.release):
            self.connectors.append(replace(connectors, section_id=self._next_id))
            self.skip(connectors.registrations)

    def new_instance(self, idstr: str) -> int:
        """Return the next free instance of a section that does not choose its own."""
        self._instances[idstr] += 1
        return self._instances[idstr] - 1

    def mac(self, option: DeviceOption | None) -> bytes:
        """Return a network card's address: the given one, or the next of QEMU's own."""
        given = None if option is None else option.get("mac")
        if given is not None:
            return _mac_address(given)
        number = next(n for n in count() if n not in self._macs)
        self._macs[number] = option
        return bytes.fromhex("5254001234") + bytes([0x56 + number & 0xFF])

    def next_vio(self) -> tuple[VioDevice, int]:
        """Return the next device on the VIO bus, and its interrupt number."""
        device = self._vio.pop()
        option = None if device.option is None else self.machine.devices[device.option]
        given = option.get("irq") if option is not None and IRQ.span.covers(self.machine.release) else None
        if given is not None:
            return device, self.numbers.given(int(given, 0))
        return device, self.numbers.vio(device.irq)

    def sections(self) -> list[Registered]:
        """Return all entries, highest priority first, else as registered (savevm_state_handler_insert)."""
        if not self._prioritized:
            return self.entries
        return sorted(self.entries, key=lambda entry: -entry.device.priority)


def _without(items: list[T], gone: list[T]) -> list[T]:
    ids = set(map(id, gone))
    return [one for one in items if id(one) not in ids]


def _mac_address(text: str) -> bytes:
    try:
        mac = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        mac = b""
    if len(mac) != 6:
        raise NotModelled(f"mac={text}: not modelled")
    return mac
