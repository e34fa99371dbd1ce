"""PCI host bridges and the devices on their buses (hw/ppc/spapr_pci.c spapr_dt_phb, spapr_dt_pci_device)."""

from __future__ import annotations

import struct
from functools import lru_cache

from vmstate.describe.history import History, reached
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.device_tree.connectors import index_of, listed, write_connectors
from vmstate.pseries.device_tree.fdt import Node, cells
from vmstate.pseries.device_tree.inputs import BridgeInputs, TreeInputs
from vmstate.pseries.device_tree.interrupts import PHANDLE
from vmstate.pseries.device_tree.pci_inputs import BehindInputs, PciInputs
from vmstate.pseries.device_tree.pci_names import node_name
from vmstate.pseries.device_tree.rtas import CREATE_WINDOW, QUERY_WINDOW, REMOVE_WINDOW, RESET_WINDOW
from vmstate.pseries.device_tree.vdevice import write_dma_window
from vmstate.pseries.devices.pci.spapr_iommu import PHB_WINDOW_SIZE, pci_liobn
from vmstate.pseries.devices.pci.spapr_pci import BASE_BUID

SLOTS, PINS, FUNCTIONS = 32, 4, 256
MESSAGE_INTERRUPTS = 0xD00
EDGE, LEVEL = 0, 1

_WINDOWS_BASE = 1 << 45
_IO_SIZE, _MEMORY_SIZE, _MEMORY_64_SIZE = 0x10000, 1 << 31, 1 << 40
_IO_SPACE, _MEMORY_SPACE, _MEMORY_64_SPACE = 1, 2, 3
_MEMORY_BUS_ADDRESS = 0x80000000
_RANGE = struct.Struct(">I3Q")

_DDW_EXTENSIONS = History((1, RESET_WINDOW), ("7.1", (2, RESET_WINDOW, 1)))
_NO_ADDRESSES = "4.2"
_CELLS_WITH_DEVICES = "4.1"  # before, the properties had another order
_STATUS = 0x06
_DEVSEL, _FAST_BACK, _66MHZ, _UDF = 0x600, 0x80, 0x20, 0x40


def write_bridges(root: Node, inputs: TreeInputs) -> None:
    """Add all host bridges, the newest first, so that they end up in order of creation."""
    for bridge in reversed(inputs.bridges):
        _bridge(root, inputs, bridge)


def _bridge(root: Node, inputs: TreeInputs, bridge: BridgeInputs) -> None:
    node = root.add(f"pci@{BASE_BUID + bridge.index:x}")
    node.text("device_type", "pci")
    node.text("compatible", "IBM,Logical_PHB")
    cells_first = not reached(_CELLS_WITH_DEVICES, inputs.release)
    if cells_first:
        _address_cells(node)
    node.cells("#interrupt-cells", 1)
    node.set("used-by-rtas")
    node.cells("bus-range", 0, 0xFF)
    node.set("ranges", _ranges(bridge.index))
    node.set("reg", struct.pack(">2Q", BASE_BUID + bridge.index, 0))
    node.cells("ibm,pci-config-space-type", 1)
    node.cells("ibm,pe-total-#msi", MESSAGE_INTERRUPTS)
    if inputs.flags.ddw:
        node.cells("ibm,ddw-applicable", QUERY_WINDOW, CREATE_WINDOW, REMOVE_WINDOW)
        node.cells("ibm,ddw-extensions", *_DDW_EXTENSIONS.at(inputs.release))
    node.cells("interrupt-map-mask", 0xF800, 0, 0, 0xFFFFFFFF)
    node.set("interrupt-map", _interrupt_map(bridge.lsi))
    write_dma_window(node, "ibm,dma-window", pci_liobn(bridge.index, 0), PHB_WINDOW_SIZE)
    connector = index_of(inputs.connectors, DrcType.PHB, bridge.index)
    if connector is not None:
        node.cells("ibm,my-drc-index", connector)
    node.cells("qemu,phb-enumerated", 1)
    if not cells_first:
        _address_cells(node)
    for device in reversed(bridge.devices):
        _device(node, inputs, bridge.index, device)
    write_connectors(node, listed(inputs.connectors, (DrcType.PCI,), bridge.index << 16, FUNCTIONS))


def _address_cells(node: Node) -> None:
    node.cells("#address-cells", 3)
    node.cells("#size-cells", 2)


