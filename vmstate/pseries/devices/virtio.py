"""What every virtio device on PCI sends: the field ``virtio`` (hw/virtio/virtio.c, hw/virtio/virtio-pci.c).

QEMU writes it by hand, so the vmdesc has one field of type ``virtio``; here its inside is declared too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmstate.describe import (
    Bool,
    Buffer,
    Cursor,
    Field,
    History,
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
from vmstate.describe.history import Span
from vmstate.describe.infos import Info, Scalar
from vmstate.describe.reports import EINVAL, EPERM, LoadFailure
from vmstate.errors import StreamError
from vmstate.pseries.devices.pci_device import PCI_DEVICE

MAX_QUEUES = 1024
NO_VECTOR = 0xFFFF
CONTENT = "virtio-device"


def _features(used: int, offered: int) -> str:
    return f"Features 0x{used:x} unsupported. Allowed features: 0x{offered:x}"


def _wide_features(used: int, offered: int) -> str:
    """128 bits, and of the guest's features only those that were kept."""
    return f"Features 0x{used & offered:032x} unsupported. Allowed features: 0x{offered:032x}"


FEATURES = History(_features, ("10.2", _wide_features))
SIZES_CHECKED = Span(since="11.1")  # a queue may not come larger than it was made


def has_msix(device: Any, version_id: int) -> bool:
    """The device has interrupt vectors."""
    return bool(device.vectors)


# ---- subsections


def other_endian(device: Any) -> bool:
    """The guest drives the device in another byte order than the one that is taken for granted."""
    return bool(device.device_endian != device.expected_endian)


def modern(device: Any) -> bool:
    """The device offers virtio 1 (``disable-modern=off``)."""
    return bool(device.modern)


def other_ring_sizes(device: Any) -> bool:
    """A queue has another size than the one that it was made with."""
    return bool(device.resized)


def broken(device: Any) -> bool:
    """The guest broke the device."""
    return bool(device.broken)


def extra_state(device: Any) -> bool:
    """The property ``migrate-extra``, off for machine types up to 2.4."""
    return bool(device.migrate_extra)


def started(device: Any) -> bool:
    """The guest's driver runs the device."""
    return bool(device.started)


def packed(device: Any) -> bool:
    """The device offers packed queues, which is not the default."""
    return bool(device.packed)


def disabled(device: Any) -> bool:
    """The device was switched off, waiting for its backend."""
    return bool(device.disabled)


def load_64_bits(device: Any) -> None:
    """The 64-bit features come: they count, not the lower half that came before."""
    device.has_64_bits = True


class QueueRefused(LoadFailure):
    """What is wrong with queue ``number``; told when the next part is about to be read."""

    def __init__(self, ret: int, message: str, number: int, **where: object) -> None:
        super().__init__(ret, message, **where)
        self.path = f"vq[{number}]"


def check_queues(device: Any) -> None:
    """What virtio_load and virtio_pci_load_queue look at in each queue, before the device's own part."""
    for i, queue in enumerate(device.queues):
        if not queue.desc and queue.last_avail_idx:
            line = f"VQ {i} address 0x0 inconsistent with Host index 0x{queue.last_avail_idx:x}"
            device.say(line)
            raise QueueRefused(-EPERM, line, i)
        vector = queue.vector if device.vectors else NO_VECTOR
        if vector != NO_VECTOR and vector >= device.vectors:
            raise QueueRefused(
                -EINVAL, "vector of a queue", i, found=vector, expected=f"below {device.vectors}"
            )


def features_above_64(device: Any) -> bool:
    """The device offers a feature from bit 64 on."""
    return bool(device.wide_features)


def _sub(name: str, needed: Any, *fields: Field, **more: Any) -> VMStateDescription:
    return VMStateDescription(
        name, version_id=1, minimum_version_id=1, needed=needed, fields=list(fields), **more
    )


