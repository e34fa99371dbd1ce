"""The inputs of PCI devices' nodes, read from their configuration space after reset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmstate.dataclass import dataclass, replace
from vmstate.handwritten.msix import announced_vectors
from vmstate.handwritten.pci_walk import EXPRESS, capability
from vmstate.pseries.board.board import RamBlock
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.pci.config_space import (
    BAR_IO,
    BAR_MEMORY_64,
    BRIDGE_HEADER,
    HEADER_SIZE,
    MSI_ID,
    ConfigSpace,
)
from vmstate.pseries.devices.pci.pci_bridge import SLOT_ID
from vmstate.pseries.devices.pci.pci_device import PciState
from vmstate.savevm.entries import Entry

BARS, BRIDGE_BARS = 6, 2
HEADER_TYPE, SECONDARY_BUS, MULTIPLE = 0x0E, 0x19, 0x80

_IO_SPACE, _MEMORY_SPACE, _MEMORY_64_SPACE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class BarInputs:
    """A window: the offset of its register, its address space, its size."""

    register: int
    space: int
    size: int


@dataclass(frozen=True, slots=True)
class BehindInputs:
    """The bus behind a bridge: its chassis, its devices (by device and function)."""

    chassis: int
    devices: tuple[PciInputs, ...]


@dataclass(frozen=True, slots=True)
class PciInputs:
    """A device: its place (slot and function), type, the header of its configuration space, its windows.

    ``msi`` and ``msix``: the number of its vectors of each kind.  ``bus_number`` and ``chassis``: of the bus
    that it is on.  ``behind``: the devices on the bus behind a bridge, and its chassis; None for others.
    """

    devfn: int
    type_name: str
    header: bytes
    express: bool
    bars: tuple[BarInputs, ...]
    msi: int
    msix: int
    bus_number: int = 0
    chassis: int = 0
    behind: BehindInputs | None = None

    def number(self, offset: int, size: int) -> int:
        """Return a number from the header."""
        return int.from_bytes(self.header[offset : offset + size], "little")


def pci_inputs(devices: Iterable[Entry], memory: Iterable[RamBlock]) -> dict[int, tuple[PciInputs, ...]]:
    """Return the devices on the root buses, by the bridge's unit address, in order of their places."""
    roms = {one.name.partition("/")[0]: one.used_length for one in memory if one.name.endswith(".rom")}
    found: dict[str, Device] = {}
    for device in devices:
        state = getattr(device, "pci", None)
        if state is not None and isinstance(state, PciState) and isinstance(device, Device):
            found[device.idstr.partition("/")[0]] = device
    roots = {path.partition(":")[0] for path in found}
    return {int(root.removeprefix("pci@"), 16): _on_bus(root, found, roms) for root in roots}


def _on_bus(
    bus: str, found: Mapping[str, Device], roms: Mapping[str, int], bus_number: int = 0, chassis: int = 0
) -> tuple[PciInputs, ...]:
    """Return the devices on the bus whose devices' paths begin with ``bus``, and those behind its bridges."""
    made = []
    for path in (path for path in found if path.rpartition(":")[0] == bus):
        state: PciState = getattr(found[path], "pci")  # noqa: B009
        one = _device(found[path].driver, path, state.space, roms.get(path, 0))
        behind = None
        if state.config[HEADER_TYPE] & ~MULTIPLE == BRIDGE_HEADER:
            own = state.config[capability(state.config, SLOT_ID) + 3]
            behind = BehindInputs(own, _on_bus(path, found, roms, state.config[SECONDARY_BUS], own))
        made.append(replace(one, bus_number=bus_number, chassis=chassis, behind=behind))
    return tuple(sorted(made, key=lambda one: one.devfn))


def _device(driver: str, path: str, space: ConfigSpace, rom: int) -> PciInputs:
    data = space.data
    slot, _, function = path.rpartition(":")[2].partition(".")
    return PciInputs(
        int(slot, 16) << 3 | int(function, 16),
        driver,
        bytes(data[:HEADER_SIZE]),
        len(data) == EXPRESS,
        tuple(_bars(space, rom)),
        _msi_vectors(data),
        announced_vectors(data),
    )


def _bars(space: ConfigSpace, rom: int) -> Iterable[BarInputs]:
    bridge = space.data[HEADER_TYPE] & ~MULTIPLE == BRIDGE_HEADER
    at, end, rom_register = 0x10, 0x10 + 4 * (BRIDGE_BARS if bridge else BARS), 0x38 if bridge else 0x30
    while at < end:
        kind = space.data[at] & 0xF
        wide = not kind & BAR_IO and bool(kind & BAR_MEMORY_64)
        width = 8 if wide else 4
        mask = int.from_bytes(space.writable[at : at + width], "little") & ~1
        if mask:
            space_id = _IO_SPACE if kind & BAR_IO else _MEMORY_64_SPACE if wide else _MEMORY_SPACE
            yield BarInputs(at, space_id, mask & -mask)
        at += width
    mask = int.from_bytes(space.writable[rom_register : rom_register + 4], "little") & ~1
    if rom or mask:
        yield BarInputs(rom_register, _MEMORY_SPACE, rom or mask & -mask)


def _msi_vectors(config: bytes) -> int:
    """Return the number of vectors in the MSI capability; 0 without it."""
    at = capability(config, MSI_ID)
    return 1 << (config[at + 2] >> 4 & 7) if at else 0
