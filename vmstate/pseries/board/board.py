"""A board under construction: section ids, instances, interrupt numbers, buses, memory blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.bus_properties import IRQ
from vmstate.pseries.board.buses import Behind, Bus, Buses
from vmstate.pseries.board.connectors import SINCE as CONNECTORS_SINCE
from vmstate.pseries.board.connectors import Connectors
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.board.interrupts import InterruptNumbers
from vmstate.pseries.board.pci_bus import PCI, PciSlots
from vmstate.pseries.board.usb import CONTROLLER, USB, UsbBus, UsbController, UsbDevice
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.vio_bus import VioDevice
from vmstate.savevm.entries import Described, SaveStateEntry, SaveVMHandlers

Registered = SaveStateEntry[Described | SaveVMHandlers]

CONNECTORS = Span(since=CONNECTORS_SINCE)


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


class Board:
    """The board of ``machine``, with all devices made so far."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.entries: list[Registered] = []
        self.connectors: list[Connectors] = []
        self.ram_blocks: list[RamBlock] = []
        self.plugged_memory = 0
        self.numbers = InterruptNumbers(
            legacy=machine.irq == "xics-legacy", hotplug_events=machine.modern_hotplug_events
        )
        self.buses = Buses()
        self._vio: list[VioDevice] = list(reversed(machine.vio.devices))
        self._next_id = 0
        self._prioritized = False
        self._macs = 0
        self._reserved: dict[str, Registered] = {}
        self._instances: Counter[str] = Counter()
        self._compat: Counter[str] = Counter()

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
        entry: Registered = SaveStateEntry(self._next_id, LiveDevice(self.machine))
        self._reserved[name] = entry
        self.entries.append(entry)
        self._next_id += 1

    def fill(self, name: str, device: Device | LiveDevice) -> None:
        """Supply the device of a reserved section."""
        self._reserved[name].device = device

    def connect(self, connectors: Connectors) -> None:
        """Add hotplug connectors, in releases that register them (2.10 on)."""
        if CONNECTORS.covers(self.machine.release):
            self.connectors.append(connectors)
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
        self._macs += 1
        return bytes.fromhex("525400123456")[:5] + bytes([0x55 + self._macs & 0xFF])

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


def _mac_address(text: str) -> bytes:
    try:
        mac = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        mac = b""
    if len(mac) != 6:
        raise NotModelled(f"mac={text}: not modelled")
    return mac
