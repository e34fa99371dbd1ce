"""The inputs of PCI devices' nodes, read from their configuration space after reset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vmstate.pseries.board.board import RamBlock
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.pci.config_space import (
    BAR_IO,
    BAR_MEMORY_64,
    EXPRESS,
    HEADER_SIZE,
    MSI_ID,
    MSIX_ID,
    ROM_BAR,
    ConfigSpace,
)
from vmstate.pseries.devices.pci.pci_device import PciState
from vmstate.savevm.entries import Entry

BARS = 6

_IO_SPACE, _MEMORY_SPACE, _MEMORY_64_SPACE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class BarInputs:
    """A window: the offset of its register, its address space, its size."""

    register: int
    space: int
    size: int


@dataclass(frozen=True, slots=True)
class PciInputs:
    """A device: its place (slot and function), type, the header of its configuration space, its windows.

    ``msi`` and ``msix``: the number of its vectors of each kind.
    """

    devfn: int
    type_name: str
    header: bytes
    express: bool
    bars: tuple[BarInputs, ...]
    msi: int
    msix: int

    def number(self, offset: int, size: int) -> int:
        """Return a number from the header."""
        return int.from_bytes(self.header[offset : offset + size], "little")


def pci_inputs(devices: Iterable[Entry], memory: Iterable[RamBlock]) -> dict[int, tuple[PciInputs, ...]]:
    """Return the devices on the root buses, by the bridge's unit address, in order of their places."""
    found: dict[int, list[PciInputs]] = {}
    roms = {one.name.partition("/")[0]: one.used_length for one in memory if one.name.endswith(".rom")}
    for device in devices:
        state = getattr(device, "pci", None)
        if not isinstance(device, Device) or not isinstance(state, PciState):
            continue
        path = device.idstr.partition("/")[0]
        bus, _, rest = path.removeprefix("pci@").partition(":")
        slot, _, function = rest.partition(".")
        devfn = int(slot, 16) << 3 | int(function, 16)
        found.setdefault(int(bus, 16), []).append(
            _device(device.driver, devfn, state.space, roms.get(path, 0))
        )
    return {bus: tuple(sorted(placed, key=lambda one: one.devfn)) for bus, placed in found.items()}


def _device(driver: str, devfn: int, space: ConfigSpace, rom: int) -> PciInputs:
    data = space.data
    vectors = _capabilities(data)
    return PciInputs(
        devfn,
        driver,
        bytes(data[:HEADER_SIZE]),
        len(data) == EXPRESS,
        tuple(_bars(space, rom)),
        vectors.get(MSI_ID, 0),
        vectors.get(MSIX_ID, 0),
    )


def _bars(space: ConfigSpace, rom: int) -> Iterable[BarInputs]:
    number = 0
    while number <= ROM_BAR:
        at = 0x30 if number == ROM_BAR else 0x10 + 4 * number
        kind = 0 if number == ROM_BAR else space.data[at] & 0xF
        wide = not kind & BAR_IO and bool(kind & BAR_MEMORY_64)
        width = 8 if wide else 4
        mask = int.from_bytes(space.writable[at : at + width], "little") & ~1
        if number == ROM_BAR and rom:
            yield BarInputs(at, _MEMORY_SPACE, rom)
        elif mask:
            space_id = _IO_SPACE if kind & BAR_IO else _MEMORY_64_SPACE if wide else _MEMORY_SPACE
            yield BarInputs(at, space_id, mask & -mask)
        number += 2 if wide else 1


def _capabilities(data: bytes) -> dict[int, int]:
    """Return the number of vectors by kind of capability."""
    found = {}
    at = data[0x34] if data[0x06] & 0x10 else 0
    while at:
        control = int.from_bytes(data[at + 2 : at + 4], "little")
        if data[at] == MSI_ID:
            found[MSI_ID] = 1 << (control >> 4 & 7)
        elif data[at] == MSIX_ID:
            found[MSIX_ID] = (control & 0x7FF) + 1
        at = data[at + 1]
    return found
