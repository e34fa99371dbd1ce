"""The configuration space of each device type (the structs of Linux's ``<linux/virtio_*.h>``).

A device of virtio 1 has its numbers in little-endian order, another in the guest's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

from vmstate.dataclass import dataclass
from vmstate.describe import Node
from vmstate.describe.infos import LE16, LE32, LE64, UINT8, UINT16, UINT32, UINT64
from vmstate.describe.words import Flags, Names, Words
from vmstate.handwritten.content import ByteOrder
from vmstate.handwritten.layout import Register, raw
from vmstate.handwritten.virtio.names import NET_STATUS

Order: TypeAlias = ByteOrder | None
"""The order of a configuration's numbers; None if nothing says it: then they stay bytes."""

_INFOS = {
    "little": {"B": UINT8, "H": LE16, "I": LE32, "Q": LE64},
    "big": {"B": UINT8, "H": UINT16, "I": UINT32, "Q": UINT64},
}


@dataclass(frozen=True)
class Member:
    """A member of the struct: ``code`` is a number's format (:mod:`struct`), or the size of bytes."""

    name: str
    code: str | int
    words: Words | None = None

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return self.code if isinstance(self.code, int) else struct.calcsize(f"<{self.code}")

    def register(self, order: Order) -> Register:
        """Return the member as numbers of that order are."""
        if isinstance(self.code, int) or (order is None and self.size > 1):
            return raw(self.name, self.size)
        return Register(self.name, _INFOS[order or "big"][self.code], self.size, self.words)


def _members(*members: tuple[str, str | int] | tuple[str, str | int, Words]) -> tuple[Member, ...]:
    return tuple(Member(*one) for one in members)


_ON_OFF = Names({0: "off", 1: "on"})

CONFIGURATIONS: dict[str, tuple[Member, ...]] = {
    "virtio-net": _members(
        ("mac", 6),
        ("status", "H", NET_STATUS),
        ("max_virtqueue_pairs", "H"),
        ("mtu", "H"),
        ("speed", "I", Names({0xFFFFFFFF: "unknown"})),
        ("duplex", "B", Names({0: "half", 1: "full", 0xFF: "unknown"})),
        ("rss_max_key_size", "B"),
        ("rss_max_indirection_table_length", "H"),
        (
            "supported_hash_types",
            "I",
            Flags(
                32,
                dict(
                    enumerate(
                        [
                            "IPv4",
                            "TCPv4",
                            "UDPv4",
                            "IPv6",
                            "TCPv6",
                            "UDPv6",
                            "IPv6_EX",
                            "TCPv6_EX",
                            "UDPv6_EX",
                        ]
                    )
                ),
            ),
        ),
    ),
    "virtio-blk": _members(
        ("capacity", "Q"),
        ("size_max", "I"),
        ("seg_max", "I"),
        ("geometry.cylinders", "H"),
        ("geometry.heads", "B"),
        ("geometry.sectors", "B"),
        ("blk_size", "I"),
        ("physical_block_exp", "B"),
        ("alignment_offset", "B"),
        ("min_io_size", "H"),
        ("opt_io_size", "I"),
        ("wce", "B", Names({0: "writethrough", 1: "writeback"})),
        ("unused", 1),
        ("num_queues", "H"),
        ("max_discard_sectors", "I"),
        ("max_discard_seg", "I"),
        ("discard_sector_alignment", "I"),
        ("max_write_zeroes_sectors", "I"),
        ("max_write_zeroes_seg", "I"),
        ("write_zeroes_may_unmap", "B"),
        ("unused1", 3),
        ("max_secure_erase_sectors", "I"),
        ("max_secure_erase_seg", "I"),
        ("secure_erase_sector_alignment", "I"),
        ("zoned.zone_sectors", "I"),
        ("zoned.max_open_zones", "I"),
        ("zoned.max_active_zones", "I"),
        ("zoned.max_append_sectors", "I"),
        ("zoned.write_granularity", "I"),
        ("zoned.model", "B", Names({0: "none", 1: "host-managed", 2: "host-aware"})),
        ("zoned.unused2", 3),
    ),
    "virtio-console": _members(("cols", "H"), ("rows", "H"), ("max_nr_ports", "I"), ("emerg_wr", "I")),
    "virtio-balloon": _members(
        ("num_pages", "I"),
        ("actual", "I"),
        ("free_page_hint_cmd_id", "I", Names({0: "STOP", 1: "DONE"})),
        ("poison_val", "I"),
    ),
    "virtio-scsi": _members(
        ("num_queues", "I"),
        ("seg_max", "I"),
        ("max_sectors", "I"),
        ("cmd_per_lun", "I"),
        ("event_info_size", "I"),
        ("sense_size", "I"),
        ("cdb_size", "I"),
        ("max_channel", "H"),
        ("max_target", "H"),
        ("max_lun", "I"),
    ),
    "virtio-gpu": _members(
        ("events_read", "I", Flags(32, {0: "DISPLAY"})),
        ("events_clear", "I", Flags(32, {0: "DISPLAY"})),
        ("num_scanouts", "I"),
        ("num_capsets", "I"),
        ("blob_alignment", "I"),
    ),
    "virtio-input": _members(
        (
            "select",
            "B",
            Names(
                {
                    0x00: "UNSET",
                    0x01: "ID_NAME",
                    0x02: "ID_SERIAL",
                    0x03: "ID_DEVIDS",
                    0x10: "PROP_BITS",
                    0x11: "EV_BITS",
                    0x12: "ABS_INFO",
                }
            ),
        ),
        ("subsel", "B"),
        ("size", "B"),
        ("reserved", 5),
    ),
    "virtio-9p": _members(("tag_len", "H")),
    "virtio-vsock": _members(("guest_cid", "Q")),
    "virtio-iommu": _members(
        ("page_size_mask", "Q"),
        ("input_range.start", "Q"),
        ("input_range.end", "Q"),
        ("domain_range.start", "I"),
        ("domain_range.end", "I"),
        ("probe_size", "I"),
        ("bypass", "B", _ON_OFF),
        ("reserved", 3),
    ),
    "virtio-mem": _members(
        ("block_size", "Q"),
        ("node_id", "H"),
        ("padding", 6),
        ("addr", "Q"),
        ("region_size", "Q"),
        ("usable_region_size", "Q"),
        ("plugged_size", "Q"),
        ("requested_size", "Q"),
    ),
    "virtio-fs": _members(("tag", 36), ("num_request_queues", "I")),
}
#: The name of the bytes behind the members, whose number is each device's own.
_REST = {"virtio-9p": "tag", "virtio-input": "u"}


def members_at(kind: str, order: Order, data: memoryview, start: int, end: int) -> list[Node]:
    """Return the members of a configuration, as many as it has, and the bytes behind them."""
    return list(_nodes(kind, order, data, start, end))


def _nodes(kind: str, order: Order, data: memoryview, at: int, end: int) -> Iterator[Node]:
    for member in CONFIGURATIONS.get(kind, ()):
        if at + member.size > end:
            break
        yield member.register(order).node(data, at)
        at += member.size
    if at < end:
        yield raw(_REST.get(kind, "rest"), end - at).node(data, at)
