"""``pci_bridge``: a PCI bridge with a hotplug controller (hw/pci-bridge/pci_bridge_dev.c, hw/pci/shpc.c)."""

from __future__ import annotations

import struct
from collections.abc import Container
from functools import lru_cache
from typing import Any

from vmstate.describe import Cursor, Field, History, VMStateDescription, Writer
from vmstate.describe.description import Priority
from vmstate.describe.history import Span
from vmstate.describe.infos import Info
from vmstate.errors import NotModelled
from vmstate.handwritten.pci_walk import capability
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.buses import Behind
from vmstate.pseries.board.connectors import Connectors, DrcType
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.pci_bus import FUNCTIONS, PCI, BridgedBus
from vmstate.pseries.board.properties import Property, harmless
from vmstate.pseries.devices.pci.config_space import (
    BAR_MEMORY_64,
    VENDOR_ID,
    Bar,
    Capability,
    PciId,
    msi,
    with_options,
)
from vmstate.pseries.devices.pci.pci_bus import PciBus
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption, parse_number, parse_size

BRIDGE, SEAT = "pci-bridge", "pci-bridge-seat"
#: The bus behind a bridge is called after the bridge.
BUS = Behind(PCI, "{}", BridgedBus)
REDHAT, DEVICES = 0x1B36, {BRIDGE: 0x0001, SEAT: 0x000A}

# The hotplug controller's registers (SHPC).

SHPC_SLOTS, SHPC_SLOT_REGISTERS = 31, 0x24
SHPC_SIZE = SHPC_SLOT_REGISTERS + 4 * SHPC_SLOTS
SHPC_ID, SLOT_ID = 0x0C, 0x04
_SHPC_HEADER = struct.Struct("<IIIBBHHBBBBHIII")
_FIRST_PHYSICAL_SLOT = 0xE001  # numbers go up from 1; slots have a latch and a button
_INTERRUPTS_OFF, _EVENTS_OFF = 0xF, 0x7F
_OCCUPIED, _EMPTY = 0x006, 0xD0F  # state, power light, latch, presence
_ATTENTION = History(0, ("8.0", 0x30))  # the attention light: not set, off


class ShpcState(Info):
    """The registers of the hotplug controller, which a destination takes as they come."""

    name = "shpc"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> memoryview:
        return cur.take(SHPC_SIZE)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(value)


def has_shpc(bridge: PciBridge, version_id: int) -> bool:
    """The property ``shpc`` is on; of a stream alone, the capability says so."""
    if bridge.with_shpc is None:
        return capability(bridge.pci.config, SHPC_ID) != 0
    return bridge.with_shpc


#: Bridges come before the devices behind them.
PRIORITY = History(Priority.DEFAULT, ("2.12", Priority.PCI_BUS))

PCI_BRIDGE = VMStateDescription(
    "pci_bridge",
    fields=[Pci("parent_obj"), Field("shpc", ShpcState(), attr="shpc", exists=has_shpc)],
)


class PciBridge(Device):
    """A bridge after reset; the board has numbered its bus."""

    description = PCI_BRIDGE
    pci: PciState
    with_shpc: bool | None = None

    def __init__(self, machine: Machine, identity: PciId, *, with_shpc: bool) -> None:
        super().__init__(machine)
        self.pci = PciState(self, identity)
        self.with_shpc = with_shpc
        self.reset(frozenset())

    @property
    def priority(self) -> int:
        """The priority: higher ones are sent and loaded first."""
        return PRIORITY.at(self.machine.release)

    def reset(self, slots: Container[int]) -> None:
        """Reset the hotplug controller, which sees the devices in function 0 of ``slots``."""
        found = frozenset(number for number in range(1, SHPC_SLOTS + 1) if number << 3 in slots)
        self.shpc = hotplug_registers(found, _ATTENTION.at(self.machine.release))

    def number(self, primary: int, secondary: int, subordinate: int) -> None:
        """Number the buses on both sides, and the last one behind (``spapr_phb_pci_enumerate_bridge``)."""
        config = bytearray(self.pci.config)
        config[0x18:0x1B] = primary, secondary, subordinate
        self.pci.config = bytes(config)


