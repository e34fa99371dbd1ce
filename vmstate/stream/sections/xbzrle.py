"""XBZRLE, QEMU's page delta (migration/xbzrle.c): alternating runs of unchanged bytes and new ones."""

from __future__ import annotations

from vmstate.errors import EncodeError, StreamError

_MAX_COUNT = 0x3FFF


def decode(old: bytes | memoryview, delta: bytes | memoryview) -> bytes:
    """Apply ``delta`` to ``old`` and return the page; StreamError for a delta that QEMU refuses too."""
    page = bytearray(old)
    size, at, done = len(delta), 0, 0
    while at < size:
        same, after = _count(delta, at)
        if at and not same:
            raise StreamError("XBZRLE: no unchanged bytes between two runs")
        new, after = _count(delta, after)
        done += same
        if not new or done + new > len(page) or after + new > size:
            raise StreamError("XBZRLE: a run of new bytes that does not fit")
        page[done : done + new] = delta[after : after + new]
        done += new
        at = after + new
    return bytes(page)


def _count(delta: bytes | memoryview, at: int) -> tuple[int, int]:
    """Read a count of one or two bytes, low seven bits first (uleb128_decode_small)."""
    if len(delta) - at < 2:
        raise StreamError("XBZRLE: the delta ends early")
    first = delta[at]
    if not first & 0x80:
        return first, at + 1
    second = delta[at + 1]
    if second & 0x80:
        raise StreamError("XBZRLE: a count of more than two bytes")
    return (first & 0x7F) | second << 7, at + 2


def encode(old: bytes | memoryview, new: bytes | memoryview) -> bytes:
    """Return a delta from one page to another of the same size; empty when they are equal."""
    parts, at, size = [], 0, len(new)
    while at < size:
        start = at
        while at < size and old[at] == new[at]:
            at += 1
        if at == size:
            break
        same = at - start
        begin = at
        while at < size and old[at] != new[at]:
            at += 1
        parts += [_uleb(same), _uleb(at - begin), bytes(new[begin:at])]
    return b"".join(parts)


def _uleb(count: int) -> bytes:
    if count > _MAX_COUNT:
        raise EncodeError(f"XBZRLE: a run of {count} bytes does not fit in 14 bits")
    return bytes([count]) if count < 0x80 else bytes([count & 0x7F | 0x80, count >> 7])
