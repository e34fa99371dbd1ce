"""Devices that were recorded from real QEMUs, not modelled: known by place, layout, bytes and RAM blocks.

Such a device accepts the bytes that it was seen to accept: those that it sends itself.  Whether it accepts
others only its own code can say, so that is not predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial

from vmstate.describe import Cursor, VMStateDescription
from vmstate.describe.from_vmdesc import Pairs, from_vmdesc, member, parse_json
from vmstate.describe.history import Release
from vmstate.errors import NotModelled
from vmstate.pseries.board.block import DRIVE
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.bus_properties import NIC, OF_BUS
from vmstate.pseries.board.buses import Behind
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property, harmless
from vmstate.pseries.board.recordings import MAC, OTHER_MAC, Added, Recording, Section, recording
from vmstate.pseries.board.scsi_bus import ADAPTERS, SCSI
from vmstate.pseries.board.usb import UsbBus
from vmstate.pseries.devices import drivers
from vmstate.pseries.devices.pci.config_space import HEADER_SIZE, ROM_BAR, ConfigSpace
from vmstate.pseries.devices.pci.pci_device import PciConfig, PciState
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

_PCI_DEVICE = "PCIDevice"
#: Cards that replace the default graphics card (system/vl.c default_list).
_GRAPHICS = frozenset({"cirrus-vga", "isa-cirrus-vga", "isa-vga", "qxl-vga", "vmware-svga"})
_OF_OPTION = frozenset({"id", "bus", "driver", "addr", "port"})
_LATE = " has no peer"  # a line that every network card prints, at the end of the start
_AUDIO = "qemu: module audio-"  # a line of the first sound card
_NO_BUS = "No '"


class RecordedDevice(Device):
    """A section with recorded bytes."""

    def __init__(self, machine: Machine, section: Section, added: Added, idstr: str, mac: bytes) -> None:
        self.description, self._data = _description(section), _with_mac(section, mac)
        super().__init__(machine, idstr, section.instance_id)
        self._section, self._added = section, added
        self.plan.load(Cursor(memoryview(self._data)), self, section.version_id)
        space = _config_space(section.description, self._data, added)
        if space is not None:
            self.pci = PciState(self, space)

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Accept the bytes that the device sends itself.

        Raises NotModelled for others: only the device's own code can judge them.
        """
        start = cur.pos
        incoming = bytes(cur.take(min(len(self._data), cur.end - cur.pos)))
        if version_id != self._section.version_id or not self._added.takes_own or not self._fits(incoming):
            raise NotModelled(
                f"{self.idstr}: the incoming state is not the recorded one; only its own code can judge it",
                offset=start,
            )
        if self._section is self._added.sections[-1]:
            for line in self._added.says_on_load:
                self.say(line)

    def _fits(self, incoming: bytes) -> bool:
        """Return True for the device's own bytes, but for those that vary and that it then accepts."""
        if incoming == self._data:
            return True
        varied = self._section.varied
        if not self._added.takes_varied or not len(incoming) == len(varied) == len(self._data):
            return False
        return all(
            own == other or own_recorded != own_varied
            for own, other, own_recorded, own_varied in zip(
                self._data, incoming, self._section.data, varied, strict=True
            )
        )


class UnmigratableDevice(Device):
    """A recorded device that keeps the source from migrating."""

    def __init__(self, machine: Machine, idstr: str) -> None:
        self.description = VMStateDescription(idstr.rpartition("/")[2], unmigratable=True)
        super().__init__(machine, idstr)


@cache
def _description(section: Section) -> VMStateDescription:
    if not section.description:
        raise NotModelled(f"{section.idstr}: its description was not recorded")
    return from_vmdesc(parse_json(section.description.encode()), "wire:")


