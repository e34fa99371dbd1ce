"""A virtio device on PCI after reset (hw/virtio/virtio-pci.c)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Cursor, History, VMStateDescription, WireRecords, plan_of
from vmstate.describe.arrays import WireArray, zeros
from vmstate.describe.history import ALWAYS, Release, Span
from vmstate.handwritten.msix import announced_vectors, table_size
from vmstate.handwritten.virtio.common import (
    MAX_QUEUES,
    PACKED_QUEUE,
    QUEUE,
    QUEUE_RINGS,
    QUEUE_WITHOUT_VECTOR,
)
from vmstate.handwritten.virtio.pci import MODERN_QUEUE
from vmstate.pseries.board.bus_properties import EXPRESS, going
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.devices.pci.config_space import (
    BAR_IO,
    BAR_MEMORY_64,
    BAR_PREFETCH,
    HEADER_SIZE,
    QEMU_SUBSYSTEM,
    VENDOR_ID,
    Bar,
    Capability,
    PciId,
    msix,
    with_options,
)
from vmstate.pseries.devices.pci.pci_device import MASKED_ENTRY, MSIX_ENTRY, PciState
from vmstate.pseries.devices.virtio.indexes import BIG_ENDIAN, LITTLE_ENDIAN, NO_VECTOR, VERSION_1
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

REDHAT = 0x1AF4
BAD_FEATURE, PACKED = 1 << 30, 1 << 34
#: Status: the guest has found the device and has a driver; that runs; it agreed to features; it gave up.
S_DRIVER, S_DRIVER_OK, S_FEATURES_OK, S_FAILED = 0x03, 0x04, 0x08, 0x80
MODERN_DEVICE = 0x1040  # to which the virtio number is added
MSIX_PAGE = 4096
FRESH_PACKED_QUEUE = b"\0\0\1\0\0\1\0\0\0\0"  # both wrap counters are set
LEGACY_REGISTERS, LEGACY_WITH_VECTORS = 20, 24  # before the device's own in the I/O window
MAX_QUEUE_SIZE = 1024

#: A stable release made every queue as large as possible (virtio_add_queue).
LARGEST_QUEUES = History(False, (("10.0.13", "11.1"), True), ("11.1", False))

#: Types of the regions of the modern interface, and the page that each usually has.
_COMMON, _NOTIFY, _ISR, _DEVICE = 1, 2, 3, 4
_PAGE = 0x1000


@dataclass(frozen=True, slots=True)
class Layout:
    """The numbers of a device's windows; ``vga``: its memory window begins with registers of VGA."""

    msix: int = 1
    port: int = 2
    memory: int = 4
    vga: bool = False


PLAIN = Layout()


@dataclass(frozen=True, slots=True)
class VirtioModel:
    """A kind of device: legacy PCI number, virtio number, PCI class, bytes of configuration.

    ``only_modern``: it has only the interface of virtio 1, and no legacy number (virtio_pci_force_virtio_1).
    """

    legacy: int
    number: int
    class_code: int
    config_len: int
    only_modern: bool = False


@dataclass(frozen=True, slots=True)
class VirtioOptions:
    """The choices of command line and machine type: queue sizes, vectors, interfaces.

    ``config_len``: bytes of configuration; ``features``: all that it offers; ``rom``: it has a ROM;
    ``use_started``: it keeps in mind that its driver runs.
    """

    queues: tuple[int, ...]
    identity: PciId
    vectors: int
    modern: bool = True
    extra: bool = True
    config_len: int = 0
    features: int = 0
    rom: bool = False
    use_started: bool = True


def _vendor(offset: int, kind: int, at: int, length: int, bar: int, extra: bytes = b"") -> Capability:
    body = bytes([16 + len(extra), kind, bar, 0, 0, 0])
    body += at.to_bytes(4, "little") + length.to_bytes(4, "little") + extra
    return Capability(offset, VENDOR_ID, body)


