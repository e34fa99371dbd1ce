"""The configuration space of a PCI device, and the bits that a destination checks (hw/pci/pci.c)."""

from __future__ import annotations

from functools import cached_property, lru_cache

from vmstate.dataclass import dataclass, replace
from vmstate.handwritten.msix import MSIX_ID
from vmstate.handwritten.pci_walk import CONVENTIONAL, capability
from vmstate.pseries.board.bus_properties import MULTIFUNCTION, ROMBAR, ROMFILE
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

HEADER_SIZE = 0x40
QEMU_SUBSYSTEM = (0x1AF4, 0x1100)

BAR_IO, BAR_MEMORY, BAR_MEMORY_64, BAR_PREFETCH = 1, 0, 4, 8
ROM_BAR = 6
MSI_ID, VENDOR_ID = 0x05, 0x09
INTERRUPT_PIN = 0x3D

#: Bytes of the header that must match on both sides: vendor, device, revision, class, header type, first
#: capability; of the status only the bit for capabilities.
_CHECKED = {
    **dict.fromkeys((0, 1, 2, 3, 8, 9, 10, 11, 0x0E, 0x34), 0xFF),
    0x06: 0x10,
}
_WRITABLE = {0x04: 0x07, 0x05: 0x05, 0x0C: 0xFF, 0x3C: 0xFF}
_CLEARED_BY_WRITING = {0x07: 0xF9}

BRIDGE_HEADER = 1
_66MHZ, _FAST_BACK, _64_BITS = 0x20, 0x80, 1
#: Of a bridge: numbers of buses, windows without their types, control.
_BRIDGE_WRITABLE = {
    **dict.fromkeys((*range(0x18, 0x1C), *range(0x28, 0x30), 0x21, 0x23, 0x25, 0x27, 0x3E), 0xFF),
    **dict.fromkeys((0x1C, 0x1D, 0x20, 0x22, 0x24, 0x26), 0xF0),
    0x3F: 0x0B,
}
_BRIDGE_CHECKED = dict.fromkeys((0x1C, 0x1D, 0x24, 0x26), 0x0F)


@dataclass(frozen=True, slots=True)
class Bar:
    """A window of a device: its number (6: the ROM), its size in bytes, its type bits."""

    number: int
    size: int
    kind: int = BAR_MEMORY


NIC_ROM = Bar(ROM_BAR, 0x40000)  # the boot firmware of network cards, unless it is switched off


@dataclass(frozen=True, slots=True)
class Capability:
    """An entry of the capability list: its offset, its bytes after the link, the writable bits of these."""

    offset: int
    id: int
    body: bytes
    writable: bytes = b""


def msi(offset: int, control: int, masking: int = 0) -> Capability:
    """Return MSI with 64-bit addresses; ``masking``: the vectors that can be masked, a bit for each."""
    writable = b"\x71\0\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    masks = bytes(2) + masking.to_bytes(4, "little") + bytes(4) if masking else b""
    body = control.to_bytes(2, "little") + bytes(10 + len(masks))
    return Capability(offset, MSI_ID, body, writable + masks)


def msix(offset: int, vectors: int, table: int, pba: int) -> Capability:
    """Return MSI-X; ``table`` and ``pba``: offsets of table and pending bits, with their windows' numbers."""
    numbers = (vectors - 1).to_bytes(2, "little") + table.to_bytes(4, "little") + pba.to_bytes(4, "little")
    return Capability(offset, MSIX_ID, numbers, b"\0\xc0")


