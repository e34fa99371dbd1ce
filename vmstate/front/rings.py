"""The queues of virtio devices that a guest drives: where they are in its memory.

A device reads their indexes when it is loaded (hw/virtio/virtio.c ``virtio_load``); a guest whose memory was
stripped has lost them.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.dataclass import dataclass
from vmstate.describe import Node, WireRecords
from vmstate.front.memory_image import GuestMemory
from vmstate.handwritten.virtio.rings import (
    AVAILABLE_ELEMENT,
    DESCRIPTOR,
    EVENT,
    HEADER,
    USED_ELEMENT,
    USUAL_ALIGN,
    legacy_rings,
)
from vmstate.tree import Contents
from vmstate.tree.decoded import is_device

_AROUND = HEADER + EVENT
_VIRTIO, _QUEUES, _ADDRESSES = "virtio", "vq", "virtio/virtqueues"


@dataclass(frozen=True)
class Queue:
    """A queue in use: the path of its device's section, its number, its parts.

    ``parts``: the guest-physical addresses and the sizes of descriptors, available ring and used ring.
    """

    section: str
    number: int
    parts: tuple[tuple[int, int], ...]


def queues(contents: Contents) -> Iterator[Queue]:
    """Yield the queues that have an address, of every virtio device whose section can be read."""
    for section in contents.stream.sections:
        if is_device(section) and _VIRTIO in section.idstr:
            node = contents.decoded(section).root.find(_VIRTIO)
            if node is not None:
                yield from _of_device(contents.labels[section.start], node)


def _of_device(section: str, node: Node) -> Iterator[Queue]:
    made, placed = _records(node.find(_QUEUES)), _records(_below(node, _ADDRESSES, _QUEUES))
    if made is None:
        return
    aligned = made.column("align") if "align" in made.names else [USUAL_ALIGN] * len(made)
    for number, (size, start, align) in enumerate(
        zip(made.column("num"), made.column("desc"), aligned, strict=True)
    ):
        if not start or not size:
            continue
        available = used = 0
        if placed is not None and number < len(placed):
            available, used = placed.column("avail")[number], placed.column("used")[number]
        if not available:  # a legacy device has one address for all three
            available, used = legacy_rings(start, size, align)
        parts = (
            (start, DESCRIPTOR * size),
            (available, _AROUND + AVAILABLE_ELEMENT * size),
            (used, _AROUND + USED_ELEMENT * size),
        )
        yield Queue(section, number, parts)


def _below(node: Node, *names: str) -> Node | None:
    found: Node | None = node
    for name in names:
        found = None if found is None else found.find(name)
    return found


def _records(node: Node | None) -> WireRecords | None:
    return node.value if node is not None and isinstance(node.value, WireRecords) else None


def pages_of(found: list[Queue], memory: GuestMemory) -> dict[int, set[int]]:
    """Return the addresses of the pages that hold queues, by the number of their block.

    Raises ConfigurationError for a machine whose memory map is not known.
    """
    kept: dict[int, set[int]] = {}
    space, page = memory.space(), memory.page_size
    for start, size in (part for queue in found for part in queue.parts):
        for base, block in space:
            first, end = max(start, base) - base, min(start + size, base + block.length) - base
            kept.setdefault(block.index, set()).update(range(first // page * page, end, page))
    return kept
