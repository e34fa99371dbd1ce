"""virtio-net: network cards (hw/net/virtio-net.c)."""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.describe import Cursor, History, WireArray
from vmstate.describe.diagnostics import EINVAL, aborts
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.handwritten.virtio.net import MAX_VLAN, RSS, UFO, VNET, net_device, size_beyond
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.bus_properties import NIC, going
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property, harmless, not_modelled
from vmstate.pseries.devices.pci.config_space import NIC_ROM
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    VirtioOptions,
    backend,
    base,
    checking,
    count,
    feature,
    forms,
    ioeventfd,
    named,
    offered,
    options,
    vectors,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption, is_on

NETWORK = 0x020000


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


def vnet_post_load(net: VirtioNet, version_id: int) -> int:
    """Refuse a stream that needs a backend with virtio headers, if this card's has none."""
    if net.has_vnet_hdr and not net.peer_has_headers:
        net.say("virtio-net: saved image requires vnet_hdr=on")
        return -EINVAL
    return 0


def ufo_post_load(net: VirtioNet, version_id: int) -> int:
    """Refuse a stream that needs a backend that fragments UDP.

    Raises NotModelled if the host's network may do that.
    """
    if net.has_ufo and net.peer_has_headers:
        raise NotModelled("whether the host's network fragments UDP is not modelled")
    if net.has_ufo:
        net.say("virtio-net: saved image requires TUN_F_UFO support")
        return -EINVAL
    return 0


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


NET = replace(
    net_device(
        vnet=replace(VNET, post_load=vnet_post_load),
        ufo=replace(UFO, post_load=ufo_post_load),
        rss=replace(RSS, needed=rss, post_load=rss_post_load),
    ),
    post_load=net_post_load,
)

#: Since a fix, also in a stable release, a reset leaves the VLAN filter open rather than closed.
_VLANS = History(0, (("7.2.10", "8.1"), 0xFF))


#: From here on as many queues are made as the stream has: virtio_net_pre_load_queues, which checks no limit.
#: Of more addresses than a table has room for, a count from 2 ** 31 on is not negative: seen in 11.1.3, while
#: 11.1.0 still counts with an int.
BEYOND_UNSIGNED = Span(since="11.1.1")
PRE_LOADS = Span(since=("7.2.15", "8.2.8", "9.0.4", "9.1.2", "9.2"))
#: They are written past the end of an array.  Up to UNNOTICED queues nothing happens; above AT_ONCE QEMU
#: crashes at once; in between, when they are used.  Measured, as it depends on what is in memory there.
UNNOTICED = History(7, ("8.0", 3))
AT_ONCE = History(1023, ("10.0.13", 45), ("11.1", 211))
FEWEST = 3  # one pair and the control queue
CONTROL_SIZE = 64
TOO_FEW = "virtio_net_change_num_queues: Assertion `old_num_queues >= 3' failed."
NOT_ODD = "virtio_net_change_num_queues: Assertion `old_num_queues % 2 == 1' failed."


