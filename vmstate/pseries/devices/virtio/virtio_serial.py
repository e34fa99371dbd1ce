"""virtio-serial: an adapter for serial ports (hw/char/virtio-serial-bus.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Cursor, Field, Struct, UInt8, UInt16, UInt32, VMStateDescription, scalar
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.describe.infos import Scalar
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    PROPERTIES,
    VirtioDevice,
    VirtioModel,
    VirtioOptions,
    options,
)
from vmstate.pseries.machine import Machine
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
    """An adapter for 31 ports, none of them plugged; number 0 is reserved for a console.

    The number of ports is sent in the byte order of the host, which is little-endian here.
    """

    description = virtio("virtio-console", 3, SERIAL_PORTS, by_hand=True)
    model = VirtioModel(0x1003, 3, 0x078000, 12, 0x2)
    cols = rows = 0
    max_nr_ports = 31 << 24
    ports_map = 1
    nr_active_ports = 0

    def __init__(self, machine: Machine, options: VirtioOptions) -> None:
        super().__init__(machine, options)
        self.ports: list[Any] = []


PORTS = 31
EMERGENCY_WRITE = Property("virtio-serial-device", "emergency-write", "on")
VECTORS = Property("virtio-serial-pci", "vectors", "2")
F_EMERGENCY_WRITE = 0x4


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug an adapter: two queues for the first port, two for control, two for each other port."""
    machine = board.machine
    queues = [128, 128, 32, 32] + [128, 128] * (PORTS - 1)
    emergency = EMERGENCY_WRITE.flag(machine, option)
    vectors = VECTORS.number(machine, option)
    feature = F_EMERGENCY_WRITE if emergency else 0
    chosen = options(machine, option, queues, vectors, 12 if emergency else 8, feature)
    board.plug_pci(VirtioSerial(machine, chosen), "virtio-serial-pci", option)


DRIVERS = (
    Driver(
        "virtio-serial-pci",
        plug,
        properties=(EMERGENCY_WRITE, VECTORS, *PROPERTIES),
        examples=("-device virtio-serial-pci",),
    ),
)
