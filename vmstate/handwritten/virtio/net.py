"""A network card's own part (hw/net/virtio-net.c ``vmstate_virtio_net_device``)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import (
    Bool,
    Buffer,
    History,
    Since,
    Struct,
    Tmp,
    UInt8,
    UInt16,
    UInt16Equal,
    UInt32,
    UInt64,
    VMStateDescription,
)
from vmstate.handwritten.virtio.back_end import NET_BACK_END
from vmstate.handwritten.virtio.names import NET_STATUS, features
from vmstate.handwritten.virtio.state import VirtioState

MAX_VLAN = 4096
MAC_ENTRIES = 64
RSS_KEY = 40
_CTRL_GUEST_OFFLOADS = 2


def many_queues(net: Any, version_id: int) -> bool:
    """The device has more than one pair of queues."""
    return bool(net.max_queue_pairs > 1)


def offloads(net: Any, version_id: int) -> bool:
    """The guest may choose the card's offloads (VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)."""
    return bool(net.guest_features_low >> _CTRL_GUEST_OFFLOADS & 1)


def macs_fit(net: Any, version_id: int) -> bool:
    """There is room for all addresses."""
    return bool(net.macs_in_use <= MAC_ENTRIES)


def macs_do_not_fit(net: Any, version_id: int) -> bool:
    """There are too many addresses: they are skipped and discarded."""
    return bool(net.macs_in_use > MAC_ENTRIES)


def _itself(net: Any) -> Any:
    """Return the card itself, which is the scratch state of two checks."""
    return net


RSS = VMStateDescription(
    "virtio-net-device/rss",
    version_id=History(1, ("10.2", 2)),
    minimum_version_id=1,
    fields=[
        *(Bool(f"rss_data.{name}", attr=f"rss_{name}") for name in ("enabled", "redirect", "populate_hash")),
        UInt32("rss_data.hash_types", attr="rss_hash_types"),
        Since("10.2", UInt32("rss_data.supported_hash_types", 2, attr="rss_supported_hash_types")),
        UInt16("rss_data.indirections_len", attr="rss_indirections_len"),
        UInt16("rss_data.default_queue", attr="rss_default_queue"),
        UInt8("rss_data.key", attr="rss_key")[RSS_KEY],
        UInt16("rss_data.indirections_table", attr="rss_table")["rss_indirections_len"],
    ],
)
QUEUE = VMStateDescription("virtio-net-queue-tx_waiting", fields=[UInt32("tx_waiting")])
VNET = VMStateDescription("virtio-net-vnet", fields=[UInt32("has_vnet_hdr")])
UFO = VMStateDescription("virtio-net-ufo", fields=[UInt8("has_ufo")])


def net_device(
    vnet: VMStateDescription = VNET, ufo: VMStateDescription = UFO, rss: VMStateDescription = RSS
) -> VMStateDescription:
    """Return the card's own part, whose parts may have checks."""
    return VMStateDescription(
        "virtio-net-device",
        version_id=11,
        minimum_version_id=11,
        fields=[
            UInt8("mac")[6],
            Struct("vqs", QUEUE, attr="."),
            UInt32("mergeable_rx_bufs"),
            UInt16("status", attr="net_status", words=NET_STATUS),
            UInt8("promisc"),
            UInt8("allmulti"),
            UInt32("mac_table.in_use", attr="macs_in_use"),
            Buffer("mac_table.macs", "macs_in_use", attr="macs", exists=macs_fit).times(6),
            Buffer("unused", "beyond_size", attr="beyond", exists=macs_do_not_fit),
            Buffer("vlans", MAX_VLAN >> 3),
            Tmp(vnet, _itself),
            *(
                UInt8(name)
                for name in ("multi_overflow", "uni_overflow", "alluni", "nomulti", "nouni", "nobcast")
            ),
            Tmp(ufo, _itself),
            UInt16Equal("max_queue_pairs", exists=many_queues),
            UInt16("curr_queue_pairs", exists=many_queues),
            UInt32("tx_waiting", attr="tx_waiting_others")["other_queue_pairs"],
            UInt64("curr_guest_offloads", exists=offloads, words=features("virtio-net", 0, 64)),
        ],
        subsections=[Since("5.1", rss), Since("10.0", NET_BACK_END)],
    )


def size_beyond(macs: int, *, signed: bool = True) -> int:
    """Return the bytes of addresses that a table has no room for; none for a count that is negative."""
    return 0 if signed and macs >= 1 << 31 else 6 * macs


class NetState(VirtioState):
    """A card's values."""

    macs_in_use: int
    max_queue_pairs = curr_queue_pairs = 1

    @property
    def beyond_size(self) -> int:
        """Bytes of the addresses that are skipped."""
        return size_beyond(self.macs_in_use)

    @property
    def other_queue_pairs(self) -> int:
        """The pairs of queues in use after the first."""
        return max(0, self.curr_queue_pairs - 1)


class ManyQueues(NetState):
    """A card's values, if it has several pairs of queues."""

    max_queue_pairs = 2
