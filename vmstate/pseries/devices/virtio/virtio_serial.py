"""virtio-serial: an adapter for serial ports (hw/char/virtio-serial-bus.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe import (
    Cursor,
    Field,
    Record,
    WireArray,
    Writer,
    scalar,
)
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.describe.history import Span
from vmstate.describe.infos import Info, Scalar
from vmstate.errors import NotModelled
from vmstate.handwritten.virtio.serial import PORTS_IN_A_WORD, serial_device, words_of_map
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.buses import Behind, Bus
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.pci_bus import PCI
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    VirtioOptions,
    backend,
    base,
    checking,
    count,
    feature,
    forms,
    ioeventfd,
    named,
    offered,
    options,
    vectors,
    with_class,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


class PortsMap(Info):
    """A bit for each port, which must be the local ones; QEMU refuses without a message.

    hw/char/virtio-serial-bus.c ``virtio_serial_load_device``.
    """

    name = "ports map"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> WireArray:
        at = cur.pos
        words = WireArray("I", cur.take(size))
        if cur.judge and list(words) != list(old):
            message = "the ports differ from the destination's"
            raise LoadFailure(-EINVAL, message, offset=at, found=list(words), expected=list(old))
        return words

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(value.raw)


class ActivePorts(Scalar):
    """The number of ports that follow, each of which must exist here (``fetch_active_ports_list``)."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        count: int = super().get(cur, field, state, size, old)
        known = {port.id for port in state.ports} if cur.judge else set()
        for at in range(cur.pos, cur.pos + count * PORT_SIZE if cur.judge else cur.pos, PORT_SIZE):
            port = bytes(cur.data[at : min(at + PORT_SIZE, cur.end)]).ljust(PORT_SIZE, b"\0")
            if int.from_bytes(port[:4], "big") not in known:
                raise LoadFailure(-EINVAL, "no such port here", offset=at, found=port[:4].hex())
            if any(port[6:]):
                raise cur.unknown("a virtio-serial port with a request in flight is not modelled", offset=at)
            if at >= cur.end:
                raise cur.unknown("more ports than the stream has bytes are not modelled", offset=at)
        return count


PORT_SIZE = 10
_LAYOUT = serial_device(packed=False)
_CHECKED = {
    "ports_map": Field("ports_map", PortsMap(), attr="ports_map", size="map_size"),
    "nr_active_ports": scalar(ActivePorts("uint32", "I"))("nr_active_ports"),
}
SERIAL_PORTS = replace(
    _LAYOUT,
    version_id=3,
    minimum_version_id=3,
    fields=[_CHECKED.get(one.name, one) for one in _LAYOUT.fields],
)


