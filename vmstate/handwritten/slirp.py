"""``slirp``: the user-mode network stack (slirp/slirp.c, later libslirp's state.c).

The layout is the same in every release and every libslirp, though up to 2.9 handwritten code wrote it.
QEMU registers it without a description, so the vmdesc has only its size.
"""

from __future__ import annotations

from typing import Any

from vmstate.describe import (
    Buffer,
    Cursor,
    Field,
    Int16,
    Int32,
    Record,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    VMStateDescription,
    Writer,
    plan_of,
    scalar,
)
from vmstate.describe.composites import with_node
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.describe.infos import Info
from vmstate.handwritten.content import Content, described

SLIRP_VERSION = 4
BOOTP_CLIENTS = 16
SOCKET_FOLLOWS = 42
NO_GUESTFWD = "a guestfwd connection that the destination does not have"
AF_INET = 2

SLIRP_TCP = VMStateDescription(
    "slirp-tcp",
    fields=[
        Int16("t_state"),
        Int16("t_timer")[4],
        *(Int16(name) for name in ("t_rxtshift", "t_rxtcur", "t_dupacks")),
        UInt16("t_maxseg"),
        UInt8("t_force"),
        UInt16("t_flags"),
        *(UInt32(name) for name in ("snd_una", "snd_nxt", "snd_up", "snd_wl1", "snd_wl2", "iss", "snd_wnd")),
        *(UInt32(name) for name in ("rcv_wnd", "rcv_nxt", "rcv_up", "irs", "rcv_adv")),
        *(UInt32(name) for name in ("snd_max", "snd_cwnd", "snd_ssthresh")),
        Int16("t_idle"),
        Int16("t_rtt"),
        UInt32("t_rtseq"),
        Int16("t_srtt"),
        Int16("t_rttvar"),
        UInt16("t_rttmin"),
        UInt32("max_sndwnd"),
        UInt8("t_oobflags"),
        UInt8("t_iobc"),
        Int16("t_softerror"),
        *(UInt8(name) for name in ("snd_scale", "rcv_scale", "request_r_scale", "requested_s_scale")),
        *(UInt32(name) for name in ("ts_recent", "ts_recent_age", "last_ack_sent")),
    ],
)

SLIRP_SBUF = VMStateDescription(
    "slirp-sbuf",
    fields=[
        UInt32("sb_cc"),
        UInt32("sb_datalen"),
        UInt32("woff"),
        UInt32("roff"),
        Buffer("sb_data", "sb_datalen"),
    ],
)


def is_inet(address: Record, _version_id: int) -> bool:
    """The address is IPv4: others are not written."""
    return bool(address.portable_family == AF_INET)


SLIRP_SOCKET_ADDR = VMStateDescription(
    "slirp-socket-addr",
    version_id=4,
    fields=[
        UInt16("portable_family"),
        UInt32("sin.sin_addr.s_addr", exists=is_inet),
        UInt16("sin.sin_port", exists=is_inet),
    ],
)


def older_than_4(_socket: Record, version_id: int) -> bool:
    """The version is below 4, which has only IPv4 addresses, without their family."""
    return version_id < 4


SLIRP_SOCKET = VMStateDescription(
    "slirp-socket",
    version_id=4,
    fields=[
        UInt32("so_urgc"),
        UInt32("so_faddr.s_addr", attr="so_faddr", exists=older_than_4),
        UInt32("so_laddr.s_addr", attr="so_laddr", exists=older_than_4),
        UInt16("so_fport", exists=older_than_4),
        UInt16("so_lport", exists=older_than_4),
        Struct("fhost", SLIRP_SOCKET_ADDR, 4),
        Struct("lhost", SLIRP_SOCKET_ADDR, 4),
        UInt8("so_iptos"),
        UInt8("so_emu"),
        UInt8("so_type"),
        Int32("so_state"),
        Struct("so_rcv", SLIRP_SBUF),
        Struct("so_snd", SLIRP_SBUF),
        Struct("so_tcpcb", SLIRP_TCP),
    ],
)


class GuestForwards(Info):
    """Open connections of ``guestfwd``: a byte 42 before each, a byte 0 at the end."""

    name = "guestfwd sockets"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> list[Any]:
        sockets: list[Any] = []
        while cur.byte():
            if cur.judge:
                # No guestfwd can be given, so no incoming socket belongs here.  (Up to 3.1; for libslirp see
                # libslirp.py.)
                raise LoadFailure(-EINVAL, NO_GUESTFWD, offset=cur.pos - 1)
            socket = Record()
            with_node(cur, len(sockets), plan_of(SLIRP_SOCKET), socket, SLIRP_VERSION)
            sockets.append(socket)
        return sockets

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        for socket in value:
            out.put(bytes([SOCKET_FOLLOWS]))
            plan_of(SLIRP_SOCKET).save(out, socket)
        out.put(b"\0")


BOOTP_CLIENT = VMStateDescription("slirp_bootpclient", fields=[UInt16("allocated"), Buffer("macaddr", 6)])

SLIRP = VMStateDescription(
    "slirp",
    version_id=4,
    fields=[
        scalar(GuestForwards())("sockets"),
        UInt16("ip_id", 2),
        Struct("bootp_clients", BOOTP_CLIENT, 3)[BOOTP_CLIENTS],
    ],
)

#: The section of every libslirp, and of every QEMU from 2.10 on.
SLIRP_STATE = Content("buffer", described(SLIRP, SLIRP_VERSION))