def _rooms(pair: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Return the queues' sizes: pairs are made or removed, then the control queue comes last."""
    pairs = count // 2 if count >= FEWEST else 0
    return (*pair * pairs, CONTROL_SIZE)


class VirtioNet(VirtioDevice):
    """A card with its address, in promiscuous mode."""

    description = virtio("virtio-net", 11, NET)
    model = VirtioModel(0x1000, 1, NETWORK, 8)
    max_queue_pairs = curr_queue_pairs = 1
    other_queue_pairs = curr_guest_offloads = 0
    rss_enabled = False
    rss_populate_hash: bool
    rss_indirections_len: int

    @property
    def beyond_size(self) -> int:
        """Bytes of the addresses that are skipped."""
        return size_beyond(self.macs_in_use, signed=not BEYOND_UNSIGNED.covers(self.machine.release))

    def pre_load_queues(self, cur: Cursor, count: int) -> None:
        """Make that many queues; for none, QEMU frees a queue twice (virtio_net_pre_load_queues)."""
        release = self.machine.release
        if not PRE_LOADS.covers(release):
            return
        if not count or count > AT_ONCE.at(release):
            raise aborts(cur, None)
        self.rooms = _rooms(self.rooms[:2], count)

    def post_load_queues(self, cur: Cursor, count: int) -> None:
        """Abort if there are too few queues, or if too many overwrite memory (virtio_net_set_multiqueue).

        A queue of size 0 ends them (virtio_get_num_queues); the last is the control queue.
        """
        release = self.machine.release
        sizes = [int(queue.num) for queue in self.queues] + list(self.rooms[count:])
        there = sizes.index(0) if 0 in sizes else len(sizes)
        if there < FEWEST:
            raise aborts(cur, TOO_FEW)
        if there % 2 == 0:
            raise aborts(cur, NOT_ODD)
        if PRE_LOADS.covers(release) and count > UNNOTICED.at(release):
            raise aborts(cur, None)

    def __init__(
        self,
        machine: Machine,
        options: VirtioOptions,
        mac: bytes = bytes(6),
        of_peer: int = 0,
        *,
        peer_has_headers: bool = False,
    ) -> None:
        super().__init__(machine, options)
        self.of_peer, self.peer_has_headers = of_peer, peer_has_headers
        self.mac = WireArray("B", mac)
        self.tx_waiting = self.mergeable_rx_bufs = 0
        self.net_status = self.promisc = 1
        self.allmulti = self.macs_in_use = 0
        self.macs = self.beyond = b""
        self.vlans = bytes([_VLANS.at(machine.release)]) * (MAX_VLAN >> 3)
        self.has_vnet_hdr, self.has_ufo = int(peer_has_headers), 0
        self.multi_overflow = self.uni_overflow = self.alluni = self.nomulti = self.nouni = self.nobcast = 0
        self.tx_waiting_others: list[int] = []

    def drive(self, features: int, *, works: bool) -> None:
        """Merge receive buffers, and choose offloads, as the driver has agreed to."""
        super().drive(features, works=works)
        self.mergeable_rx_bufs = features >> F_MRG_RXBUF & 1
        self.curr_guest_offloads = features & GUEST_OFFLOADS


NAME, OWNER = "virtio-net-pci", "virtio-net-device"
BASE = base(NAME)
_PEER = "offered only where the network's other end knows headers, and the host decides"
_LIMIT = "a limit of the running device"
_VHOST = "used only with vhost, which we do not model"
F_MAC, F_MRG_RXBUF = 1 << 5, 15
GUEST_OFFLOADS = 1 << 1 | 0xF << 7  # GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO
F_SPEED_DUPLEX, F_MTU = 63, 3


LEAST_RING = 256
#: The most that a queue to send may ask for; before the change, larger ones were cut.
MOST_TO_SEND = History(virtio_pci.MAX_QUEUE_SIZE, ("8.1", LEAST_RING))
_UNSURE = Span("8.0", "8.1")  # a stable release may have it


VECTORS = vectors("virtio-net-pci-base", History("3", ("6.0", "4294967295")))
RX_QUEUE_SIZE = Property(OWNER, "rx_queue_size", "256", "uint16")
TX_QUEUE_SIZE = Property(OWNER, "tx_queue_size", "256", "uint16", Effect.HARMLESS, _VHOST, Span("2.10"))
MQ, STATUS = feature(OWNER, "mq", 22, "off"), feature(OWNER, "status", 16)
RECEIVE_SCALING = feature(OWNER, "rss", 60, "off", Span("5.1"))
HASH = Property(OWNER, "hash", "off", "bool", span=Span("5.1"))  # as _HEADERS, but configuration grows
SPEED = Property(OWNER, "speed", "-1", "int32", span=Span("2.12"))
DUPLEX = Property(OWNER, "duplex", "", span=Span("2.12"))
HOST_MTU = Property(OWNER, "host_mtu", "0", "uint16")
FEATURES = (
    *(STATUS, MQ, RECEIVE_SCALING, HASH),
    feature(OWNER, "ctrl_guest_offloads", 2),
    feature(OWNER, "gso", 6),
    feature(OWNER, "mrg_rxbuf", 15),
    feature(OWNER, "ctrl_vq", 17),
    feature(OWNER, "ctrl_rx", 18),
    feature(OWNER, "ctrl_vlan", 19),
    feature(OWNER, "ctrl_rx_extra", 20),
    feature(OWNER, "guest_announce", 21),
    feature(OWNER, "ctrl_mac_addr", 23),
    feature(OWNER, "guest_rsc_ext", 61, "off", Span("4.0")),
    feature(OWNER, "failover", 62, "off", Span("4.2")),
)
_HEADERS = (
    *("csum", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo"),
    *("host_tso4", "host_tso6", "host_ecn", "host_ufo"),
)
#: The bits that a network end with headers may offer, if the property of that name is on.
_PEER_BITS = {
    "csum": 0,
    "guest_csum": 1,
    "guest_tso4": 7,
    "guest_tso6": 8,
    "guest_ecn": 9,
    "guest_ufo": 10,
    "host_tso4": 11,
    "host_tso6": 12,
    "host_ecn": 13,
    "host_ufo": 14,
    "guest_uso4": 54,
    "guest_uso6": 55,
    "host_uso": 56,
    "guest_tunnel": 65,
    "guest_tunnel_csum": 66,
    "host_tunnel": 67,
    "host_tunnel_csum": 68,
}
#: Networks whose other end knows the headers of virtio (net/tap.c, net/vhost-user.c, net/vhost-vdpa.c).
_WITH_HEADERS = frozenset({"tap", "bridge", "vhost-user", "vhost-vdpa"})
_TUNNELS = ("host_tunnel", "host_tunnel_csum", "guest_tunnel", "guest_tunnel_csum")
_HASHES = tuple(f"hash-{name}" for name in ("ipv4", "tcp4", "udp4", "ipv6", "tcp6", "udp6"))
_HASHES_EX = ("hash-ipv6ex", "hash-tcp6ex", "hash-udp6ex")
PROPERTIES = (
    *(VECTORS, RX_QUEUE_SIZE, *FEATURES, SPEED, DUPLEX, HOST_MTU),
    *NIC,
    *harmless(OWNER, "bool", _PEER, *_HEADERS),
    *harmless(OWNER, "bool", _PEER, "guest_uso4", "guest_uso6", "host_uso", span=Span("8.2")),
    *harmless(OWNER, "bool", _PEER, *_TUNNELS, span=Span("10.2")),
    *harmless(
        OWNER,
        "OnOffAuto",
        "only with rss or hash, by a running guest",
        *_HASHES,
        *_HASHES_EX,
        span=Span("10.1"),
    ),
    *harmless(OWNER, "uint32", _LIMIT, "rsc_interval", span=Span("4.0")),
    *harmless(OWNER, "uint32", _LIMIT, "x-txtimer"),
    *harmless(OWNER, "int32", _LIMIT, "x-txburst"),
    Property(OWNER, "tx", "", "str", Effect.HARMLESS, _LIMIT, values=lambda value: value in {"bh", "timer"}),
    TX_QUEUE_SIZE,
    *going(*harmless(OWNER, "bool", _VHOST, "x-mtu-bypass-backend", span=Span("2.10"))),
    not_modelled(OWNER, "ebpf-rss-fds", "list", "[]", span=Span("9.0")),
    *ioeventfd(BASE),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)

#: Bytes of configuration that a feature needs (virtio_net_set_config_size), and the releases that have them.
_SIZES = ((MQ, 10), (STATUS, 8))


def _config_len(machine: Machine, option: DeviceOption | None) -> int:
    name = named(option, NAME)
    if RECEIVE_SCALING.flag(machine, option, name) or HASH.flag(machine, option, name):
        return 24
    if SPEED.number(machine, option, driver=name) >= 0 or DUPLEX.text(machine, option, name):
        return 17
    if HOST_MTU.number(machine, option, driver=name):
        return 12
    return next((size for one, size in _SIZES if one.flag(machine, option, name)), 6)


def check(machine: Machine, option: DeviceOption) -> None:
    """Check the speed, then the sizes of the queues (``virtio_net_device_realize``)."""
    name = option.driver
    if DUPLEX.text(machine, option, name) not in {"", "half", "full"}:
        raise Refused(f"{option.text}: 'duplex' must be 'half' or 'full'")
    if SPEED.number(machine, option, driver=name) < -1:
        raise Refused(f"{option.text}: 'speed' must be between 0 and INT_MAX")
    _check_ring(machine, option, RX_QUEUE_SIZE, virtio_pci.MAX_QUEUE_SIZE, ".")
    if TX_QUEUE_SIZE.span.covers(machine.release):
        _check_ring(machine, option, TX_QUEUE_SIZE, MOST_TO_SEND.at(machine.release), "")


def _check_ring(machine: Machine, option: DeviceOption, ring: Property, most: int, end: str) -> None:
    name = option.driver
    size = ring.number(machine, option, driver=name)
    if LEAST_RING <= size <= most and size.bit_count() == 1:
        if ring is TX_QUEUE_SIZE and size > LEAST_RING and _UNSURE.covers(machine.release):
            raise NotModelled(f"{option.text}: {ring.name}={size} is not modelled in {machine.release}")
        return
    line = f"Invalid {ring.name} (= {size}), must be a power of 2 between {LEAST_RING} and {most}{end}"
    raise Refused(f"{option.text}: {line}")


#: The bytes that QEMU has for the name of a ROM, with the byte that ends it (``pci_add_option_rom``).
_ROM_NAME = 32


def rom_name(driver: str) -> str:
    """Return the name of a card's ROM, cut as QEMU does."""
    return f"{driver}.rom"[: _ROM_NAME - 1]


def has_headers(machine: Machine, option: DeviceOption | None) -> bool:
    """Return True if the network's other end knows the headers of virtio; a tap does if not forbidden."""
    wanted = None if option is None else option.get("netdev")
    ends = (one for one in machine.netdevs if wanted is not None and one.id == wanted)
    return any(one.driver in _WITH_HEADERS and is_on(one.get("vnet_hdr") or "on") for one in ends)


def _of_peer(machine: Machine, option: DeviceOption | None, driver: str) -> int:
    """Return the features that such an end may offer: those that are not switched off."""
    own = (one for one in PROPERTIES if one.name in _PEER_BITS)
    return sum(1 << _PEER_BITS[one.name] for one in own if is_on(one.text(machine, option, driver) or "on"))


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card with its boot firmware."""
    machine = board.machine
    name = named(option, NAME)
    speed = SPEED.number(machine, option, driver=name) >= 0 or DUPLEX.text(machine, option, name)
    mtu = HOST_MTU.number(machine, option, driver=name)
    always = F_MAC | (1 << F_SPEED_DUPLEX if speed else 0) | (1 << F_MTU if mtu else 0)
    features = offered(machine, option, name, FEATURES, always)
    ring = RX_QUEUE_SIZE.number(machine, option, driver=name)
    chosen = options(
        machine,
        option,
        name,
        VirtioNet.model,
        [ring, 256, CONTROL_SIZE],
        count(VECTORS, machine, option, name, 4),
        _config_len(machine, option),
        features,
        (NIC_ROM,),
    )
    headers = has_headers(machine, option)
    of_peer = _of_peer(machine, option, name) if headers else 0
    card = VirtioNet(machine, chosen, board.mac(option), of_peer, peer_has_headers=headers)
    path = board.plug_pci(card, name, option)
    if chosen.rom:
        board.ram_blocks.append(RamBlock(f"{path}/{rom_name(name)}", NIC_ROM.size))


DRIVERS = forms(
    Driver(
        NAME,
        plug,
        check=checking(check),
        properties=PROPERTIES,
        aliases=("virtio-net",),
        netdev_owner=OWNER,
        examples=("-device virtio-net-pci,romfile=", "-device virtio-net-pci,romfile=,addr=4"),
    )
)
