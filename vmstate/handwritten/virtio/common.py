"""The part that all virtio devices send: status, queues, and subsections (hw/virtio/virtio.c).

Declared once, for decoding any stream and for the simulator, which adds its checks and conditions.
"""

from __future__ import annotations

from functools import lru_cache

from vmstate.describe import (
    Bool,
    Buffer,
    Field,
    Since,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    VMStateDescription,
)
from vmstate.describe.infos import Info
from vmstate.handwritten.virtio.names import ENDIAN, ISR, STATUS, features

MAX_QUEUES = 1024

#: A queue as ``virtio_save`` writes it, before what its bus adds.
QUEUE_FIELDS = (UInt32("num"), UInt64("desc"), UInt16("last_avail_idx"))
VECTOR = UInt16("vector")
QUEUE = VMStateDescription("queue", fields=[*QUEUE_FIELDS, VECTOR])
QUEUE_WITHOUT_VECTOR = VMStateDescription("queue", fields=QUEUE_FIELDS)


def state_fields(kind: str) -> tuple[Field, ...]:
    """Return what follows the state of the bus; ``kind``: the type of the device."""
    return (
        UInt8("status", attr="device_status", words=STATUS),
        UInt8("isr", words=ISR),
        UInt16("queue_sel"),
        UInt32("guest_features", attr="guest_features_low", words=features(kind, 0, 32)),
        UInt32("config_len"),
    )


CONFIG = Buffer("config", "config_len")
QUEUE_COUNT = UInt32("queues", attr="nr_queues")

# ---- subsections

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


def _sub(name: str, *fields: Field) -> VMStateDescription:
    return VMStateDescription(name, 1, 1, fields=list(fields))


#: Before and after those with the names of features, which the type of the device decides.  Declared once,
#: so that their plans are compiled once for all types and buses.
_ENDIAN = _sub("virtio/device_endian", UInt8("device_endian", words=ENDIAN))
_AFTER = (
    _sub("virtio/virtqueues", Struct("vq", QUEUE_RINGS, attr="rings")[MAX_QUEUES]),
    _sub("virtio/ringsize", Struct("vq", QUEUE_SIZE, attr="sizes")[MAX_QUEUES]),
    _sub("virtio/broken", Bool("broken")),
)
_LAST = (
    Since("4.1", _sub("virtio/started", Bool("started"))),
    Since("4.2", _sub("virtio/packed_virtqueues", Struct("vq", PACKED_QUEUE, attr="packs")[MAX_QUEUES])),
    Since("5.0", _sub("virtio/disabled", Bool("disabled"))),
)


@lru_cache(maxsize=64)
def _with_features(kind: str) -> tuple[VMStateDescription, ...]:
    more = UInt64("guest_features_ex_1", words=features(kind, 64, 64))
    known = UInt64("guest_features", attr="guest_features_64", words=features(kind, 0, 64))
    return Since("10.2", _sub("virtio/128bit_features", more)), _sub("virtio/64bit_features", known)


def subsections(kind: str, extra: Info | None) -> list[VMStateDescription]:
    """Return the subsections of ``virtio`` in their order; ``extra``: the state of the bus, if it has any."""
    bus = () if extra is None else (_sub("virtio/extra_state", Field("extra_state", extra)),)
    return [_ENDIAN, *_with_features(kind), *_AFTER, *bus, *_LAST]