QUEUE_RINGS = VMStateDescription(
    "virtqueue_state", 1, 1, fields=[UInt64("vring.avail"), UInt64("vring.used")]
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


class ExtraState(Info):
    """What the bus has to say, by its own description (get_extra_state, virtio_pci_load_extra_state)."""

    name = "virtqueue_extra_state"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        plan_of(VIRTIO_PCI.at(state.machine.release)).load(cur, state, 1)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(VIRTIO_PCI.at(state.machine.release)).save(out, state)


VIRTIO = VMStateDescription(
    "virtio",
    1,
    1,
    subsections=[
        _sub("virtio/device_endian", other_endian, UInt8("device_endian")),
        Since("10.2", _sub("virtio/128bit_features", features_above_64, UInt64("guest_features_ex_1"))),
        _sub("virtio/64bit_features", modern, UInt64("guest_features_64"), pre_load=load_64_bits),
        _sub("virtio/virtqueues", modern, Struct("vq", QUEUE_RINGS, attr="rings")[MAX_QUEUES]),
        _sub("virtio/ringsize", other_ring_sizes, Struct("vq", QUEUE_SIZE, attr="sizes")[MAX_QUEUES]),
        _sub("virtio/broken", broken, Bool("broken")),
        _sub("virtio/extra_state", extra_state, Field("extra_state", ExtraState())),
        Since("4.1", _sub("virtio/started", started, Bool("started"))),
        Since(
            "4.2",
            _sub("virtio/packed_virtqueues", packed, Struct("vq", PACKED_QUEUE, attr="packs")[MAX_QUEUES]),
        ),
        Since("5.0", _sub("virtio/disabled", disabled, Bool("disabled"))),
    ],
)


# ---- the whole


_QUEUE_FIELDS = (UInt32("num"), UInt64("desc"), UInt16("last_avail_idx"))
QUEUE = VMStateDescription("queue", fields=[*_QUEUE_FIELDS, UInt16("vector")])
QUEUE_WITHOUT_VECTOR = VMStateDescription("queue", fields=_QUEUE_FIELDS)


def no_msix(device: Any, version_id: int) -> bool:
    """The device has one interrupt line and no vectors."""
    return not device.vectors


class QueueCount(Scalar):
    """How many queues follow: what came before is checked when it is known, before any of them is read."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        at = cur.pos
        count: int = super().get(cur, field, state, size, old)
        if cur.judge and not cur.short:
            self._check(state, count, at)
            state.queues_coming(cur, count)
        return count

    @staticmethod
    def _check(state: Any, count: int, at: int) -> None:
        """virtio_pci_load_config, virtio_load."""
        if state.vectors and state.config_vector != NO_VECTOR and state.config_vector >= state.vectors:
            raise LoadFailure(-EINVAL, "vector of the configuration", offset=at, found=state.config_vector)
        if state.queue_sel >= MAX_QUEUES:
            raise LoadFailure(-EPERM, "selected queue", offset=at, found=state.queue_sel)
        if count > MAX_QUEUES:
            state.say(f"Invalid number of virtqueues: 0x{count:x}")
            raise LoadFailure(-EPERM, "number of queues", offset=at, found=count, expected=MAX_QUEUES)


QUEUES = scalar(QueueCount("uint32", "I"))


def _content(own: VMStateDescription | None) -> VMStateDescription:
    return VMStateDescription(
        CONTENT,
        fields=[
            Struct("pci", PCI_DEVICE),
            Buffer("msix", "msix_size", exists=has_msix),
            UInt16("config_vector", exists=has_msix),
            UInt8("status", attr="device_status"),
            UInt8("isr"),
            UInt16("queue_sel"),
            UInt32("guest_features", attr="guest_features_low"),
            UInt32("config_len"),
            Buffer("config", "config_len"),
            QUEUES("queues", attr="nr_queues"),
            Struct("vq", QUEUE, attr="queues", exists=has_msix)["nr_queues"],
            Struct("vq", QUEUE_WITHOUT_VECTOR, attr="queues", exists=no_msix)["nr_queues"],
            *([Struct("device", replace(own, pre_load=check_queues), attr=".")] if own is not None else []),
            Struct("virtio", VIRTIO if own is not None else replace(VIRTIO, pre_load=check_queues), attr="."),
        ],
    )


class VirtioInfo(Info):
    """The content of a device whose own part is ``own`` (virtio_device_get, virtio_device_put)."""

    name = "virtio"

    def __init__(self, own: VMStateDescription | None) -> None:
        self.content = _content(own)

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        at = cur.pos
        try:
            plan_of(self.content.at(state.machine.release)).load(cur, state, 0)
        except StreamError as error:
            if isinstance(error, QueueRefused):
                error.place = replace(error.place, path=error.path)
            # This description is ours: QEMU reads its fields by hand and has nothing to say of them.
            if cur.reports and getattr(cur.reports[-1], "vmsd", None) == CONTENT:
                cur.reports.pop()
            raise
        if cur.judge:
            self._check(state, at)
            state.queues_came(cur, state.nr_queues)

    def _check(self, state: Any, at: int) -> None:
        """virtio_load, behind the queues."""
        for i, queue in enumerate(state.queues):
            line, ret = self._queue_error(state, i, queue)
            if line:
                state.say(line)
                raise LoadFailure(ret, line, offset=at)

        ret = state.refusal()
        if ret:
            raise LoadFailure(ret, "the device refuses its own part", offset=at)
        self._check_features(state, at)

    def _check_features(self, state: Any, at: int) -> None:
        """The guest must not use what the device does not offer (virtio_set_features_nocheck)."""
        offered = state.host_features
        if offered is None:
            return
        used = state.guest_features_64 if state.modern and state.has_64_bits else state.guest_features_low
        if used & ~offered:
            line = FEATURES.at(state.machine.release)(used, offered)
            state.say(line)
            raise LoadFailure(-EPERM, line, offset=at, found=hex(used), expected=hex(offered))

    def _queue_error(self, state: Any, i: int, queue: Any) -> tuple[str, int]:
        room = state.allocated[i] if i < len(state.allocated) else 0
        if queue.num > room and SIZES_CHECKED.covers(state.machine.release):
            return f"VQ {i} vring.num {queue.num} exceeds allocated max {room}", -EINVAL
        return "", 0

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(self.content.at(state.machine.release)).save(out, state)


def virtio(name: str, version_id: int, own: VMStateDescription | None = None) -> VMStateDescription:
    """The description of a virtio device whose own part is ``own`` (VMSTATE_VIRTIO_DEVICE)."""
    field = Field("virtio", VirtioInfo(own), attr="virtio")
    return VMStateDescription(name, version_id=version_id, minimum_version_id=version_id, fields=[field])
