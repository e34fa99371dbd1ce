"""The order in which QOM lists an object's properties: that of GLib's GHashTable.

QEMU keeps the properties of an object in a hash table by name and walks it slot by slot
(object_property_iter_next), so GLib's string hash and its open addressing decide the order of the hotplug
connectors in the device tree.  The rules are those of GLib 2.58 and later.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_SMALLEST_SHIFT = 3
_SPREAD = 11
_GROWTH = 1.333
_MASK = 0xFFFFFFFF
_FIRST_REAL_HASH = 2

#: For tables of 2**n slots, the prime that hashes are taken modulo.
_PRIMES: tuple[int, ...] = (
    1,
    2,
    3,
    7,
    13,
    31,
    61,
    127,
    251,
    509,
    1021,
    2039,
    4093,
    8191,
    16381,
    32749,
    65521,
)
_PRIMES += (131071, 262139, 524287, 1048573, 2097143, 4194301, 8388593, 16777213)


def string_hash(text: str) -> int:
    """Return g_str_hash of an ASCII string."""
    value = 5381
    for byte in text.encode():
        value = value * 33 + byte & _MASK
    return max(value, _FIRST_REAL_HASH)


def hash_order(names: Iterable[str]) -> list[str]:
    """Return unique names in the order of their slots after they were inserted one by one."""
    slots: list[tuple[int, str] | None] = [None] * (1 << _SMALLEST_SHIFT)
    shift = _SMALLEST_SHIFT
    for used, name in enumerate(names, 1):
        code = string_hash(name)
        prime, mask = _PRIMES[shift], (1 << shift) - 1
        place, step = (code * _SPREAD & _MASK) % prime, 0
        while slots[place] is not None:
            step += 1
            place = place + step & mask
        slots[place] = (code, name)
        if len(slots) <= used + used // 16:
            shift = max(int(used * _GROWTH).bit_length(), _SMALLEST_SHIFT)
            slots = _rehashed(slots, shift)
    return [slot[1] for slot in slots if slot is not None]


def _rehashed(old: list[tuple[int, str] | None], shift: int) -> list[tuple[int, str] | None]:
    """Return a grown table (g_hash_table_resize): entries move in place, each displacing the next."""
    size = 1 << shift
    slots = old + [None] * (size - len(old))
    settled = bytearray(size)
    prime, mask = _PRIMES[shift], size - 1
    for start in range(len(old)):
        entry = slots[start]
        if entry is None or settled[start]:
            continue
        slots[start] = None
        while entry is not None:
            place, step = (entry[0] * _SPREAD & _MASK) % prime, 0
            while settled[place]:
                step += 1
                place = place + step & mask
            settled[place] = 1
            entry, slots[place] = slots[place], entry
    return slots


@lru_cache(maxsize=64)
def index_order(ranges: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Return numbers in the order of their hexadecimal names; ``ranges``: (first, count), as created."""
    names = (f"{first + i:x}" for first, count in ranges for i in range(count))
    return tuple(int(name, 16) for name in hash_order(names))
