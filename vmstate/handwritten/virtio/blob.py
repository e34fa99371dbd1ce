"""The field ``virtio`` as a whole (hw/virtio/virtio.c ``virtio_save``), for a device on any bus.

Nothing in the bytes names the bus or the release.  The vmdesc names the type of the device; the rest is
tried, and what fits every byte is taken.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import Field, Node, Struct, UInt32, VMStateDescription
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.virtio import ccw, mmio, pci
from vmstate.handwritten.virtio.common import (
    CONFIG,
    QUEUE,
    QUEUE_COUNT,
    QUEUE_FIELDS,
    state_fields,
    subsections,
)
from vmstate.handwritten.virtio.config_spaces import Order, members_at
from vmstate.handwritten.virtio.devices import DEVICES, DeviceType, Own
from vmstate.handwritten.virtio.part import Part, exactly
from vmstate.handwritten.virtio.state import (
    BIG_ENDIAN,
    LITTLE_ENDIAN,
    NEWEST,
    VERSION_1,
)

TYPE = "virtio"
#: A device that is not known has no part of its own, or stays bytes.
OTHER = DeviceType(TYPE)
_ORDERS: dict[int, Order] = {LITTLE_ENDIAN: "little", BIG_ENDIAN: "big"}


@dataclass(frozen=True, eq=False)
class Transport:
    """A bus: what it sends first, its queues, its own state at the end; ``order``: that of its machine."""

    first: tuple[Field, ...]
    queues: tuple[Field, ...]
    extra: VMStateDescription | None = None
    order: Order = None


def _queues(described: VMStateDescription) -> tuple[Field, ...]:
    return (Struct("vq", described, attr="queues")["nr_queues"],)


def _on_pci(device: VMStateDescription) -> Transport:
    return Transport((Struct("pci", device), *pci.VECTORS), pci.QUEUES, pci.VIRTIO_PCI)


_NUM, *_ADDRESSES = QUEUE_FIELDS
_ALIGNED = VMStateDescription("queue", fields=[_NUM, UInt32("vring.align", attr="align"), *_ADDRESSES])
TRANSPORTS = (
    _on_pci(pci.PCI_DEVICE),
    _on_pci(pci.PCIE_DEVICE),
    Transport((Struct("ccw", ccw.DEVICE),), _queues(QUEUE), order="big"),
    Transport(mmio.REGISTERS, _queues(_ALIGNED), mmio.VIRTIO_MMIO),
)


@lru_cache(maxsize=256)
def layout(kind: str, transport: Transport, own: Own) -> VMStateDescription:
    """Return the description of a device's bytes."""
    parts = [Field("device", Part(part)) for part in own.parts]
    fields = [*transport.first, *state_fields(kind), CONFIG, QUEUE_COUNT, *transport.queues, *parts]
    after = subsections(kind, None if transport.extra is None else Part(transport.extra))
    return VMStateDescription(TYPE, 1, 1, fields=fields, subsections=after).at(NEWEST)


def _read(device: DeviceType, order: Order, data: memoryview, start: int, end: int) -> list[Node]:
    """Return the parts of a device's bytes; StreamError unless one bus, and no other, fits them."""
    found = [fit for transport in TRANSPORTS if (fit := _fit(device, transport, order, data, start, end))]
    if len(found) != 1:
        raise StreamError(f"{len(found)} buses fit", offset=start)
    return found[0]


def _fit(
    device: DeviceType, transport: Transport, order: Order, data: memoryview, start: int, end: int
) -> list[Node]:
    """Return the parts of the bytes of a device on a bus; none if they do not fit."""
    for own in device.forms:
        state = own.state()
        root = exactly(layout(device.kind, transport, own), state, data, start, end)
        if root is not None:
            open_configuration(device.kind, transport.order or order, state, root, data)
            return root.nodes
    return []


def open_configuration(kind: str, order: Order, state: Any, root: Node, data: memoryview) -> None:
    """Add the members of the configuration to its node.

    Virtio 1 decides the order of their numbers, else the subsection for a guest of another order than its
    machine's, which is ``order``.
    """
    if state.guest_features_64 & VERSION_1:
        order = "little"
    elif state.device_endian is not None:
        order = _ORDERS.get(state.device_endian)
    node = root.find(CONFIG.name)
    if node is not None and node.end > node.start:
        node.kind = "struct"
        node.nodes = members_at(kind, order, data, node.start, node.end)


@lru_cache(maxsize=64)
def virtio_of(owner: str, order: Order = None) -> Content:
    """Return the wire type of the field by the description around it; ``order`` is the machine's."""
    device = DEVICES.get(owner, OTHER)
    return Content(TYPE, lambda data, start, end: _read(device, order, data, start, end))