@cache
def _with_mac(section: Section, mac: bytes) -> bytes:
    """Return the bytes with another address, in the places that the two recordings show."""
    data, varied = section.data, section.varied
    if mac in (b"", MAC) or len(varied) != len(data):
        return data
    changed = {
        place: index
        for place, both in enumerate(zip(data, varied, strict=True))
        if both[0] != both[1] and (index := _index(*both)) is not None
    }
    new = bytearray(data)
    for place, index in changed.items():
        new[place] = mac[index]
    return bytes(new)


def _index(own: int, other: int) -> int | None:
    return next((i for i, both in enumerate(zip(MAC, OTHER_MAC, strict=True)) if both == (own, other)), None)


def _config_space(description: str, data: bytes, added: Added) -> ConfigSpace | None:
    """Return the configuration space at the start of a PCI device's section; None without one."""
    fields = member(parse_json(description.encode()), "fields", list)
    first = fields[0] if fields else []
    struct: Pairs = next((value for key, value in first if key == "struct"), [])
    if member(struct, "vmsd_name", str, "?") != _PCI_DEVICE:
        return None
    inner = member(struct, "fields", list)
    size = next(member(one, "size", int) for one in inner if ("type", PciConfig.name) in one)
    space = bytes(data[4 : 4 + size])
    writable = bytearray(size)
    for number, length, _kind in added.regions:
        at = 0x30 if number == ROM_BAR else 0x10 + 4 * number
        width = 8 if number != ROM_BAR and space[at] & 7 == 4 else 4
        mask = ~(length - 1) & (1 << 8 * width) - 1
        writable[at : at + width] = mask.to_bytes(width, "little")
    assert size >= HEADER_SIZE
    return ConfigSpace(space, bytes(size), bytes(writable), bytes(size))


# ---- plugging


def _on(known: Recording, machine: Machine, option: DeviceOption | None) -> Added:
    version = machine.type_version
    added = known.added(f"{version.major}.{version.minor}")
    text = option.text if option is not None else f"-device {known.name}"
    if added is None:
        raise NotModelled(f"{text}: not recorded on {machine.type_name}")
    return added


def _plug(known: Recording, board: Board, option: DeviceOption | None) -> None:
    """Add the sections and RAM blocks that were recorded."""
    machine = board.machine
    added = _on(known, machine, option)
    mac = board.mac(option) if "mac" in known.properties else b""
    path = _place(known, board, option)
    if added.blocked:
        board.add(UnmigratableDevice(machine, f"{path}/{known.name}"))
    sections = {one.place: one for one in added.sections}
    for place in range(added.registrations):
        if place not in sections:
            board.skip(1)
            continue
        section = sections[place]
        device = RecordedDevice(machine, section, added, section.idstr.format(path=path), mac)
        device.driver = known.name
        if section.idstr.startswith("{path}/"):
            board.add_at(device.idstr.rpartition("/")[0], device)
        else:
            device.instance_id = board.new_instance(device.idstr)
            board.add(device)
    board.ram_blocks += [RamBlock(name.format(path=path), size) for name, size in added.blocks]


def _place(known: Recording, board: Board, option: DeviceOption | None) -> str:
    """Take the device's place on its bus, if it has one; add the buses that it provides; return its path."""
    if not known.bus:
        return ""
    bus = board.bus(known.bus, option)
    if isinstance(bus, UsbBus) and (bus.controller is None or bus.controller.resets_devices):
        raise NotModelled(f"-device {known.name}: recorded only behind an xHCI controller")
    path = bus.place(board.machine, known.name, option)
    behind = _behind(known)
    if behind is not None:
        board.add_bus(behind, known.bus, option, path)
    return path


