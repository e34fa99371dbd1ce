"""virtio-net: network cards (hw/net/virtio-net.c)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmstate.describe import (
    Bool,
    Buffer,
    Cursor,
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
    WireArray,
)
from vmstate.describe.diagnostics import EINVAL, aborts
from vmstate.describe.history import Span
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.pci.config_space import NIC_ROM, has_rom
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    PROPERTIES,
    VirtioDevice,
    VirtioModel,
    VirtioOptions,
    options,
)
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

MAX_VLAN = 4096
MAC_ENTRIES = 64
RSS_KEY = 40
NETWORK = 0x020000


def many_queues(net: VirtioNet, version_id: int) -> bool:
    """The device has more than one pair of queues."""
    return bool(net.max_queue_pairs > 1)


def offloads(net: VirtioNet, version_id: int) -> bool:
    """The guest may choose the card's offloads (VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)."""
    return bool(net.guest_features_low >> 2 & 1)


def rss(net: VirtioNet) -> bool:
    """The guest has set up receive-side scaling."""
    return bool(net.rss_enabled)


#: The sizes that the table of receive-side scaling may have, since a fix.
INDIRECTIONS = tuple(1 << bit for bit in range(8))
INDIRECTIONS_CHECKED = Span(since=("10.0.13", "11.1"))


def rss_post_load(net: VirtioNet, version_id: int) -> int:
    """Check that the table's size is a power of two, up to 128 (virtio_net_rss_post_load)."""
    checked = INDIRECTIONS_CHECKED.covers(net.machine.release)
    if checked and net.rss_indirections_len not in INDIRECTIONS:
        net.say(f"virtio-net: saved image has invalid RSS indirections_len: {net.rss_indirections_len}")
        return -EINVAL
    return 0