@lru_cache(maxsize=16)
def hotplug_registers(slots: frozenset[int], attention: int) -> bytes:
    """Return the registers with devices in ``slots``, and with attention lights so (``shpc_reset``)."""
    count = SHPC_SLOTS
    header = (0, count, 0, count, 1, _FIRST_PHYSICAL_SLOT, 0, 0, 1, 0, 0, 0, 0, 0, _INTERRUPTS_OFF)
    states = (attention | (_OCCUPIED if slot in slots else _EMPTY) for slot in range(1, count + 1))
    return _SHPC_HEADER.pack(*header) + b"".join(struct.pack("<HBB", one, 0, _EVENTS_OFF) for one in states)


# ---- properties

CHASSIS = Property(BRIDGE, "chassis_nr", "0", "uint8", by_global=False)
MSI = Property(BRIDGE, "msi", "auto", "OnOffAuto")
SHPC = Property(BRIDGE, "shpc", History("off", ("2.10", "on")), "bool")
RESERVES = Span("3.1")
_ALL = (1 << 64) - 1


def _is_size(value: str) -> bool:
    return parse_size(value) is not None


BUS_RESERVE = Property(BRIDGE, "bus-reserve", str(0xFFFFFFFF), "uint32", span=RESERVES)
IO_RESERVE, MEMORY_RESERVE, PREF32_RESERVE, PREF64_RESERVE = (
    Property(BRIDGE, f"{name}-reserve", str(_ALL), "size", span=RESERVES, values=_is_size)
    for name in ("io", "mem", "pref32", "pref64")
)
PROPERTIES = (
    *(CHASSIS, MSI, SHPC, BUS_RESERVE, IO_RESERVE, MEMORY_RESERVE, PREF32_RESERVE, PREF64_RESERVE),
    *harmless(
        BRIDGE, "bool", "only a bus of PCI Express", "x-pci-express-writeable-slt-bug", span=Span("8.2")
    ),
)
RESOURCE_RESERVE, RESERVE_LENGTH = 1, 32
_32_BITS = 1 << 32


def _reserves(machine: Machine, option: DeviceOption | None) -> tuple[int, int, int, int, int]:
    """Return the numbers of buses and bytes to reserve; those that are not given have all bits set."""
    if not RESERVES.covers(machine.release):
        return 0xFFFFFFFF, _ALL, _ALL, _ALL, _ALL
    io, memory, pref32, pref64 = (
        parse_size(one.text(machine, option, BRIDGE)) or 0
        for one in (IO_RESERVE, MEMORY_RESERVE, PREF32_RESERVE, PREF64_RESERVE)
    )
    buses = BUS_RESERVE.number(machine, option, driver=BRIDGE) & 0xFFFFFFFF
    return buses, io, memory, pref32, pref64


def _check_reserves(machine: Machine, option: DeviceOption) -> None:
    """``pci_bridge_qemu_reserve_cap_init``."""
    _, _, memory, pref32, pref64 = _reserves(machine, option)
    start = f"{option.text}: PCI resource reserve cap:"
    if _ALL not in (pref32, pref64):
        raise Refused(f"{start} PREF32 and PREF64 conflict")
    if _32_BITS <= memory != _ALL:
        raise Refused(f"{start} mem-reserve must be less than 4G")
    if _32_BITS <= pref32 != _ALL:
        raise Refused(f"{start} pref32-reserve  must be less than 4G")


_CHASSIS_CHECKED_FIRST = History(False, ("6.0", True))
_CHASSIS_UNIQUE = History(False, ("5.1", True))
_CONNECTORS = Span("4.1")


def check_first(machine: Machine, option: DeviceOption) -> None:
    """Check the chassis before the device is realized, from 6.0 on (``spapr_pci_pre_plug``)."""
    if _CHASSIS_CHECKED_FIRST.at(machine.release):
        _check_chassis(machine, option)


def _check_chassis(machine: Machine, option: DeviceOption) -> None:
    """Refuse a bridge without a chassis, or with that of another one (``bridge_has_valid_chassis_nr``)."""
    chassis = CHASSIS.number(machine, option)
    if not chassis:
        raise Refused(
            f'{option.text}: PCI Bridge lacks a "chassis_nr" property', "Try -device pci-bridge instead."
        )
    if chassis in _chassis_before(machine, option):
        raise Refused(f"{option.text}: Bridge chassis {chassis} already in use")