def _ranges(index: int) -> bytes:
    """Return the windows' bus and guest addresses: I/O, memory, 64-bit memory (phb_placement)."""
    memory = _WINDOWS_BASE + (index + 1) * _MEMORY_SIZE
    memory_64 = _WINDOWS_BASE + (index + 1) * _MEMORY_64_SIZE
    windows = (
        (_IO_SPACE, 0, _WINDOWS_BASE + index * _IO_SIZE, _IO_SIZE),
        (_MEMORY_SPACE, _MEMORY_BUS_ADDRESS, memory, _MEMORY_SIZE),
        (_MEMORY_64_SPACE, memory_64, memory_64, _MEMORY_64_SIZE),
    )
    return b"".join(_RANGE.pack(space << 24, *rest) for space, *rest in windows)


@lru_cache(maxsize=32)
def _interrupt_map(lines: tuple[int, ...]) -> bytes:
    """Return the line of each pin of each slot: lines rotate by one from slot to slot."""
    return b"".join(
        cells(slot << 11, 0, 0, pin + 1, PHANDLE, lines[(slot + pin) % PINS], LEVEL)
        for slot in range(SLOTS)
        for pin in range(PINS)
    )


def _device(parent: Node, inputs: TreeInputs, bridge: int, device: PciInputs) -> None:
    slot, function = device.devfn >> 3, device.devfn & 7
    place = f"{slot:x},{function:x}" if function else f"{slot:x}"
    kind = node_name(device.number(0x09, 3))
    node = parent.add(f"{kind}@{place}")
    old = not reached(_CELLS_WITH_DEVICES, inputs.release)
    _identity(node, device, latency=old and device.behind is None)
    if old:
        node.text("name", kind)
    where = f"{bridge:04x}:{device.bus_number:02x}:{slot:02x}.{function:x}"
    node.text("ibm,loc-code", f"qemu_{device.type_name}:{where}")
    number = bridge << 16 | device.chassis << 8 | device.devfn
    connector = index_of(inputs.connectors, DrcType.PCI, number)
    if connector is not None:
        node.cells("ibm,my-drc-index", connector)
    if old:
        _address_cells(node)
    if device.msi:
        node.cells("ibm,req#msi", device.msi)
    if device.msix:
        node.cells("ibm,req#msi-x", device.msix)
    node.set("reg", _windows(device))
    if not reached(_NO_ADDRESSES, inputs.release):
        node.set("assigned-addresses")  # firmware has placed no window yet
    if device.express:
        node.cells("ibm,pci-config-space-type", 1)
    if device.behind is not None:
        _behind(node, inputs, bridge, device.behind)
    elif not old:
        _latency(node, device)


def _behind(node: Node, inputs: TreeInputs, bridge: int, bus: BehindInputs) -> None:
    """Add the devices behind a bridge, and from 4.1 on the connectors of their slots."""
    old = not reached(_CELLS_WITH_DEVICES, inputs.release)
    if not old:
        _address_cells(node)
    for device in reversed(bus.devices):
        _device(node, inputs, bridge, device)
    if not old:
        first = bridge << 16 | bus.chassis << 8
        write_connectors(node, listed(inputs.connectors, (DrcType.PCI,), first, FUNCTIONS))


def _identity(node: Node, device: PciInputs, *, latency: bool) -> None:
    """Add the identity in the configuration space header, with the latencies if ``latency`` is set."""
    node.cells("vendor-id", device.number(0x00, 2))
    node.cells("device-id", device.number(0x02, 2))
    node.cells("revision-id", device.number(0x08, 1))
    node.cells("class-code", device.number(0x09, 3))
    _if_set(node, device, "interrupts", 0x3D, 1)
    if latency:
        _latency(node, device)
    _if_set(node, device, "subsystem-id", 0x2E, 2)
    _if_set(node, device, "subsystem-vendor-id", 0x2C, 2)
    node.cells("cache-line-size", device.number(0x0C, 1))
    status = device.number(_STATUS, 2)
    node.cells("devsel-speed", status & _DEVSEL)
    flags = (("fast-back-to-back", _FAST_BACK), ("66mhz-capable", _66MHZ), ("udf-supported", _UDF))
    for name, bit in flags:
        if status & bit:
            node.set(name)


def _if_set(node: Node, device: PciInputs, name: str, offset: int, size: int) -> None:
    value = device.number(offset, size)
    if value:
        node.cells(name, value)


def _latency(node: Node, device: PciInputs) -> None:
    node.cells("min-grant", device.number(0x3E, 1))
    node.cells("max-latency", device.number(0x3F, 1))


def _windows(device: PciInputs) -> bytes:
    """Return ``reg``: the configuration space, then each window with its size."""
    place = device.bus_number << 16 | device.devfn << 8
    pieces = [cells(place, 0, 0, 0, 0)]
    for bar in device.bars:
        high = bar.space << 24 | place | bar.register
        pieces.append(cells(high, 0, 0, bar.size >> 32, bar.size & 0xFFFFFFFF))
    return b"".join(pieces)
