"""``spapr_llan``: the virtual network card of PAPR, ``-device spapr-vlan`` (hw/net/spapr_llan.c)."""

from __future__ import annotations

from functools import lru_cache

from vmstate.describe import (
    Bool,
    Int32,
    Pointers,
    Record,
    Struct,
    UInt32,
    UInt64,
    VMStateDescription,
    WireArray,
)
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.bus_properties import NIC
from vmstate.pseries.board.buses import VIO_BUS
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.vio.spapr_vio import GLOBALS, SpaprVio, VioDevice, plug_vio
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

MAX_POOLS = 5
POOL_BUFFERS = 4096
NO_BUFFERS = 0x7FFFFFFF  # the size of a pool without buffers: it sorts to the end


def has_pools(lan: SpaprLlan) -> bool:
    """The property ``use-rx-buffer-pools`` is on (off for machine types up to 2.5)."""
    return bool(lan.use_rx_buffer_pools)


RX_BUFFER_POOL = VMStateDescription(
    "spapr_llan/rx_buffer_pool",
    version_id=1,
    minimum_version_id=1,
    fields=[Int32("bufsize"), Int32("count"), UInt64("bds")[POOL_BUFFERS]],
)

RX_POOLS = VMStateDescription(
    "spapr_llan/rx_pools",
    version_id=1,
    minimum_version_id=1,
    needed=has_pools,
    fields=[Pointers(Struct("rx_pool", RX_BUFFER_POOL, 1)[MAX_POOLS])],
)

SPAPR_LLAN = VMStateDescription(
    "spapr_llan",
    version_id=1,
    minimum_version_id=1,
    fields=[
        VioDevice("sdev"),
        Bool("isopen"),
        UInt64("buf_list"),
        UInt32("add_buf_ptr"),
        UInt32("use_buf_ptr"),
        UInt32("rx_bufs"),
        UInt64("rxq_ptr"),
    ],
    subsections=[RX_POOLS],
)


class SpaprLlan(SpaprVio):
    """A card that the guest has not opened; ``pools``: it sorts receive buffers into pools by size.

    ``mac``: its address, which is only in the device tree.
    """

    description = SPAPR_LLAN
    rtce_window_size = 0x10000000

    def __init__(self, machine: Machine, reg: int, irq: int, *, pools: bool = True, mac: bytes = b"") -> None:
        super().__init__(machine, reg, irq)
        self.mac = mac
        self.use_rx_buffer_pools = pools
        self.isopen = False
        self.buf_list = 0
        self.add_buf_ptr = 0
        self.use_buf_ptr = 0
        self.rx_bufs = 0
        self.rxq_ptr = 0
        if pools:
            self.rx_pool = [Record(bufsize=NO_BUFFERS, count=0, bds=_no_buffers()) for _ in range(MAX_POOLS)]


@lru_cache(maxsize=1)
def _no_buffers() -> WireArray:
    return WireArray.filled("Q", POOL_BUFFERS)


USE_RX_BUFFER_POOLS = Property("spapr-vlan", "use-rx-buffer-pools", "on", "bool")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card."""
    pools, mac = USE_RX_BUFFER_POOLS.flag(board.machine, option), board.mac(option)

    def card(machine: Machine, reg: int, irq: int) -> SpaprLlan:
        return SpaprLlan(machine, reg, irq, pools=pools, mac=mac)

    plug_vio(board, card)


DRIVERS = (
    Driver(
        "spapr-vlan",
        plug,
        bus=VIO_BUS,
        properties=(USE_RX_BUFFER_POOLS, *NIC),
        netdev_owner="spapr-vlan",
        vio_name="l-lan",
        followed_globals=GLOBALS,
        examples=(
            "-device spapr-vlan",
            "-netdev hubport,hubid={0},id=n{0} -device spapr-vlan,netdev=n{0}",
        ),
    ),
)
