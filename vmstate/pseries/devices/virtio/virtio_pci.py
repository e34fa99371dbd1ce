"""A virtio device on PCI after reset (hw/virtio/virtio-pci.c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from vmstate.describe import Cursor, History, VMStateDescription, WireRecords, plan_of
from vmstate.describe.arrays import WireArray, zeros
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.pci.config_space import (
    BAR_IO,
    BAR_MEMORY_64,
    BAR_PREFETCH,
    NIC_ROM,
    VENDOR_ID,
    Bar,
    Capability,
    PciId,
    announced_vectors,
    msix,
)
from vmstate.pseries.devices.pci.pci_device import MASKED_ENTRY, PciState, table_size
from vmstate.pseries.devices.virtio.load import MAX_QUEUES, NO_VECTOR
from vmstate.pseries.devices.virtio.virtio import MODERN_QUEUE, QUEUE, QUEUE_RINGS, QUEUE_WITHOUT_VECTOR
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

REDHAT = 0x1AF4
MODERN_BAR, MSIX_BAR = 4, 1
COMMON_FEATURES = 0x79000000  # notify on empty, any layout, indirect and event index rings, and bit 30
VERSION_1, RING_RESET = 1 << 32, 1 << 40
LEGACY_REGISTERS, LEGACY_WITH_VECTORS = 20, 24  # before the device's own in the I/O window
MAX_QUEUE_SIZE = 1024

#: A stable release made every queue as large as possible (virtio_add_queue).
LARGEST_QUEUES = History(False, (("10.0.13", "11.1"), True), ("11.1", False))

#: Regions of the modern interface: type, offset and length in the memory window, extra bytes.
_REGIONS = ((1, 0x0000, 0x1000, b""), (3, 0x1000, 0x1000, b""), (4, 0x2000, 0x1000, b""))
_NOTIFY = (2, 0x3000)


@dataclass(frozen=True, slots=True)
class VirtioModel:
    """A kind of device: legacy PCI number, virtio number, PCI class, bytes of configuration.

    ``features``: those offered besides the common ones; None if they depend on the backend.
    """

    legacy: int
    number: int
    class_code: int
    config_len: int
    features: int | None = None


@dataclass(frozen=True, slots=True)
class VirtioOptions:
    """The choices of command line and machine type: queue sizes, vectors, interfaces.

    ``config_len``: bytes of configuration, if they depend on these; ``features``: additional ones offered.
    """

    queues: tuple[int, ...]
    vectors: int
    modern: bool = True
    extra: bool = True
    page_per_queue: bool = False
    config_len: int | None = None
    features: int = 0
    rom: bool = False


def _vendor(offset: int, kind: int, at: int, length: int, extra: bytes = b"") -> Capability:
    body = bytes([16 + len(extra), kind, MODERN_BAR, 0, 0, 0])
    body += at.to_bytes(4, "little") + length.to_bytes(4, "little") + extra
    return Capability(offset, VENDOR_ID, body)


@lru_cache(maxsize=64)
def identity(
    model: VirtioModel, vectors: int, modern: bool, page_per_queue: bool, config_len: int, rom: bool = False
) -> PciId:
    """Return the identity of the transitional device of that model."""
    registers = (LEGACY_WITH_VECTORS if vectors else LEGACY_REGISTERS) + config_len
    bars = [Bar(0, 1 << (registers - 1).bit_length(), BAR_IO)]
    capabilities = []
    if modern:
        notify = 0x1000 * MAX_QUEUES if page_per_queue else 0x1000
        bars.append(Bar(MODERN_BAR, 0x4000, BAR_MEMORY_64 | BAR_PREFETCH))
        places = (0x40, 0x50, 0x60)
        capabilities = [_vendor(at, *region) for at, region in zip(places, _REGIONS, strict=True)]
        step = (0x1000 if page_per_queue else 4).to_bytes(4, "little")
        capabilities.append(_vendor(0x70, *_NOTIFY, notify, step))
        access = bytes([20, 5, 0, 0, 0, 0]) + bytes(12)
        capabilities.append(Capability(0x84, VENDOR_ID, access, b"\0\0\xff\0\0\0" + b"\xff" * 12))
    if vectors:
        bars.append(Bar(MSIX_BAR, 4096))
        place = 0x98 if modern else 0x40
        capabilities.append(msix(place, vectors, MSIX_BAR, 0x800 | MSIX_BAR))
    return PciId(
        REDHAT,
        model.legacy,
        model.class_code,
        subsystem=(REDHAT, model.number),
        bars=(*bars, NIC_ROM) if rom else tuple(bars),
        capabilities=tuple(capabilities),
    )


class VirtioDevice(Device):
    """A device that no driver has used."""

    model: VirtioModel
    _vectors: int | None = None
    expected_endian = device_endian = 1  # big, as the target
    modern = migrate_extra = True
    has_64_bits = False
    resized = broken = started = packed = disabled = wide_features = False

    def __init__(self, machine: Machine, options: VirtioOptions) -> None:
        super().__init__(machine)
        self._vectors = options.vectors
        self.modern, self.migrate_extra = options.modern, options.extra
        own = self.model.features
        self.host_features = None if own is None else own | options.features | COMMON_FEATURES
        model = self.model
        self.msix = MASKED_ENTRY * options.vectors + bytes(-(-options.vectors // 8))
        self.config_vector = NO_VECTOR
        self.device_status = self.isr = self.queue_sel = self.guest_features_low = 0
        self.config_len = model.config_len if options.config_len is None else options.config_len
        self.config = zeros(self.config_len)
        shape = (options.vectors, options.modern, options.page_per_queue, self.config_len, options.rom)
        self.pci = PciState(self, identity(model, *shape))
        self.nr_queues = len(options.queues)
        self.rooms = self._sizes(options.queues)
        self.queues = _fresh_queues(self.rooms, bool(options.vectors))
        self.virtio = None
        self._modern_state()

    @property
    def vectors(self) -> int:
        """The number of interrupt vectors; when only decoding, the number that the device announces."""
        return announced_vectors(self.pci.config) if self._vectors is None else self._vectors

    @property
    def msix_size(self) -> int:
        """The size of the vector table and the pending bits in bytes."""
        return table_size(self.vectors)

    def pre_load_queues(self, cur: Cursor, count: int) -> None:
        """Make room for that many queues, in devices that do so (pre_load_queues)."""

    def post_load_queues(self, cur: Cursor, count: int) -> None:
        """Apply the features that the guest uses, which may make other queues."""

    def _sizes(self, queues: Sequence[int]) -> tuple[int, ...]:
        if LARGEST_QUEUES.at(self.machine.release):
            return (MAX_QUEUE_SIZE,) * len(queues)
        return tuple(queues)

    def _modern_state(self) -> None:
        self.guest_features_64 = self.guest_features_ex_1 = self.dfselect = self.gfselect = 0
        self.guest_features = WireArray("I", zeros(16))
        self.rings = _records(QUEUE_RINGS, zeros(16 * MAX_QUEUES))
        self.modern_queues = _records(MODERN_QUEUE, zeros(28 * MAX_QUEUES))


def _records(vmsd: VMStateDescription, raw: bytes | memoryview) -> WireRecords:
    layout = plan_of(vmsd).layout(1)
    assert layout is not None
    return WireRecords(*layout, raw)


@lru_cache(maxsize=64)
def _fresh_queues(sizes: tuple[int, ...], vectors: bool) -> WireRecords:
    last = NO_VECTOR.to_bytes(2, "big") if vectors else b""
    raw = b"".join(size.to_bytes(4, "big") + bytes(10) + last for size in sizes)
    return _records(QUEUE if vectors else QUEUE_WITHOUT_VECTOR, raw)


DISABLE_MODERN = Property("virtio-pci", "disable-modern", "off")
MIGRATE_EXTRA = Property("virtio-pci", "migrate-extra", "on")
PAGE_PER_VQ = Property("virtio-pci", "page-per-vq", "off")
#: The property is newer than most machine types.
QUEUE_RESET = Property("virtio-device", "queue_reset", History("off", ("7.2", "on")))
PROPERTIES = (DISABLE_MODERN, MIGRATE_EXTRA, PAGE_PER_VQ, QUEUE_RESET)


def options(
    machine: Machine,
    option: DeviceOption | None,
    queues: Sequence[int],
    vectors: int,
    config_len: int | None = None,
    features: int = 0,
) -> VirtioOptions:
    """Return queues and vectors, with the properties that all virtio devices on PCI have."""
    modern = not DISABLE_MODERN.flag(machine, option)
    resets = QUEUE_RESET.flag(machine, option)
    version = (VERSION_1 if modern else 0) | (RING_RESET if modern and resets else 0)
    return VirtioOptions(
        queues=tuple(queues),
        vectors=vectors,
        modern=modern,
        extra=MIGRATE_EXTRA.flag(machine, option),
        page_per_queue=PAGE_PER_VQ.flag(machine, option),
        config_len=config_len,
        features=features | version,
    )
