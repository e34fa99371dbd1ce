"""Edge values as texts that a recipe can hold: absolute, or relative to the present value."""

from __future__ import annotations

from vmstate.fuzz.mutations.domains import among

_U32 = 1 << 32
_U64 = 1 << 64

#: For 32-bit numbers of the framing: versions, instances, lengths.
EDGES = among("0", "1", "-1", "+1", "-2", "0x7fffffff", "0x80000000", "0xffffffff")
#: For 64-bit sizes and addresses.
WIDE_EDGES = among(
    *("0", "1", "-1", "+1", "+0x1000", "-0x1000", "+0x100000000", "0x7ffffffffffff000", "0xffffffffffffffff")
)
#: For a number of any size: ``top`` is the largest, ``half`` the first that is negative if signed.
FIELD_EDGES = among(
    *("0", "1", "2", "-1", "+1", "top", "top-1", "half", "half-1"),
    *("0x7f", "0x80", "0xff", "0x100", "0xffff", "0x10000"),
)


def edge(text: str, now: int) -> int:
    """Return the 32-bit number of an edge: absolute, or, with a sign, relative to ``now``."""
    return wide_edge(text, now) % _U32


def wide_edge(text: str, now: int) -> int:
    """Return the 64-bit number of an edge."""
    value = now + int(text, 0) if text[0] in "+-" else int(text, 0)
    return value % _U64


def sized_edge(text: str, now: bytes) -> bytes:
    """Return the bytes of an edge for a field that holds ``now``, in the same size."""
    size = len(now)
    limit = 1 << 8 * size
    named = {"top": limit - 1, "top-1": limit - 2, "half": limit >> 1, "half-1": (limit >> 1) - 1}
    value = named[text] if text in named else wide_edge_of(text, int.from_bytes(now, "big"))
    return (value % limit).to_bytes(size, "big")


def wide_edge_of(text: str, now: int) -> int:
    """Return the number of an edge, not cut to any size."""
    return now + int(text, 0) if text[0] in "+-" else int(text, 0)


def u16(number: int) -> bytes:
    """Return two bytes; higher bits are cut off."""
    return (number % (1 << 16)).to_bytes(2, "big")


def u32(number: int) -> bytes:
    """Return four bytes; higher bits are cut off."""
    return (number % _U32).to_bytes(4, "big")


def u64(number: int) -> bytes:
    """Return eight bytes; higher bits are cut off."""
    return (number % _U64).to_bytes(8, "big")
