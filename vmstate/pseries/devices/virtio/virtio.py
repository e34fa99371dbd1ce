"""The field ``virtio``, which all virtio devices on PCI send (hw/virtio/virtio.c, hw/virtio/virtio-pci.c).

QEMU writes it by hand, so the vmdesc has one field of type ``virtio``; here its content is declared too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vmstate.describe import (
    Bool,
    Buffer,
    Cursor,
    Field,
    Plan,
    Release,
    Since,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    VMStateDescription,
    Writer,
    plan_of,
    scalar,
)
from vmstate.describe.diagnostics import FieldFailed
from vmstate.describe.infos import Bytes, Info, Scalar
from vmstate.errors import StreamError
from vmstate.pseries.devices.pci.pci_device import PCI_DEVICE
from vmstate.pseries.devices.virtio.indexes import BIG_ENDIAN, LITTLE_ENDIAN, VERSION_1
from vmstate.pseries.devices.virtio.load import (
    MAX_QUEUES,
    Parts,
    check_count,
    check_selected,
    check_vector,
    load,
    skip,
)

if TYPE_CHECKING:
    from vmstate.pseries.devices.virtio.virtio_pci import VirtioDevice

CONTENT = "virtio-device"


def has_msix(device: VirtioDevice, version_id: int) -> bool:
    """The device has interrupt vectors."""
    return bool(device.vectors)


# ---- subsections


def other_endian(device: VirtioDevice) -> bool:
    """The guest drives the device in a byte order other than the target's, or than virtio 1's."""
    modern = device.guest_features_64 & VERSION_1
    return bool(device.device_endian != (LITTLE_ENDIAN if modern else BIG_ENDIAN))


def modern(device: VirtioDevice) -> bool:
    """The device offers virtio 1 (``disable-modern=off``)."""
    return bool(device.modern)


def features_above_32(device: VirtioDevice) -> bool:
    """The device offers a feature above bit 31."""
    return bool(device.host_features >> 32)


def other_ring_sizes(device: VirtioDevice) -> bool:
    """A queue has a size other than the one that it was made with."""
    return bool(device.resized)


def broken(device: VirtioDevice) -> bool:
    """The guest has broken the device."""
    return bool(device.broken)


def extra_state(device: VirtioDevice) -> bool:
    """The property ``migrate-extra`` is on (off for machine types up to 2.4)."""
    return bool(device.migrate_extra)


def started(device: VirtioDevice) -> bool:
    """The guest's driver has started the device."""
    return bool(device.started)


def packed(device: VirtioDevice) -> bool:
    """The device offers packed queues, which is not the default."""
    return bool(device.packed)


def disabled(device: VirtioDevice) -> bool:
    """The device is disabled until its backend is there."""
    return bool(device.disabled)


def load_64_bits(device: VirtioDevice) -> None:
    """Use the 64-bit features that follow, not the lower half that was loaded before."""
    device.has_64_bits = True


def load_packed(device: VirtioDevice) -> None:
    """Use the indexes that follow; QEMU loads them into its queues whether or not these are packed."""
    device.has_packed = True


def features_above_64(device: VirtioDevice) -> bool:
    """The device offers a feature above bit 63."""
    return bool(device.wide_features)


def _sub(name: str, needed: Any, *fields: Field, **more: Any) -> VMStateDescription:
    return VMStateDescription(
        name, version_id=1, minimum_version_id=1, needed=needed, fields=list(fields), **more
    )


QUEUE_RINGS = VMStateDescription(
    "virtqueue_state", 1, 1, fields=[UInt64("vring.avail", attr="avail"), UInt64("vring.used", attr="used")]
)
QUEUE_SIZE = VMStateDescription("ringsize_state", 1, 1, fields=[UInt32("vring.num_default")])
PACKED_QUEUE = VMStateDescription(
    "packed_virtqueue_state",
    1,
    1,
    fields=[
        UInt16("last_avail_idx"),
        Bool("last_avail_wrap_counter"),
        UInt16("used_idx"),
        Bool("used_wrap_counter"),
        UInt32("inuse"),
    ],
)
MODERN_QUEUE = VMStateDescription(
    "virtio_pci/modern_queue_state",
    1,
    1,
    fields=[
        UInt16("num"),
        UInt8("unused"),
        Bool("enabled"),
        *(
            UInt32(f"{ring}[{half}]", attr=f"{ring}_{half}")
            for ring in ("desc", "avail", "used")
            for half in (0, 1)
        ),
    ],
)
FEATURES_128 = _sub(
    "virtio_pci/modern_state/features128", features_above_64, UInt32("guest_features").part(2, 2)
)
MODERN_STATE = _sub(
    "virtio_pci/modern_state",
    modern,
    UInt32("dfselect"),
    UInt32("gfselect"),
    UInt32("guest_features").part(0, 2),
    Struct("vqs", MODERN_QUEUE, attr="modern_queues")[MAX_QUEUES],
    subsections=[Since("10.2", FEATURES_128)],
)
VIRTIO_PCI = VMStateDescription("virtio_pci", 1, 1, subsections=[MODERN_STATE])


def _without_index(report: FieldFailed) -> FieldFailed:
    return replace(report, field=report.field.partition("[")[0])


class ExtraState(Info):
    """The state of the bus, by its own description (get_extra_state, virtio_pci_load_extra_state)."""

    name = "virtqueue_extra_state"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        earlier = len(cur.diagnostics)
        try:
            plan_of(VIRTIO_PCI.at(state.machine.release)).load(cur, state, 1)
        except StreamError:
            halves = cur.diagnostics[earlier:]  # in QEMU the fields are arrays of two
            cur.diagnostics[earlier:] = [
                _without_index(r) if isinstance(r, FieldFailed) else r for r in halves
            ]
            raise

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(VIRTIO_PCI.at(state.machine.release)).save(out, state)


