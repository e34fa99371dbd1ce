"""The virtio devices that people plug: network, disks, balloon, random numbers, serial ports."""

from __future__ import annotations

from typing import Any

from vmstate.describe import (
    Bool,
    Buffer,
    Cursor,
    Field,
    History,
    Since,
    Struct,
    Tmp,
    UInt8,
    UInt16,
    UInt16Equal,
    UInt32,
    UInt64,
    Until,
    VMStateDescription,
    WireArray,
    Writer,
    scalar,
)
from vmstate.describe.history import Span
from vmstate.describe.infos import Info, Scalar
from vmstate.describe.reports import EINVAL, LoadFailure, aborts
from vmstate.errors import Unsupported
from vmstate.pseries.devices.virtio import virtio
from vmstate.pseries.devices.virtio_device import VirtioDevice, VirtioModel, VirtioOptions

MAX_VLAN = 4096
MAC_ENTRIES = 64
RSS_KEY = 40
STORAGE, NETWORK, SERIAL, OTHER = 0x010000, 0x020000, 0x078000, 0x00FF00

# Network cards, as in virtio-net.c.


def many_queues(net: Any, version_id: int) -> bool:
    """The device has more than one pair of queues."""
    return bool(net.max_queue_pairs > 1)


def offloads(net: Any, version_id: int) -> bool:
    """The guest may choose what its network card does for it (VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)."""
    return bool(net.guest_features_low >> 2 & 1)


def rss(net: Any) -> bool:
    """The guest has set up receive-side scaling."""
    return bool(net.rss_enabled)


