"""``PCIDevice``, which every PCI device sends first (hw/pci/pci.c), and ``msix`` (hw/pci/msix.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import (
    Cursor,
    Field,
    Struct,
    VMStateDescription,
    WireArray,
    Writer,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.describe.infos import Info
from vmstate.handwritten.msix import table_size
from vmstate.handwritten.pci_device import PINS, pci_device
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.pci.config_space import ConfigSpace, PciId, config_space

CACHE_LINE_SIZE = 0x0C
MSIX_ENTRY = 16
USUAL_VECTORS = 16  # all devices that send their table this way have this many
MASKED_ENTRY = bytes(12) + b"\1\0\0\0"


class PciConfig(Info):
    """Configuration space: read-only bytes must match the local device's."""

    name = "pci config"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> bytes:
        at = cur.pos
        data = bytes(cur.take(size))
        if cur.judge:
            space: ConfigSpace = state.space
            i = space.difference(data)
            if i is not None:
                state.say(space.complaint(i, data[i]))
                here = space.data[i]
                raise LoadFailure(
                    -EINVAL, "configuration space differs", offset=at + i, found=data[i], expected=here
                )
        return data

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(value)


class PciIrqState(Info):
    """The four interrupt lines: each 0 or 1."""

    name = "pci irq state"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> WireArray:
        levels = WireArray("I", cur.take(size))
        if cur.judge:
            for i, level in enumerate(levels):
                if level not in (0, 1):
                    state.say(f"irq state {signed(level)}: must be 0 or 1.")
                    raise LoadFailure(-EINVAL, "interrupt line", offset=cur.pos - size + 4 * i, found=level)
        return levels

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(value.raw)


class MsixState(Info):
    """The MSI-X table and its pending bits; the device decides the number of vectors."""

    name = "msix state"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> memoryview:
        return cur.take(getattr(state, "msix_size", table_size(USUAL_VECTORS)))

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(value)


PCI_DEVICE, PCIE_DEVICE = (
    pci_device(PciConfig(), PciIrqState(), express=express) for express in (False, True)
)

MSIX = VMStateDescription("msix", fields=[Field("msix", MsixState(), attr="msix")])


def Pci(name: str, *, express: bool = False, attr: str = "pci") -> Field:
    """Return the common part, under its name in the device's structure (VMSTATE_PCI_DEVICE)."""
    return Struct(name, PCIE_DEVICE if express else PCI_DEVICE, attr=attr)


class PciState:
    """The PCI side of a device: configuration space after reset, no interrupt line raised."""

    def __init__(self, owner: Device, identity: PciId | ConfigSpace) -> None:
        self._owner = owner
        self._cache_line = 0 if isinstance(identity, ConfigSpace) else identity.cache_line
        self.space = identity if isinstance(identity, ConfigSpace) else config_space(identity)
        self.version_id = 2
        self.config: bytes | memoryview = self.space.data
        self.irq_state = WireArray("I", zeros(4 * PINS))

    def never_reset(self) -> None:
        """Take the state of a device that was plugged into a running machine, whose bus was not reset."""
        config = bytearray(self.config)
        config[CACHE_LINE_SIZE] = self._cache_line
        self.config = bytes(config)

    def say(self, line: str) -> None:
        """Print a line on the machine's stderr."""
        self._owner.say(line)


class MsixTable:
    """An MSI-X table with all vectors masked and none pending."""

    def __init__(self, vectors: int) -> None:
        self.msix_size = table_size(vectors)
        self.msix: bytes | memoryview = MASKED_ENTRY * vectors + bytes(-(-vectors // 8))