@dataclass(frozen=True)
class PciId:
    """The identity of a device; ``class_code`` is base class, subclass and programming interface.

    ``cache_line``: the size of a cache line that the device gives itself, until the bus is reset.
    """

    vendor: int
    device: int
    class_code: int
    revision: int = 0
    subsystem: tuple[int, int] = QEMU_SUBSYSTEM
    interrupt_pin: int = 1
    bars: tuple[Bar, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    size: int = CONVENTIONAL
    multifunction: bool = False
    extra: tuple[tuple[int, int], ...] = ()
    bridge: bool = False
    cache_line: int = 0


@dataclass(frozen=True)
class ConfigSpace:
    """Configuration space after reset, and its masks: to be checked, writable, cleared by writing 1."""

    data: bytes
    checked: bytes
    writable: bytes
    cleared: bytes

    @cached_property
    def _kept(self) -> tuple[int, int]:
        """The bits that must match, and their values here."""
        checked, writable, cleared, data = (
            int.from_bytes(part, "big") for part in (self.checked, self.writable, self.cleared, self.data)
        )
        mask = checked & ~writable & ~cleared
        return mask, data & mask

    def difference(self, incoming: bytes | memoryview) -> int | None:
        """Return the first byte in which ``incoming`` does not match this device; None if all match."""
        mask, kept = self._kept
        wrong = int.from_bytes(incoming, "big") & mask ^ kept
        return len(self.data) - 1 - (wrong.bit_length() - 1) // 8 if wrong else None

    def fitted(self, incoming: bytes | memoryview) -> bytes:
        """Return ``incoming`` with every bit that must match as it is here."""
        mask, kept = self._kept
        return (int.from_bytes(incoming, "big") & ~mask | kept).to_bytes(len(self.data), "big")

    def first_checked(self, other: ConfigSpace) -> int | None:
        """Return the first byte with a bit that must match here and that a guest may write in ``other``."""
        mask, _ = self._kept
        both = int.from_bytes(other.writable, "big") & mask
        return len(self.data) - 1 - (both.bit_length() - 1) // 8 if both else None

    def complaint(self, i: int, read: int) -> str:
        """Return get_pci_config_device's line about byte ``i``."""
        masks = f"cmask: {self.checked[i]:x} wmask: {self.writable[i]:x} w1cmask:{self.cleared[i]:x}"
        both = f"i=0x{i:x} read: {read:x} device: {self.data[i]:x}"
        return f"get_pci_config_device: Bad config data: {both} {masks}"


class _Builder:
    def __init__(self, size: int) -> None:
        self.data, self.checked = bytearray(size), bytearray(size)
        self.writable, self.cleared = bytearray(size), bytearray(size)
        self.writable[HEADER_SIZE:] = b"\xff" * (size - HEADER_SIZE)
        parts = ((self.checked, _CHECKED), (self.writable, _WRITABLE), (self.cleared, _CLEARED_BY_WRITING))
        for mask, bits in parts:
            for i, value in bits.items():
                mask[i] = value

    def number(self, offset: int, value: int, size: int) -> None:
        self.data[offset : offset + size] = value.to_bytes(size, "little")

    def bar(self, bar: Bar) -> None:
        at = 0x30 if bar.number == ROM_BAR else 0x10 + 4 * bar.number
        width = 8 if bar.kind & BAR_MEMORY_64 else 4
        self.number(at, bar.kind, width)
        bits = ~(bar.size - 1) & (1 << 8 * width) - 1 | (1 if bar.number == ROM_BAR else 0)
        self.writable[at : at + width] = bits.to_bytes(width, "little")
        self.checked[at : at + width] = b"\xff" * width

    def capability(self, one: Capability) -> None:
        end = one.offset + 2 + len(one.body)
        self.data[one.offset : end] = bytes([one.id, self.data[0x34]]) + one.body
        self.writable[one.offset : end] = bytes(2) + one.writable.ljust(len(one.body), b"\0")
        self.checked[one.offset : end] = b"\xff" * (end - one.offset)
        self.data[0x34] = one.offset
        self.data[0x06] |= 0x10

    def bridge(self) -> None:
        """Add the header of a bridge: windows, and both buses' numbers (``pci_init_mask_bridge``)."""
        for mask, bits in ((self.writable, _BRIDGE_WRITABLE), (self.checked, _BRIDGE_CHECKED)):
            for i, value in bits.items():
                mask[i] = value
        for offset in (0x24, 0x26):
            self.data[offset] = _64_BITS
        self.number(0x06, _66MHZ | _FAST_BACK, 2)
        self.number(0x1E, _66MHZ | _FAST_BACK, 2)
        self.data[0x0E] |= BRIDGE_HEADER
        self.cleared[0x3F] = 0x04


@lru_cache(maxsize=64)
def config_space(device: PciId) -> ConfigSpace:
    """Return the configuration space of a device after reset."""
    space = _Builder(device.size)
    space.number(0x00, device.vendor, 2)
    space.number(0x02, device.device, 2)
    space.number(0x08, device.revision, 1)
    space.number(0x09, device.class_code, 3)
    space.number(0x0E, 0x80 if device.multifunction else 0, 1)
    if device.bridge:
        space.bridge()
    else:
        space.number(0x2C, device.subsystem[0], 2)
        space.number(0x2E, device.subsystem[1], 2)
    space.number(0x3D, device.interrupt_pin, 1)
    for bar in device.bars:
        space.bar(bar)
    for one in device.capabilities:
        space.capability(one)
    for offset, value in device.extra:
        space.number(offset, value, 1)
    return ConfigSpace(*(bytes(part) for part in (space.data, space.checked, space.writable, space.cleared)))


def msix_enabled(config: bytes | memoryview) -> bool:
    """Return True if the guest has switched to MSI-X."""
    at = capability(config, MSIX_ID)
    return bool(at and config[at + 3] & 0x80)


def msix_in_use(config: bytes | memoryview) -> bool:
    """Return True if the guest has switched to MSI-X, and has not masked all of it."""
    at = capability(config, MSIX_ID)
    return bool(at and config[at + 3] & 0xC0 == 0x80)


def is_bus_master(config: bytes | memoryview) -> bool:
    """Return True if the device may write to the bus."""
    return bool(config[4] & 4)


def with_options(
    identity: PciId, machine: Machine, option: DeviceOption | None, driver: str
) -> tuple[PciId, bool]:
    """Return the device with its options applied, and True if it has a ROM."""
    rom = ROMFILE.text(machine, option, driver) != "" and ROMBAR.number(machine, option, driver=driver) != 0
    bars = identity.bars if rom else tuple(bar for bar in identity.bars if bar.number != ROM_BAR)
    functions = MULTIFUNCTION.flag(machine, option, driver)
    if functions or bars != identity.bars:
        identity = replace(identity, bars=bars, multifunction=functions)
    return identity, rom
