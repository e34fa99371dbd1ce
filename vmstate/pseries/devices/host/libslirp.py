"""``slirp`` since 4.0: libslirp has a loader of its own, which sees no subsections and no end of the stream.

libslirp state.c slirp_state_load and vmstate.c; net/slirp.c net_slirp_stream_read.  What cannot be read is
zero, and no error: that comes with the footer.  GLib's warnings are QEMU's (util/error-report.c
qemu_log_func; 4.0 still leaves them to GLib, which adds the time and the process: not modelled).
"""

from __future__ import annotations

from typing import NoReturn

from vmstate.describe import Cursor, Record
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.pseries.devices.host.slirp import AF_INET, BOOTP_CLIENTS, Slirp

FAMILIES = frozenset({AF_INET, 10, 23, 28})  # and IPv6: of Linux, mingw, FreeBSD


class LibSlirp(Slirp):
    """A stack that libslirp loads."""

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Refuse any connection: without ``guestfwd`` there is none that it could be."""
        start = cur.pos
        if cur.byte():
            self._socket(cur, version_id)
            raise LoadFailure(-EINVAL, "a guestfwd connection that nobody waits for", offset=start)
        if version_id >= 2:
            self.ip_id = _number(cur, 2)
        if version_id >= 3:
            self.bootp_clients = [
                Record(allocated=_number(cur, 2), macaddr=bytes(cur.number(6))) for _ in range(BOOTP_CLIENTS)
            ]

    def _socket(self, cur: Cursor, version_id: int) -> None:
        """As far as it can fail with words; the TCP state behind it cannot."""
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
    """A number; zero, if not all of it is there."""
    raw = cur.number(size)
    return 0 if cur.short else int.from_bytes(raw, "big")