def _chassis_before(machine: Machine, option: DeviceOption) -> set[int | None]:
    bridges = (other for other in machine.earlier(option) if other.driver in DEVICES)
    return {parse_number(other.get(CHASSIS.name) or "") for other in bridges}


def check(machine: Machine, option: DeviceOption) -> None:
    """Check a bridge as it is realized (``pci_bridge_dev_realize``), then plugged (``spapr_pci_plug``)."""
    chassis = CHASSIS.number(machine, option)
    if not chassis:
        line = "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0."
        raise Refused(f"{option.text}: {line}")
    _check_reserves(machine, option)
    if not machine.flags.phb_dynamic_reconfiguration or not _CONNECTORS.covers(machine.release):
        return
    if _CHASSIS_UNIQUE.at(machine.release):
        _check_chassis(machine, option)
    elif chassis in _chassis_before(machine, option):
        raise NotModelled(f"{option.text}: a chassis twice is not modelled in {machine.release}")


def identity(machine: Machine, option: DeviceOption | None, driver: str) -> PciId:
    """Return a bridge with its capabilities: hotplug controller, slot numbering, MSI, reserves."""
    shpc = SHPC.flag(machine, option, driver)
    found, place = [], 0x40
    if shpc:
        found.append(Capability(place, SHPC_ID, bytes(6), b"\xff\0\xff\xff\xff\xff"))
        place += 8
    chassis = CHASSIS.number(machine, option) & 0xFF
    found.append(Capability(place, SLOT_ID, bytes([0x20, chassis]), b"\0\xff"))
    place += 4
    if shpc and MSI.text(machine, option, driver) != "off":
        found.append(msi(place, 0x0180, masking=1))
        place += 24
    reserves = _reserves(machine, option)
    if reserves != (0xFFFFFFFF, _ALL, _ALL, _ALL, _ALL):
        buses, io, memory, pref32, pref64 = reserves
        body = struct.pack("<BBIQ", RESERVE_LENGTH, RESOURCE_RESERVE, buses, io)
        body += struct.pack("<IIQ", memory & 0xFFFFFFFF, pref32 & 0xFFFFFFFF, pref64)
        found.append(Capability(place, VENDOR_ID, body))
    return PciId(
        REDHAT,
        DEVICES[driver],
        0x060400,
        interrupt_pin=int(shpc),
        bars=(Bar(0, 256, BAR_MEMORY_64),) if shpc else (),
        capabilities=tuple(found),
        bridge=True,
    )


def _plug(driver: str, board: Board, option: DeviceOption | None) -> None:
    """Plug a bridge: itself, its bus, from 4.1 on the connectors of the slots of its bus."""
    machine = board.machine
    on = board.pci_bus(option)
    shown, _ = with_options(identity(machine, option, driver), machine, option, driver)
    bridge = PciBridge(machine, shown, with_shpc=SHPC.flag(machine, option, driver))
    path = board.plug_pci(bridge, driver, option)
    bus = board.add_bus(BUS, PCI, option, path)
    assert isinstance(bus, BridgedBus)
    bus.bridge = bridge
    board.add(PciBus(machine, board.new_instance("PCIBUS"), lines=0))
    if on.connectors is not None and _CONNECTORS.covers(machine.release):
        bus.connectors = on.connectors & ~0xFFFF | CHASSIS.number(machine, option) << 8
        board.connect(Connectors(DrcType.PCI, bus.connectors, FUNCTIONS))


def plug_bridge(board: Board, option: DeviceOption | None) -> None:
    """Plug a ``pci-bridge``."""
    _plug(BRIDGE, board, option)


def plug_seat(board: Board, option: DeviceOption | None) -> None:
    """Plug a ``pci-bridge-seat``, which has another device number."""
    _plug(SEAT, board, option)


DRIVERS = (
    Driver(
        BRIDGE,
        plug_bridge,
        behind=BUS,
        check_first=check_first,
        check=check,
        properties=PROPERTIES,
        examples=("-device pci-bridge,chassis_nr=1",),
    ),
    Driver(SEAT, plug_seat, behind=BUS, check_first=check_first, check=check, properties=PROPERTIES),
)