class VirtioSerial(VirtioDevice):
    """An adapter with its ports; number 0 is reserved for a console.

    The number of ports is sent in the byte order of the host, which is little-endian here.
    """

    description = virtio("virtio-console", 3, SERIAL_PORTS, by_hand=True)
    model = VirtioModel(0x1003, 3, 0x078000, 12)
    cols = rows = 0
    max_nr_ports = 31 << 24
    nr_active_ports = 0
    _most: int | None = None

    def __init__(self, machine: Machine, options: VirtioOptions, ports: int = 31) -> None:
        super().__init__(machine, options)
        self._most = ports
        self.max_nr_ports = int.from_bytes(ports.to_bytes(4, "little"), "big")
        self.ports: list[Any] = []
        self.ports_map = _map([1, *[0] * (self.map_size // 4 - 1)])

    @property
    def map_size(self) -> int:
        """The bytes of the map of ports; when only decoding, by the number that the stream has."""
        if self._most is None:
            return words_of_map(self.max_nr_ports) * 4
        return -(-self._most // PORTS_IN_A_WORD) * 4

    def add_port(self, number: int, *, connected: bool) -> None:
        """Add a port; ``connected``: the host has opened it, as it does where it has a chardev."""
        self.ports.append(Record(id=number, guest_connected=0, host_connected=int(connected), elem_popped=0))
        self.nr_active_ports = len(self.ports)
        words = list(self.ports_map)
        words[number // PORTS_IN_A_WORD] |= 1 << number % PORTS_IN_A_WORD
        self.ports_map = _map(words)


def _map(words: Sequence[int]) -> WireArray:
    return WireArray("I", b"".join(word.to_bytes(4, "big") for word in words))


NAME, OWNER = "virtio-serial-pci", "virtio-serial-device"
BASE = base(NAME)
MOST_PORTS = 511
COMMUNICATION, CLASSES = 0x0780, frozenset({0x0780, 0x0380, 0x00FF})
F_MULTIPORT = 0x2


MAX_PORTS = Property(OWNER, "max_ports", "31", "uint32")
EMERGENCY_WRITE = feature(OWNER, "emergency-write", 2, "on", Span(until="11.0"))
VECTORS = vectors(BASE, "2")
CLASS = Property(BASE, "class", "0", "uint32")
PROPERTIES = (
    *(MAX_PORTS, EMERGENCY_WRITE, VECTORS, CLASS),
    *ioeventfd(BASE),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)


def check(machine: Machine, option: DeviceOption) -> None:
    """Check that there are ports, and queues for all (``virtio_serial_device_realize``)."""
    name = option.driver
    ports = MAX_PORTS.number(machine, option, driver=name)
    if not ports:
        raise Refused(f"{option.text}: Maximum number of serial ports not specified")
    if ports > MOST_PORTS:
        raise Refused(f"{option.text}: maximum ports supported: {MOST_PORTS}")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug an adapter: two queues for the first port, two for control, two for each other port."""
    machine = board.machine
    name = named(option, NAME)
    ports = MAX_PORTS.number(machine, option, driver=name)
    queues = [128, 128, 32, 32] + [128, 128] * (ports - 1)
    emergency = EMERGENCY_WRITE.flag(machine, option, name)
    vectors = count(VECTORS, machine, option, name, ports + 1)
    features = offered(machine, option, name, (EMERGENCY_WRITE,), F_MULTIPORT if ports > 1 else 0)
    given = CLASS.number(machine, option, driver=name)
    model = with_class(VirtioSerial.model, given if given in CLASSES else COMMUNICATION)
    size = 12 if emergency else 8
    chosen = options(machine, option, name, model, queues, vectors, size, features)
    device = VirtioSerial(machine, chosen, ports)
    path = board.plug_pci(device, name, option)
    bus = board.add_bus(BUS, PCI, option, path)
    assert isinstance(bus, SerialBus)
    bus.device = device


# ---- ports

_BAD_ID = 0xFFFFFFFF
NR = Property("virtio-serial-port", "nr", "4294967295", "uint32", by_global=False)
PORT_NAME = Property("virtio-serial-port", "name", by_global=False)
CHARDEV = Property("virtserialport", "chardev", by_global=False)
CONSOLE, SERIAL_PORT = "virtconsole", "virtserialport"
_NAMES_CHECKED = Span("2.2")


@dataclass(eq=False)
class SerialBus(Bus):
    """The ports of an adapter, which the board connects; None while QEMU starts."""

    device: VirtioSerial | None = None
    taken: set[int] = field(default_factory=set)

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take a port (``virtser_port_device_realize``, ``virtconsole_realize``); return its path."""
        if option is None:
            raise NotModelled(f"-device {driver}: the board has no port: not modelled")
        connected = _check_chardev(machine, option)
        number = self._number(machine, option)
        self.taken.add(number)
        if self.device is not None:
            self.device.add_port(number, connected=connected)
        return self.path

    def check(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Take a port."""
        self.place(machine, driver, option)

    def _number(self, machine: Machine, option: DeviceOption) -> int:
        number = NR.number(machine, option, driver=option.driver) & _BAD_ID
        if number in self.taken:
            raise Refused(f"{option.text}: virtio-serial-bus: A port already exists at id {number}")
        name = option.get(PORT_NAME.name)
        if name is not None and name in _names(machine, option):
            raise Refused(f"{option.text}: virtio-serial-bus: A port already exists by name {name}")
        most = MAX_PORTS.number(machine, self.provider, driver=named(self.provider, NAME))
        if number == _BAD_ID:
            number = self._free(option, most)
        if number >= most:
            line = f"Out-of-range port id specified, max. allowed: {most - 1}"
            raise Refused(f"{option.text}: virtio-serial-bus: {line}")
        if not number and option.driver != CONSOLE:
            line = "Port number 0 on virtio-serial devices reserved for virtconsole devices"
            raise Refused(f"{option.text}: {line} for backward compatibility.")
        return number

    def _free(self, option: DeviceOption, most: int) -> int:
        """Return the first free number; 0 is only for a console (``find_free_port_id``)."""
        if option.driver == CONSOLE and 0 not in self.taken:
            return 0
        room = -(-most // PORTS_IN_A_WORD) * PORTS_IN_A_WORD
        found = next((number for number in range(1, room) if number not in self.taken), None)
        if found is None:
            line = "Maximum port limit for this device reached"
            raise Refused(f"{option.text}: virtio-serial-bus: {line}")
        return found


def _names(machine: Machine, option: DeviceOption) -> set[str | None]:
    """Return the names of the ports of all adapters that were plugged before."""
    if not _NAMES_CHECKED.covers(machine.release):
        return set()
    before = machine.earlier(option)
    return {one.get(PORT_NAME.name) for one in before if one.driver in (CONSOLE, SERIAL_PORT)}


def _check_chardev(machine: Machine, option: DeviceOption) -> bool:
    """Check that the port's chardev exists and is free; return True if it has one (``set_chr``)."""
    wanted = option.get(CHARDEV.name)
    if not wanted:
        return False
    if wanted not in machine.chardevs:
        line = f"Property '{option.driver}.chardev' can't find value '{wanted}'"
        raise Refused(f"{option.text}: {line}")
    before = machine.earlier(option)
    if f"chardev:{wanted}" in machine.serials or any(one.get(CHARDEV.name) == wanted for one in before):
        raise NotModelled(f"{option.text}: a chardev of two devices is not modelled")
    return True


BUS = Behind("virtio-serial-bus", make=SerialBus)


def plug_port(board: Board, option: DeviceOption | None) -> None:
    """Plug a port, which the adapter sends."""
    board.bus(BUS.kind, option).place(board.machine, named(option, SERIAL_PORT), option)


def _port(name: str) -> Driver:
    example = f"-device virtio-serial-pci,id=s{{0}} -device {name},bus=s{{0}}.0"
    return Driver(name, plug_port, bus=BUS.kind, properties=(NR, PORT_NAME, CHARDEV), examples=(example,))


DRIVERS = (
    *forms(
        Driver(
            NAME,
            plug,
            check=checking(check),
            properties=PROPERTIES,
            behind=BUS,
            aliases=("virtio-serial",),
            examples=("-device virtio-serial-pci",),
        )
    ),
    _port(SERIAL_PORT),
    _port(CONSOLE),
)