def _check(known: Recording, machine: Machine, option: DeviceOption) -> None:
    """Refuse what the recording saw refused.  Raises NotModelled for what it did not see."""
    given = {one.name for one in option.properties} - _OF_OPTION
    needs = known.needs
    if needs is None or not given.issuperset(needs):
        lines = known.refused
        alone = not machine.earlier(option) or lines is None or not any(_NO_BUS in line for line in lines)
        if lines is None or given or not alone:
            raise NotModelled(f"{option.text}: not recorded with these options")
        raise Refused(*_lines(known, lines, option))
    if DRIVE in needs and not machine.drives[option.get(DRIVE) or ""].medium:
        raise NotModelled(f"{option.text}: not recorded with an empty drive")
    added = _on(known, machine, option)
    if added.refused:
        raise Refused(*_lines(known, added.refused, option))
    if added.touches:
        raise NotModelled(f"{option.text}: it changes {', '.join(added.touches)}")


def _lines(known: Recording, lines: tuple[str, ...], option: DeviceOption) -> Iterator[str]:
    """Yield the recorded lines about this option instead of the recorded one."""
    for line in lines:
        name, colon, rest = line.partition(": ")
        yield f"{option.text}{colon}{rest}" if name.startswith(f"-device {known.name}") else line


def _says(known: Recording, machine: Machine, option: DeviceOption, before: Sequence[str]) -> Iterator[str]:
    """Return the lines of the start, but for those that come at its end."""
    lines = _on(known, machine, option).says
    if any(line.startswith(_AUDIO) for line in lines) and any(line.startswith(_AUDIO) for line in before):
        raise NotModelled(f"{option.text}: what a second sound card prints was not recorded")
    at_reset = len(_repeated(lines))
    return (line for line in lines[: len(lines) - at_reset] if not line.endswith(_LATE))


def _says_at_reset(known: Recording, machine: Machine, option: DeviceOption) -> Sequence[str]:
    return _repeated(_on(known, machine, option).says)


def _repeated(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines that a device printed when it was made, and again when the machine was reset."""
    own = [line for line in lines if not line.startswith(_AUDIO)]
    half = len(own) // 2
    return own[half:] if own[:half] == own[half:] else ()


# ---- drivers


def find_driver(name: str, machine: Machine) -> Driver | None:
    """Return the driver of that name, modelled or recorded; None if neither."""
    modelled = drivers().get(name)
    return modelled if modelled is not None else _recorded(name, machine.release)


def is_graphics(name: str, machine: Machine) -> bool:
    """Return True for a card that replaces the default graphics card."""
    driver = find_driver(name, machine)
    return driver is not None and driver.graphics


def _behind(known: Recording) -> Behind | None:
    """Return the buses behind a device; a disk's adapter has one that knows its addresses."""
    behind = known.behind
    if behind == (SCSI,) and known.name in ADAPTERS:
        return ADAPTERS[known.name]
    return Behind(behind[0], count=len(behind)) if behind else None


@cache
def _recorded(name: str, release: Release) -> Driver | None:
    known = recording(name, release)
    if known is None:
        return None
    properties = known.properties
    return Driver(
        name,
        partial(_plug, known),
        bus=known.bus,
        check=partial(_check, known),
        says=partial(_says, known) if known.needs is not None else None,
        says_at_reset=partial(_says_at_reset, known) if known.needs is not None else None,
        properties=tuple(_properties(known)),
        behind=_behind(known),
        netdev_owner=name if "netdev" in properties else "",
        drive_owner=name if DRIVE in properties else "",
        graphics=name in _GRAPHICS,
    )


def _properties(known: Recording) -> Iterator[Property]:
    """Yield the device's own properties: those of its kind of back end, and others with their defaults."""
    shared = {one.name for one in OF_BUS.get(known.bus, ())}
    cards = {one.name: one for one in NIC}
    for name, (kind, default) in known.properties.items():
        if name in shared:
            continue
        if name in cards and "netdev" in known.properties:
            yield cards[name]
        elif name in (known.needs or ()):
            yield from harmless(known.name, "str", "the back end it was recorded with", name)
        elif name == "bootindex":
            yield from harmless(known.name, "int32", "only the order in the device tree", name)
        else:
            text = "" if known.varies or default is None else default
            yield Property(known.name, name, text, kind, Effect.NOT_MODELLED)