VIRTIO = VMStateDescription(
    "virtio",
    1,
    1,
    subsections=[
        _sub("virtio/device_endian", other_endian, UInt8("device_endian")),
        Since("10.2", _sub("virtio/128bit_features", features_above_64, UInt64("guest_features_ex_1"))),
        _sub(
            "virtio/64bit_features",
            features_above_32,
            UInt64("guest_features", attr="guest_features_64"),
            pre_load=load_64_bits,
        ),
        _sub("virtio/virtqueues", modern, Struct("vq", QUEUE_RINGS, attr="rings")[MAX_QUEUES]),
        _sub("virtio/ringsize", other_ring_sizes, Struct("vq", QUEUE_SIZE, attr="sizes")[MAX_QUEUES]),
        _sub("virtio/broken", broken, Bool("broken")),
        _sub("virtio/extra_state", extra_state, Field("extra_state", ExtraState())),
        Since("4.1", _sub("virtio/started", started, Bool("started"))),
        Since(
            "4.2",
            _sub(
                "virtio/packed_virtqueues",
                packed,
                Struct("vq", PACKED_QUEUE, attr="packs")[MAX_QUEUES],
                pre_load=load_packed,
            ),
        ),
        Since("5.0", _sub("virtio/disabled", disabled, Bool("disabled"))),
    ],
)


# ---- the whole field

_QUEUE_FIELDS = (UInt32("num"), UInt64("desc"), UInt16("last_avail_idx"))
QUEUE = VMStateDescription("queue", fields=[*_QUEUE_FIELDS, UInt16("vector")])
QUEUE_WITHOUT_VECTOR = VMStateDescription("queue", fields=_QUEUE_FIELDS)


def no_msix(device: VirtioDevice, version_id: int) -> bool:
    """The device has one interrupt line and no vectors."""
    return not device.vectors


class DeviceConfig(Bytes):
    """The device's configuration; a destination reads as much as its own has, and skips the rest."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        if cur.judge:
            skip(cur, state, size)
            size = min(size, cur.end - cur.pos + len(state.config))
        return cur.take(size)


class Checked(Scalar):
    """A number that is checked as soon as it is read."""

    def __init__(self, name: str, code: str, check: Callable[[VirtioDevice, int, int], None]) -> None:
        super().__init__(name, code)
        self._check = check

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        at = cur.pos
        number: int = super().get(cur, field, state, size, old)
        if cur.judge:
            self._check(state, number, at)
        return number


class QueueCount(Checked):
    """The number of queues that follow; a device may make them before any is read."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        count = super().get(cur, field, state, size, old)
        if cur.judge:
            state.pre_load_queues(cur, count)
        return count


VECTOR = scalar(Checked("uint16", "H", check_vector))
SELECTED = scalar(Checked("uint16", "H", check_selected))
QUEUES = scalar(QueueCount("uint32", "I", check_count))
_PCI = Struct("pci", PCI_DEVICE)
_BY_HAND = (
    Buffer("msix", "msix_size", exists=has_msix),
    VECTOR("config_vector", exists=has_msix),
    UInt8("status", attr="device_status"),
    UInt8("isr"),
    SELECTED("queue_sel"),
    UInt32("guest_features", attr="guest_features_low"),
    UInt32("config_len"),
    Field("config", DeviceConfig("buffer"), size="config_len", attr="config"),
    QUEUES("queues", attr="nr_queues"),
    Struct("vq", QUEUE, attr="queues", exists=has_msix)["nr_queues"],
    Struct("vq", QUEUE_WITHOUT_VECTOR, attr="queues", exists=no_msix)["nr_queues"],
)
_COMMON = Struct("virtio", VIRTIO, attr=".")


class VirtioInfo(Info):
    """The content of a device whose own part is ``own`` (virtio_device_get, virtio_device_put)."""

    name = "virtio"

    def __init__(self, own: VMStateDescription | None, *, by_hand: bool) -> None:
        self.own, self.by_hand = own, by_hand
        device = [] if own is None else [Struct("device", own, attr=".")]
        self.content = VMStateDescription(CONTENT, fields=[_PCI, *_BY_HAND, *device, _COMMON])
        self._parts: dict[Release, Parts] = {}

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        release = state.machine.release
        if cur.judge:
            load(cur, state, self._parts.get(release) or self._compiled(release))
        else:
            plan_of(self.content.at(release)).load(cur, state, 0)

    def _compiled(self, release: Release) -> Parts:
        def plan(vmsd: VMStateDescription) -> Plan:
            return plan_of(vmsd.at(release))

        queues = plan(VMStateDescription(CONTENT, fields=list(_BY_HAND)))
        own = None if self.own is None else plan(self.own)
        parts = Parts(plan(PCI_DEVICE), queues, own, plan(VIRTIO), self.by_hand)
        self._parts[release] = parts
        return parts

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(self.content.at(state.machine.release)).save(out, state)


def virtio(
    name: str, version_id: int, own: VMStateDescription | None = None, *, by_hand: bool = False
) -> VMStateDescription:
    """Return the description of a virtio device whose own part is ``own`` (VMSTATE_VIRTIO_DEVICE).

    ``by_hand``: QEMU reads and writes that part without a description (the device's ``load`` and ``save``).
    """
    field = Field("virtio", VirtioInfo(own, by_hand=by_hand), attr="virtio")
    return VMStateDescription(name, version_id=version_id, minimum_version_id=version_id, fields=[field])