@dataclass(frozen=True, slots=True)
class Interfaces:
    """The interfaces of a device on the bus: legacy, virtio 1 or both.

    ``port_notify``: an I/O port notifies queues, too.
    """

    vectors: int
    config_len: int
    legacy: bool = True
    modern: bool = True
    page_per_queue: bool = False
    port_notify: bool = False
    layout: Layout = PLAIN


@lru_cache(maxsize=64)
def identity(model: VirtioModel, shown: Interfaces, bars: tuple[Bar, ...] = ()) -> PciId:
    """Return a device of that model (virtio_pci_device_plugged); ``bars``: those of its own."""
    own = list(bars)
    if shown.legacy:
        registers = (LEGACY_WITH_VECTORS if shown.vectors else LEGACY_REGISTERS) + shown.config_len
        own.append(Bar(0, 1 << (registers - 1).bit_length(), BAR_IO))
    capabilities = _regions(shown, own) if shown.modern else []
    if shown.vectors:
        entries = shown.vectors * MSIX_ENTRY
        pending = max(MSIX_PAGE // 2, entries)
        size = max(MSIX_PAGE, pending + -(-shown.vectors // 64) * 8)
        bar = shown.layout.msix
        own.append(Bar(bar, 1 << (size - 1).bit_length()))
        capabilities.append(msix(_end(capabilities), shown.vectors, bar, pending | bar))
    return PciId(
        REDHAT,
        model.legacy if shown.legacy else MODERN_DEVICE + model.number,
        model.class_code,
        revision=0 if shown.legacy else 1,
        subsystem=(REDHAT, model.number) if shown.legacy else QEMU_SUBSYSTEM,
        bars=tuple(own),
        capabilities=tuple(capabilities),
    )


def _regions(shown: Interfaces, bars: list[Bar]) -> list[Capability]:
    """Return the capabilities of virtio 1, and add its windows to ``bars``."""
    step = 0x1000 if shown.page_per_queue else 4
    notify = step * MAX_QUEUES
    size = 1 << (3 * _PAGE + notify - 1).bit_length()
    layout = shown.layout
    bars.append(Bar(layout.memory, size, BAR_MEMORY_64 | BAR_PREFETCH))
    small = _PAGE // 2 if layout.vga and not shown.page_per_queue else _PAGE
    at = size - notify - _PAGE - 2 * small if layout.vga else 0
    found = []
    for place, (kind, length) in zip(
        (0x40, 0x50, 0x60), ((_COMMON, small), (_ISR, small), (_DEVICE, _PAGE)), strict=True
    ):
        found.append(_vendor(place, kind, at, length, layout.memory))
        at += length
    found.append(_vendor(0x70, _NOTIFY, at, notify, layout.memory, step.to_bytes(4, "little")))
    if shown.port_notify:
        bars.append(Bar(layout.port, 4, BAR_IO))
        found.append(_vendor(_end(found), _NOTIFY, 0, 4, layout.port, bytes(4)))
    access = bytes([20, 5, 0, 0, 0, 0]) + bytes(12)
    found.append(Capability(_end(found), VENDOR_ID, access, b"\0\0\xff\0\0\0" + b"\xff" * 12))
    return found


def _end(capabilities: Sequence[Capability]) -> int:
    """Return the offset behind the last capability, a multiple of four."""
    if not capabilities:
        return HEADER_SIZE
    last = capabilities[-1]
    return -(-(last.offset + 2 + len(last.body)) // 4) * 4


class VirtioDevice(Device):
    """A device that no driver has used."""

    model: VirtioModel
    _vectors: int | None = None
    device_endian = BIG_ENDIAN
    guest_features_64 = 0
    host_features = 0
    of_peer = 0  # features that only the other end decides
    modern = migrate_extra = True
    has_64_bits = False
    has_packed = False
    resized = broken = started = packed = disabled = wide_features = False

    def __init__(self, machine: Machine, options: VirtioOptions) -> None:
        super().__init__(machine)
        self._vectors = options.vectors
        self.modern, self.migrate_extra = options.modern, options.extra
        self.host_features = options.features
        self.use_started = options.use_started
        self.packed = bool(options.features & PACKED)
        self.msix = MASKED_ENTRY * options.vectors + bytes(-(-options.vectors // 8))
        self.config_vector = NO_VECTOR
        self.device_status = self.isr = self.queue_sel = self.guest_features_low = 0
        self.config_len = options.config_len
        self.config = zeros(self.config_len)
        self.pci = PciState(self, options.identity)
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

    def drive(self, features: int, *, works: bool) -> None:
        """Let the driver of a little-endian guest take ``features``, and run the device if it ``works``."""
        self.device_endian = LITTLE_ENDIAN
        self.guest_features_low = features & 0xFFFFFFFF
        self.guest_features_64, self.guest_features_ex_1 = features & (1 << 64) - 1, features >> 64
        agreed = 0
        if self.modern:
            self.dfselect = self.gfselect = 1
            words = (features >> shift & 0xFFFFFFFF for shift in range(0, 128, 32))
            self.guest_features = WireArray("I", b"".join(word.to_bytes(4, "big") for word in words))
            agreed = S_FEATURES_OK
        self.device_status = S_DRIVER | (agreed | S_DRIVER_OK if works else S_FAILED)
        self.started = works and self.use_started

    def _sizes(self, queues: Sequence[int]) -> tuple[int, ...]:
        if LARGEST_QUEUES.at(self.machine.release):
            return (MAX_QUEUE_SIZE,) * len(queues)
        return tuple(queues)

    def _modern_state(self) -> None:
        self.guest_features_64 = self.guest_features_ex_1 = self.dfselect = self.gfselect = 0
        self.guest_features = WireArray("I", zeros(16))
        self.rings = _records(QUEUE_RINGS, zeros(16 * MAX_QUEUES))
        self.modern_queues = _records(MODERN_QUEUE, zeros(28 * MAX_QUEUES))
        if self.packed:
            self.packs = _records(PACKED_QUEUE, FRESH_PACKED_QUEUE * MAX_QUEUES)


def _records(vmsd: VMStateDescription, raw: bytes | memoryview) -> WireRecords:
    layout = plan_of(vmsd).layout(1)
    assert layout is not None
    return WireRecords(*layout, raw)


@lru_cache(maxsize=64)
def _fresh_queues(sizes: tuple[int, ...], vectors: bool) -> WireRecords:
    last = NO_VECTOR.to_bytes(2, "big") if vectors else b""
    raw = b"".join(size.to_bytes(4, "big") + bytes(10) + last for size in sizes)
    return _records(QUEUE if vectors else QUEUE_WITHOUT_VECTOR, raw)


# ---- properties of all virtio devices on PCI

_RUNNING = "only a device that its guest's driver has broken sends it"
_HOST = "how the host works, which no stream holds"

DISABLE_LEGACY = Property("virtio-pci", "disable-legacy", "auto", "OnOffAuto")
DISABLE_MODERN = Property("virtio-pci", "disable-modern", "off", "bool")
MIGRATE_EXTRA = Property("virtio-pci", "migrate-extra", "on", "bool", span=Span(until="10.1"))
PAGE_PER_VQ = Property("virtio-pci", "page-per-vq", "off", "bool")
USE_STARTED = Property("virtio-device", "use-started", "on", "bool", span=Span("4.1"))
PORT_NOTIFY = Property("virtio-pci", "modern-pio-notify", "off", "bool")


def feature(
    owner: str, name: str, bit: int, default: str | History[str] = "on", span: Span = ALWAYS
) -> Property:
    """Return a property that offers a feature to the guest."""
    return Property(owner, name, default, "bool", span=span, feature=bit)


#: The property queue_reset is newer than most machine types.
IOMMU = feature("virtio-device", "iommu_platform", 33, "off")
FEATURES = (
    feature("virtio-device", "notify_on_empty", 24),
    feature("virtio-device", "any_layout", 27),
    feature("virtio-device", "indirect_desc", 28),
    feature("virtio-device", "event_idx", 29),
    IOMMU,
    feature("virtio-device", "packed", 34, "off", Span("4.2")),
    feature("virtio-device", "in_order", 35, "off", Span("9.1")),
    feature("virtio-device", "queue_reset", 40, History("off", ("7.2", "on")), Span("7.2")),
)
PROPERTIES: tuple[Property, ...] = (
    *(DISABLE_LEGACY, DISABLE_MODERN, MIGRATE_EXTRA, PAGE_PER_VQ, PORT_NOTIFY),
    *FEATURES,
    *harmless(
        "virtio-pci", "bool", "a repair of streams of old guests", "virtio-pci-bus-master-bug-migration"
    ),
    *harmless("virtio-pci", "bool", EXPRESS, "x-disable-pcie", span=Span(until="10.1")),
    *harmless(
        "virtio-pci",
        "bool",
        "only devices without virtio 1",
        "x-ignore-backend-features",
        span=Span(until="11.0"),
    ),
    *harmless("virtio-pci", "bool", EXPRESS, "ats"),
    *harmless("virtio-pci", "bool", EXPRESS, "x-ats-page-aligned", "aer", span=Span("6.0")),
    *harmless("virtio-pci", "bool", EXPRESS, "x-pcie-flr-init", span=Span("4.2")),
    *harmless("virtio-pci", "bool", EXPRESS, "x-pcie-pm-no-soft-reset", span=Span("9.1")),
    *(
        one
        for name in ("x-pcie-deverr-init", "x-pcie-lnkctl-init", "x-pcie-pm-init")
        for one in going(*harmless("virtio-pci", "bool", EXPRESS, name))
    ),
    USE_STARTED,
    *harmless("virtio-device", "bool", _RUNNING, "use-disabled-flag", span=Span("5.0")),
    *harmless(
        "virtio-device",
        "bool",
        "only devices that are never legacy",
        "x-disable-legacy-check",
        span=Span("5.2"),
    ),
)


def ioeventfd(owner: str, since: str | None = None) -> tuple[Property, ...]:
    """Return the property ``ioeventfd``, which some devices gained later."""
    return harmless(owner, "bool", _HOST, "ioeventfd", span=Span(since))


def backend(owner: str) -> Property:
    """Return the device behind the PCI card, which cannot be set."""
    return not_modelled(owner, "virtio-backend", f"child<{owner}>")


_UNSPECIFIED = 0xFFFFFFFF
MOST_VECTORS = 2048


def vectors(owner: str, default: str | History[str] = "4294967295", span: Span = ALWAYS) -> Property:
    """Return the property ``vectors``; by default it depends on the number of queues."""
    return Property(owner, "vectors", default, "uint32", span=span, values=_few_vectors)


def _few_vectors(value: str) -> bool:
    number = int(value, 0)
    return 0 <= number <= MOST_VECTORS or number in (-1, _UNSPECIFIED)


def with_class(model: VirtioModel, code: int) -> VirtioModel:
    """Return the model with the class and subclass of the property ``class``, unless that is 0."""
    return replace(model, class_code=(code & 0xFFFF) << 8) if code else model


def count(
    found: Property, machine: Machine, option: DeviceOption | None, driver: str, unspecified: int
) -> int:
    """Return a number of queues or vectors, which is ``unspecified`` if it is all ones."""
    number = found.number(machine, option, driver=driver)
    return unspecified if number in (-1, 0xFFFF, _UNSPECIFIED) else number


def named(option: DeviceOption | None, driver: str) -> str:
    """Return the driver of an option, which may be a form of ``driver``."""
    return driver if option is None else option.driver


def offered(
    machine: Machine,
    option: DeviceOption | None,
    driver: str,
    own: tuple[Property, ...],
    always: int = 0,
    *,
    only_modern: bool = False,
) -> int:
    """Return the features that a device offers: by its properties, and ``always``."""
    _, modern = interfaces(machine, option, driver, only_modern=only_modern)
    bits = always | BAD_FEATURE | (VERSION_1 if modern else 0)
    for one in (*FEATURES, *own):
        if one.feature is not None and one.flag(machine, option, driver):
            bits |= 1 << one.feature
    return bits


TRANSITIONAL, NON_TRANSITIONAL = "-transitional", "-non-transitional"


def interfaces(
    machine: Machine, option: DeviceOption | None, driver: str, *, only_modern: bool = False
) -> tuple[bool, bool]:
    """Return True for the legacy interface, and for that of virtio 1, if a device has them.

    The forms of a driver have theirs by name (virtio_pci_transitional_instance_init).
    """
    if only_modern or driver.endswith(NON_TRANSITIONAL):
        return False, True
    if driver.endswith(TRANSITIONAL):
        return True, True
    legacy = DISABLE_LEGACY.text(machine, option, driver) != "on"
    return legacy, not DISABLE_MODERN.flag(machine, option, driver)


def check_interfaces(machine: Machine, option: DeviceOption) -> None:
    """Refuse a device without an interface (``virtio_pci_realize``)."""
    if not any(interfaces(machine, option, option.driver)):
        raise Refused(
            f"{option.text}: device cannot work as neither modern nor legacy mode is enabled",
            "Set either disable-modern or disable-legacy to off",
        )


def check_features(machine: Machine, option: DeviceOption) -> None:
    """Refuse an IOMMU with the legacy interface (``virtio_pci_device_plugged``)."""
    legacy, _ = interfaces(machine, option, option.driver)
    if legacy and IOMMU.flag(machine, option, option.driver):
        line = "VIRTIO_F_IOMMU_PLATFORM was supported by neither legacy nor transitional device"
        raise Refused(f"{option.text}: {line}")


def checking(
    own: Callable[[Machine, DeviceOption], None] | None = None, *, only_modern: bool = False
) -> Callable[[Machine, DeviceOption], None]:
    """Return the checks of all virtio devices, with the device's ``own`` between them."""

    def check(machine: Machine, option: DeviceOption) -> None:
        check_interfaces(machine, option)
        if own is not None:
            own(machine, option)
        if not only_modern:
            check_features(machine, option)

    return check


_FORMS_SINCE = Release(4, 0)


def forms(driver: Driver) -> tuple[Driver, ...]:
    """Return a driver with its two forms, whose names choose the interfaces (virtio_pci_types_register)."""
    properties = tuple(one for one in driver.properties if one not in (DISABLE_LEGACY, DISABLE_MODERN))
    found = [driver]
    for suffix in (TRANSITIONAL, NON_TRANSITIONAL):
        name = driver.name + suffix
        examples = tuple(re.sub(rf"{driver.name}\b", name, one) for one in driver.examples)
        span = driver.span
        if span.covers(_FORMS_SINCE):
            span = Span(str(_FORMS_SINCE), span.until)
        form = replace(driver, name=name, span=span, properties=properties, examples=examples, aliases=())
        found.append(form)
    return tuple(found)


def base(driver: str) -> str:
    """Return the class of a driver and its forms."""
    return f"{driver}-base"


def options(
    machine: Machine,
    option: DeviceOption | None,
    driver: str,
    model: VirtioModel,
    queues: Sequence[int],
    vectors: int,
    config_len: int | None = None,
    features: int = 0,
    bars: tuple[Bar, ...] = (),
    layout: Layout = PLAIN,
) -> VirtioOptions:
    """Return queues and vectors, with the properties that all virtio devices on PCI have."""
    legacy, modern = interfaces(machine, option, driver, only_modern=model.only_modern)
    size = model.config_len if config_len is None else config_len
    shown = Interfaces(
        vectors=vectors,
        config_len=size,
        legacy=legacy,
        modern=modern,
        page_per_queue=PAGE_PER_VQ.flag(machine, option, driver),
        port_notify=PORT_NOTIFY.flag(machine, option, driver),
        layout=layout,
    )
    shape, rom = with_options(identity(model, shown, bars), machine, option, driver)
    return VirtioOptions(
        queues=tuple(queues),
        identity=shape,
        vectors=vectors,
        modern=modern,
        extra=MIGRATE_EXTRA.flag(machine, option, driver),
        config_len=size,
        features=features,
        rom=rom,
        use_started=USE_STARTED.flag(machine, option, driver),
    )
