"""Damage for streams: bytes flipped, inserted, deleted; lengths and counts replaced by extremes."""

from __future__ import annotations

import random

EXTREMES = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
    0xFFFFFFFFFFFFFFFF,
]


def mutate(data: bytes, rng: random.Random, times: int = 1) -> bytes:
    """Return ``data`` with some random damage."""
    result = bytearray(data)
    for _ in range(times):
        _damage(result, rng)
    return bytes(result)


def _damage(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(8, len(data))
    kind = rng.randrange(6)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.randrange(256)
    elif kind == 2:
        del data[at : at + rng.choice([1, 1, 2, 4, 5, 8, 100, 4096])]
    elif kind == 3:
        data[at:at] = rng.randbytes(rng.choice([1, 1, 2, 4, 5, 8, 100]))
    elif kind == 4:
        size = rng.choice([1, 2, 4, 8])
        data[at : at + size] = (rng.choice(EXTREMES) & ((1 << 8 * size) - 1)).to_bytes(size, "big")
    else:
        start = rng.randrange(8, len(data))
        data[at:at] = data[start : start + rng.choice([5, 9, 40, 500])]
