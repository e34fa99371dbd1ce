"""``slirp`` since 4.0: libslirp's own loader, which ignores subsections and the end of the stream.

libslirp state.c slirp_state_load and vmstate.c; net/slirp.c net_slirp_stream_read.  Bytes past the end read
as zero; the error comes only with the footer.  QEMU prints GLib's warnings (util/error-report.c
qemu_log_func; 4.0 still leaves them to GLib, which adds the time and the process: not modelled).
"""

from __future__ import annotations

from typing import NoReturn

from vmstate.describe import Cursor, Record
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.pseries.devices.host.slirp import AF_INET, BOOTP_CLIENTS, NO_GUESTFWD, Slirp

FAMILIES = frozenset({AF_INET, 10, 23, 28})  # and IPv6 on Linux, mingw, FreeBSD


class LibSlirp(Slirp):
    """A stack that libslirp loads."""

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Load a stack, refusing any connection: without ``guestfwd`` there is none to restore."""
        start = cur.pos
        if cur.byte():
            self._socket(cur, version_id)
            raise LoadFailure(-EINVAL, NO_GUESTFWD, offset=start)
        if version_id >= 2:
            self.ip_id = _number(cur, 2)
        if version_id >= 3:
            self.bootp_clients = [
                Record(allocated=_number(cur, 2), macaddr=bytes(cur.number(6))) for _ in range(BOOTP_CLIENTS)
            ]

    def _socket(self, cur: Cursor, version_id: int) -> None:
        """Read a socket as far as QEMU prints errors; the TCP state after that cannot fail."""
        _number(cur, 4)
        if version_id < 4:
            cur.number(12)
        else:
            self._address(cur, "fhost")
            self._address(cur, "lhost")
        cur.number(7)
        self._buffer(cur, "so_rcv")
        self._buffer(cur, "so_snd")

    def _address(self, cur: Cursor, name: str) -> None:
        start = cur.pos
        family = _number(cur, 2)
        if family not in FAMILIES:
            self._fail(f"invalid ss_family type {family:x}", "slirp-socket-addr", name, start)
        if family == AF_INET:
            cur.number(6)

    def _buffer(self, cur: Cursor, name: str) -> None:
        start = cur.pos
        _number(cur, 4)
        size, write, read = _number(cur, 4), _number(cur, 4), _number(cur, 4)
        if write >= size or read >= size:
            self._fail(f"invalid sbuf offsets r/w={read}/{write} len={size}", "slirp-sbuf", name, start)
        cur.number(min(size, cur.end - cur.pos + 1))

    def _fail(self, critical: str, vmsd: str, field: str, start: int) -> NoReturn:
        self.say(f"Slirp: {critical}")
        self.say(f"warning: Slirp: Failed to load {vmsd}:tmp")
        self.say(f"warning: Slirp: Failed to load slirp-socket:{field}")
        raise LoadFailure(-EINVAL, critical, offset=start)


def _number(cur: Cursor, size: int) -> int:
    """Return a number; zero if the stream ends inside it."""
    raw = cur.number(size)
    return 0 if cur.short else int.from_bytes(raw, "big")
