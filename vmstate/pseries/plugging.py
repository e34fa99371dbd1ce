"""The buses of pseries itself: devices on the virtual I/O bus, and PCI host bridges."""

from __future__ import annotations

from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.pseries.board.board import Board, PciSlots
from vmstate.pseries.devices.pci.pci_bus import PciBus
from vmstate.pseries.devices.pci.spapr_iommu import PHB_WINDOW_SIZE, SpaprIommu, pci_liobn
from vmstate.pseries.devices.pci.spapr_pci import BASE_BUID, SpaprPci
from vmstate.pseries.devices.spapr.spapr_drc import Connectors, DrcType
from vmstate.pseries.devices.vio.spapr_llan import SpaprLlan
from vmstate.pseries.devices.vio.spapr_nvram import SpaprNvram
from vmstate.pseries.devices.vio.spapr_vio import SpaprVio
from vmstate.pseries.devices.vio.spapr_vscsi import SpaprVscsi
from vmstate.pseries.devices.vio.spapr_vty import SpaprVty

FUNCTIONS = 256  # of a PCI bus: 32 slots of 8 functions

VIO_DEVICES: dict[str, type[SpaprVio]] = {
    "spapr-vty": SpaprVty,
    "spapr-nvram": SpaprNvram,
    "spapr-vlan": SpaprLlan,
    "spapr-vscsi": SpaprVscsi,
}


def property_of(board: Board, driver: str, name: str, default: str) -> str:
    """A property's value: ``-global`` over what the machine type sets over the device's own default."""
    machine = board.machine
    value = default
    for owner, prop, given in machine.compat_properties:
        if (owner, prop) == (driver, name):
            value = given
    for setting in machine.globals:
        if (setting.driver, setting.prop) == (driver, name):
            value = setting.value
    return value


def number_of(option: Any, name: str, default: int) -> int:
    """A number of an option.  Raises ConfigurationError if it is none."""
    given = option.get(name)
    try:
        return default if given is None else int(given, 0)
    except ValueError:
        raise ConfigurationError(f"{name}={given}: not a number that we model") from None


def is_on(value: str) -> bool:
    """Whether a property of type bool is set."""
    return value in {"on", "yes", "true", "y"}


def add_window(board: Board, window: SpaprIommu) -> None:
    """A DMA window."""
    machine, number = board.machine, board.new_instance("spapr_iommu")
    window.instance_id = machine.rules.table_instance(machine, window.liobn, number)
    board.add(window)


def add_vio(board: Board) -> SpaprVio:
    """The next device on the VIO bus, and its DMA window if it has one."""
    machine = board.machine
    placed, irq = board.next_vio()
    kind = VIO_DEVICES[placed.driver]
    if kind.rtce_window_size:
        add_window(board, SpaprIommu(machine, placed.reg, kind.rtce_window_size))
    more: dict[str, Any] = {}
    if kind is SpaprLlan:
        option = None if placed.option is None else machine.devices[placed.option]
        more["mac"] = board.mac(None if option is None else option.get("mac"))
        more["pools"] = is_on(property_of(board, placed.driver, "use-rx-buffer-pools", "on"))
    device = kind(machine, placed.reg, irq, **more)
    board.add_at(placed.path, device)
    return device


def add_host_bridge(board: Board, index: int, name: str | None = None) -> None:
    """A PCI host bridge: connectors of its slots, its DMA windows, itself, its bus."""
    machine = board.machine
    lsi = board.numbers.pci_lsi(index)
    if machine.flags.phb_dynamic_reconfiguration:
        board.connect(Connectors(DrcType.PCI, index << 16, FUNCTIONS))
    for window in range(2 if machine.flags.ddw else 1):
        size = 0 if window else PHB_WINDOW_SIZE
        add_window(board, SpaprIommu(machine, pci_liobn(index, window), size, default=not window))
    board.add(SpaprPci(machine, index, lsi, board.new_instance("spapr_pci")))
    board.add(PciBus(machine, board.new_instance("PCIBUS")))
    names = (f"{name}.0",) if name else (f"pci.{len(board.buses)}",)
    board.buses.append(PciSlots(f"pci@{BASE_BUID + index:x}", names))


def bus_of(board: Board, name: str | None) -> PciSlots:
    """The bus of that name; without one, the newest (qbus_find_recursive goes backwards).

    Raises ConfigurationError for another name.
    """
    if name is None:
        return board.buses[-1]
    for bus in board.buses:
        if name in bus.names:
            return bus
    raise ConfigurationError(f"bus={name}: no such PCI bus that we model")


def place(board: Board, option: Any | None) -> str:
    """The path of the next device: ``pci@800000020000000:01.0``."""
    bus = bus_of(board, option.get("bus") if option is not None else None)
    number = bus.place(option.get("addr") if option is not None else None)
    return f"{bus.path}:{number >> 3:02x}.{number & 7:x}"