NET_RSS = VMStateDescription(
    "virtio-net-device/rss",
    version_id=History(1, ("10.2", 2)),
    minimum_version_id=1,
    needed=rss,
    post_load=rss_post_load,
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


def macs_fit(net: VirtioNet, version_id: int) -> bool:
    """There is room for all addresses."""
    return bool(net.macs_in_use <= MAC_ENTRIES)


def macs_do_not_fit(net: VirtioNet, version_id: int) -> bool:
    """There are too many addresses: they are skipped and discarded."""
    return bool(net.macs_in_use > MAC_ENTRIES)


def _itself(net: VirtioNet) -> Any:
    """Return the card itself, which is the scratch state of the two checks below."""
    return net


def vnet_post_load(net: VirtioNet, version_id: int) -> int:
    """Refuse a stream that needs a backend with virtio headers, which no modelled network has."""
    if net.has_vnet_hdr:
        net.say("virtio-net: saved image requires vnet_hdr=on")
        return -EINVAL
    return 0


def ufo_post_load(net: VirtioNet, version_id: int) -> int:
    """Refuse a stream that needs a backend that fragments UDP, which no modelled network has."""
    if net.has_ufo:
        net.say("virtio-net: saved image requires TUN_F_UFO support")
        return -EINVAL
    return 0


NET_QUEUE = VMStateDescription("virtio-net-queue-tx_waiting", fields=[UInt32("tx_waiting")])
NET_VNET = VMStateDescription("virtio-net-vnet", post_load=vnet_post_load, fields=[UInt32("has_vnet_hdr")])
NET_UFO = VMStateDescription("virtio-net-ufo", post_load=ufo_post_load, fields=[UInt8("has_ufo")])

#: A card without a peer cannot load its eBPF program and warns: first only if it need not hash, later always.
NO_EBPF = History(
    None,
    ("6.1", "warning: Can't post-load eBPF RSS - fallback to software RSS"),
    ("9.1", "warning: Can't load eBPF RSS - fallback to software RSS"),
)
HASHING_FORGOTTEN = Span(since="9.1")


def net_post_load(net: VirtioNet, version_id: int) -> int:
    """Warn that eBPF is missing (virtio_net_post_load_device, virtio_net_commit_rss_config)."""
    release = net.machine.release
    line = NO_EBPF.at(release)
    if line and net.rss_enabled and (HASHING_FORGOTTEN.covers(release) or not net.rss_populate_hash):
        net.say(line)
    return 0


NET = VMStateDescription(
    "virtio-net-device",
    version_id=11,
    minimum_version_id=11,
    post_load=net_post_load,
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

#: Since a fix, also in a stable release, a reset leaves the VLAN filter open rather than closed.
_VLANS = History(0, (("7.2.10", "8.1"), 0xFF))


#: From here on as many queues are made as the stream has: virtio_net_pre_load_queues, which checks no limit.
PRE_LOADS = Span(since=("7.2.15", "8.2.8", "9.0.4", "9.1.2", "9.2"))
#: They are written past the end of an array.  Up to UNNOTICED queues nothing happens; above AT_ONCE QEMU
#: crashes at once; in between, when they are used.  Measured, as it depends on what is in memory there.
UNNOTICED = History(7, ("8.0", 3))
AT_ONCE = History(1023, ("10.0.13", 45), ("11.1", 211))
FEWEST = 3  # one pair and the control queue
CONTROL_SIZE = 64
TOO_FEW = "virtio_net_change_num_queues: Assertion `old_num_queues >= 3' failed."


def _rooms(pair: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Return the queues' sizes: pairs are made or removed, then the control queue comes last."""
    pairs = count // 2 if count >= FEWEST else 0
    return (*pair * pairs, CONTROL_SIZE)


class VirtioNet(VirtioDevice):
    """A card with its address, in promiscuous mode."""

    description = virtio("virtio-net", 11, NET)
    model = VirtioModel(0x1000, 1, NETWORK, 8, 0x00BF8064)
    max_queue_pairs = curr_queue_pairs = 1
    other_queue_pairs = 0
    rss_enabled = False
    rss_populate_hash: bool
    rss_indirections_len: int

    @property
    def beyond_size(self) -> int:
        """Bytes of addresses that are skipped: none if the count, which QEMU keeps signed, is negative."""
        size = (6 * self.macs_in_use) & 0xFFFFFFFF
        return size if size < 1 << 31 else 0

    def pre_load_queues(self, cur: Cursor, count: int) -> None:
        """Make that many queues; for none, QEMU frees a queue twice (virtio_net_pre_load_queues)."""
        release = self.machine.release
        if not PRE_LOADS.covers(release):
            return
        if not count or count > AT_ONCE.at(release):
            raise aborts(cur, None)
        self.rooms = _rooms(self.rooms[:2], count)

    def post_load_queues(self, cur: Cursor, count: int) -> None:
        """Abort if there are too few queues, or if too many overwrite memory (virtio_net_set_multiqueue)."""
        release = self.machine.release
        if not PRE_LOADS.covers(release):
            return
        if count < FEWEST:
            raise aborts(cur, TOO_FEW)
        if count > UNNOTICED.at(release):
            raise aborts(cur, None)

    def __init__(self, machine: Machine, options: VirtioOptions, mac: bytes = bytes(6)) -> None:
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


VECTORS = Property("virtio-net-pci-base", "vectors", "4")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card with its boot firmware."""
    machine, rom = board.machine, has_rom(option)
    chosen = options(machine, option, [256, 256, CONTROL_SIZE], VECTORS.number(machine, option))
    card = VirtioNet(machine, replace(chosen, rom=rom), board.mac(option))
    path = board.plug_pci(card, "virtio-net-pci", option)
    if rom:
        board.ram_blocks.append(RamBlock(f"{path}/virtio-net-pci.rom", NIC_ROM.size))


DRIVERS = (
    Driver(
        "virtio-net-pci",
        plug,
        properties=(VECTORS, *PROPERTIES),
        netdev_owner="virtio-net-device",
        examples=("-device virtio-net-pci,romfile=", "-device virtio-net-pci,romfile=,addr=4"),
    ),
)