NET_RSS = VMStateDescription(
    "virtio-net-device/rss",
    version_id=History(1, ("10.2", 2)),
    minimum_version_id=1,
    needed=rss,
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


def macs_fit(net: Any, version_id: int) -> bool:
    """There is room for all addresses."""
    return bool(net.macs_in_use <= MAC_ENTRIES)


def macs_do_not_fit(net: Any, version_id: int) -> bool:
    """There are too many addresses: they are skipped, and forgotten."""
    return bool(net.macs_in_use > MAC_ENTRIES)


def _itself(net: Any) -> Any:
    """The scratch state of the two checks below is the card's own."""
    return net


def vnet_post_load(net: Any, version_id: int) -> int:
    """A backend with virtio headers is needed, which no network of the simulator has."""
    if net.has_vnet_hdr:
        net.say("virtio-net: saved image requires vnet_hdr=on")
        return -EINVAL
    return 0


def ufo_post_load(net: Any, version_id: int) -> int:
    """A backend that fragments UDP is needed."""
    if net.has_ufo:
        net.say("virtio-net: saved image requires TUN_F_UFO support")
        return -EINVAL
    return 0


NET_QUEUE = VMStateDescription("virtio-net-queue-tx_waiting", fields=[UInt32("tx_waiting")])
NET_VNET = VMStateDescription("virtio-net-vnet", post_load=vnet_post_load, fields=[UInt32("has_vnet_hdr")])
NET_UFO = VMStateDescription("virtio-net-ufo", post_load=ufo_post_load, fields=[UInt8("has_ufo")])

NET = VMStateDescription(
    "virtio-net-device",
    version_id=11,
    minimum_version_id=11,
    fields=[
        UInt8("mac")[6],
        Struct("vqs", NET_QUEUE, attr="."),
        UInt32("mergeable_rx_bufs"),
        UInt16("status", attr="net_status"),
        UInt8("promisc"),
        UInt8("allmulti"),
        UInt32("mac_table.in_use", attr="macs_in_use"),
        Buffer("mac_table.macs", "macs_in_use", attr="macs", exists=macs_fit).times(6),
        Buffer("unused", "beyond_size", attr="beyond", exists=macs_do_not_fit),
        Buffer("vlans", MAX_VLAN >> 3),
        Tmp(NET_VNET, _itself),
        *(
            UInt8(name)
            for name in ("multi_overflow", "uni_overflow", "alluni", "nomulti", "nouni", "nobcast")
        ),
        Tmp(NET_UFO, _itself),
        UInt16Equal("max_queue_pairs", exists=many_queues),
        UInt16("curr_queue_pairs", exists=many_queues),
        UInt32("tx_waiting", attr="tx_waiting_others")["other_queue_pairs"],
        UInt64("curr_guest_offloads", exists=offloads),
    ],
    subsections=[Since("5.1", NET_RSS)],
)

#: Since a fix of stable releases too, a reset leaves the VLAN filter open rather than closed.
_VLANS = History(0, (("7.2.10", "8.1"), 0xFF))


#: As many queues are made as come, from here on: virtio_net_pre_load_queues, which looks at no limit.
PRE_LOADS = Span(since=("7.2.15", "8.2.8", "9.0.4", "9.1.2", "9.2"))
#: They are written behind the end of an array.  Up to so many go unnoticed; above so many it ends QEMU at
#: once, and not only when they are used.  Measured, as that is a matter of what lies there.
UNNOTICED = History(7, ("8.0", 3))
AT_ONCE = History(1023, ("10.0.13", 45), ("11.1", 211))
FEWEST = 3  # two for the one pair that there is, and the control queue
CONTROL_SIZE = 64
TOO_FEW = "virtio_net_change_num_queues: Assertion `old_num_queues >= 3' failed."


def _rooms(pair: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Pairs are made or removed by twos, then the control queue is put behind them, or first."""
    pairs = count // 2 if count >= FEWEST else 0
    return (*pair * pairs, CONTROL_SIZE)


class VirtioNet(VirtioDevice):
    """A card with its address, listening to everything."""

    description = virtio("virtio-net", 11, NET)
    model = VirtioModel(0x1000, 1, NETWORK, 8, 0x00BF8064)
    max_queue_pairs = curr_queue_pairs = 1
    other_queue_pairs = 0
    rss_enabled = False

    @property
    def beyond_size(self) -> int:
        """Bytes of addresses that are skipped; QEMU counts them in a signed number, and none below zero."""
        size = (6 * self.macs_in_use) & 0xFFFFFFFF
        return size if size < 1 << 31 else 0

    def queues_coming(self, cur: Cursor, count: int) -> None:
        """None: a queue is freed twice."""
        release = self.machine.release
        if not PRE_LOADS.covers(release):
            return
        if not count or count > AT_ONCE.at(release):
            raise aborts(cur, None)
        self.rooms = _rooms(self.rooms[:2], count)

    def queues_came(self, cur: Cursor, count: int) -> None:
        """virtio_net_set_multiqueue: there must be a pair to begin with."""
        release = self.machine.release
        if not PRE_LOADS.covers(release):
            return
        if count < FEWEST:
            raise aborts(cur, TOO_FEW)
        if count > UNNOTICED.at(release):
            raise aborts(cur, None)

    def __init__(self, machine: Any, options: VirtioOptions, mac: bytes = bytes(6)) -> None:
        super().__init__(machine, options)
        self.mac = WireArray("B", mac)
        self.tx_waiting = self.mergeable_rx_bufs = 0
        self.net_status = self.promisc = 1
        self.allmulti = self.macs_in_use = 0
        self.macs = self.beyond = b""
        self.vlans = bytes([_VLANS.at(machine.release)]) * (MAX_VLAN >> 3)
        self.has_vnet_hdr = self.has_ufo = 0
        self.multi_overflow = self.uni_overflow = self.alluni = self.nomulti = self.nouni = self.nobcast = 0
        self.tx_waiting_others: list[int] = []


# Disks, as in virtio-blk.c and virtio-scsi.c.


class BlkRequests(Info):
    """Requests in flight, each after a byte 1; a byte 0 at the end."""

    name = "requests"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> tuple[()]:
        if cur.byte():
            raise Unsupported("a virtio-blk request in flight", offset=cur.pos - 1)
        return ()

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(b"\0")


BLK = VMStateDescription(
    "virtio-blk-device",
    version_id=2,
    minimum_version_id=2,
    fields=[Field("requests", BlkRequests(), attr="requests")],
)


class VirtioBlk(VirtioDevice):
    """A disk."""

    description = virtio("virtio-blk", 2, BLK, by_hand=True)
    model = VirtioModel(0x1001, 2, STORAGE, 57)
    requests: tuple[()] = ()


class VirtioScsi(VirtioDevice):
    """A SCSI adapter."""

    description = virtio("virtio-scsi", 1)
    model = VirtioModel(0x1004, 8, STORAGE, 36, 0x6)


# Balloons, as in virtio-balloon.c.


def hints(balloon: Any) -> bool:
    """The property ``free-page-hint``, off by default."""
    return bool(balloon.free_page_hint)


def poison(balloon: Any) -> bool:
    """The property ``page-poison``, off for machine types up to 5.0."""
    return bool(balloon.page_poison)


def _hint(prefix: str) -> VMStateDescription:
    return VMStateDescription(
        "virtio-balloon-device/free-page-report",
        1,
        1,
        needed=hints,
        fields=[UInt32(f"{prefix}_cmd_id", attr="cmd_id"), UInt32(f"{prefix}_status", attr="hint_status")],
    )


def _poison(name: str) -> VMStateDescription:
    return VMStateDescription(name, 1, 1, needed=poison, fields=[UInt32("poison_val")])


#: Its name had a slip, so that a destination stopped looking for subsections when it saw one.
POISON_RENAMED = "6.2"

BALLOON = VMStateDescription(
    "virtio-balloon-device",
    version_id=1,
    minimum_version_id=1,
    fields=[UInt32("num_pages"), UInt32("actual")],
    subsections=[
        Until("5.1", Since("4.0", _hint("free_page_report"))),
        Since("5.1", _hint("free_page_hint")),
        Until(POISON_RENAMED, Since("5.1", _poison("vitio-balloon-device/page-poison"))),
        Since(POISON_RENAMED, _poison("virtio-balloon-device/page-poison")),
    ],
)


class VirtioBalloon(VirtioDevice):
    """A balloon without air.  Its page poisoning is offered, but only used by a guest that asks for it."""

    description = virtio("virtio-balloon", 1, BALLOON)
    model = VirtioModel(0x1002, 5, OTHER, 16, 0x2)
    num_pages = actual = poison_val = cmd_id = hint_status = 0
    free_page_hint = page_poison = False


# Random numbers, as in virtio-rng.c.


class VirtioRng(VirtioDevice):
    """A source of random numbers."""

    description = virtio("virtio-rng", 1)
    model = VirtioModel(0x1005, 4, OTHER, 0, 0x0)


# Serial ports, as in virtio-serial-bus.c.


class Same(Scalar):
    """A number that must be the local one; if not, nothing is said (virtio_serial_load_device)."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        at = cur.pos
        number: int = super().get(cur, field, state, size, old)
        if cur.judge and number != old:
            message = f"{field.name} is not that of the destination"
            raise LoadFailure(-EINVAL, message, offset=at, found=number, expected=old)
        return number


SameUInt32 = scalar(Same("uint32", "I"))

PORT = VMStateDescription(
    "port",
    fields=[UInt32("id"), UInt8("guest_connected"), UInt8("host_connected"), UInt32("elem_popped")],
)

SERIAL_PORTS = VMStateDescription(
    "virtio-serial",
    version_id=3,
    minimum_version_id=3,
    fields=[
        UInt16("cols"),
        UInt16("rows"),
        UInt32("max_nr_ports"),
        SameUInt32("ports_map"),
        SameUInt32("nr_active_ports"),
        Struct("ports", PORT)["nr_active_ports"],
    ],
)


class VirtioSerial(VirtioDevice):
    """An adapter for 31 ports, without any; number 0 is kept for a console.

    The number of ports goes out in the byte order of the host, which is little-endian here.
    """

    description = virtio("virtio-console", 3, SERIAL_PORTS, by_hand=True)
    model = VirtioModel(0x1003, 3, SERIAL, 12, 0x2)
    cols = rows = 0
    max_nr_ports = 31 << 24
    ports_map = 1
    nr_active_ports = 0

    def __init__(self, machine: Any, options: VirtioOptions) -> None:
        super().__init__(machine, options)
        self.ports: list[Any] = []
