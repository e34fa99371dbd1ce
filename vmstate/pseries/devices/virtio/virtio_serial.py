"""virtio-serial: an adapter for serial ports (hw/char/virtio-serial-bus.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Cursor, Field, Struct, UInt8, UInt16, UInt32, VMStateDescription, scalar
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.describe.history import Span
from vmstate.describe.infos import Scalar
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
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


class SilentEqual(Scalar):
    """A number that must equal the local one; QEMU refuses without a message (virtio_serial_load_device)."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        at = cur.pos
        number: int = super().get(cur, field, state, size, old)
        if cur.judge and number != old:
            message = f"{field.name} differs from the destination's"
            raise LoadFailure(-EINVAL, message, offset=at, found=number, expected=old)
        return number


UInt32SilentEqual = scalar(SilentEqual("uint32", "I"))

PORT = VMStateDescription(
    "port",
    fields=[UInt32("id"), UInt8("guest_connected"), UInt8("host_connected"), UInt32("elem_popped")],
)

SERIAL_PORTS = VMStateDescription(
    "virtio-serial",
    version_id=3,
    minimum_version_id=3,
    fields=[
        UInt16("cols"),
        UInt16("rows"),
        UInt32("max_nr_ports"),
        UInt32SilentEqual("ports_map"),
        UInt32SilentEqual("nr_active_ports"),
        Struct("ports", PORT)["nr_active_ports"],
    ],
)


class VirtioSerial(VirtioDevice):
    """An adapter without ports; number 0 is reserved for a console.

    The number of ports is sent in the byte order of the host, which is little-endian here.
    """

    description = virtio("virtio-console", 3, SERIAL_PORTS, by_hand=True)
    model = VirtioModel(0x1003, 3, 0x078000, 12)
    cols = rows = 0
    max_nr_ports = 31 << 24
    ports_map = 1
    nr_active_ports = 0

    def __init__(self, machine: Machine, options: VirtioOptions, ports: int = 31) -> None:
        super().__init__(machine, options)
        self.max_nr_ports = ports << 24
        self.ports: list[Any] = []


NAME, OWNER = "virtio-serial-pci", "virtio-serial-device"
BASE = base(NAME)
MOST_PORTS = 511
PORTS_IN_A_WORD = 32
COMMUNICATION, CLASSES = 0x0780, frozenset({0x0780, 0x0380, 0x00FF})
F_MULTIPORT = 0x2


def _word(value: str) -> bool:
    """Return True for ports that fit in one word of the map, or that QEMU refuses."""
    return not PORTS_IN_A_WORD < int(value, 0) <= MOST_PORTS


MAX_PORTS = Property(OWNER, "max_ports", "31", "uint32", values=_word)
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
    features = offered(machine, option, name, (EMERGENCY_WRITE,), F_MULTIPORT)
    given = CLASS.number(machine, option, driver=name)
    model = with_class(VirtioSerial.model, given if given in CLASSES else COMMUNICATION)
    size = 12 if emergency else 8
    chosen = options(machine, option, name, model, queues, vectors, size, features)
    board.plug_pci(VirtioSerial(machine, chosen, ports), name, option)


DRIVERS = forms(
    Driver(
        NAME,
        plug,
        check=checking(check),
        properties=PROPERTIES,
        aliases=("virtio-serial",),
        examples=("-device virtio-serial-pci",),
    )
)
