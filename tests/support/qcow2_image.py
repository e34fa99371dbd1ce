"""Small qcow2 images with the states of machines, as QEMU lays them out, for tests."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence


def image(
    states: Sequence[bytes],
    *,
    bits: int = 12,
    version: int = 3,
    extended: bool = False,
    order: int = 4,
    seed: int = 0,
) -> bytes:
    """Return an image whose snapshots, s0, s1, …, have these states, in clusters of 2**bits bytes.

    ``order``: log2 of the bits of a refcount, at least 3; ``seed``: how clusters are shuffled.
    """
    size, words = 1 << bits, 2 if extended else 1
    per_table = size // 8 // words
    tables = {n: -(-max(-(-len(state) // size), 1) // per_table) for n, state in enumerate(states)}
    clusters: dict[int, bytes] = {}
    fixed = 4  # header, refcount table, refcount block, snapshots
    numbers = iter(range(fixed, 1 << 20))
    l1_offsets, l1_sizes, placed = [], [], []
    for n, state in enumerate(states):
        needed = -(-len(state) // size)
        l1, l2 = next(numbers), [next(numbers) for _ in range(tables[n])]
        data = [next(numbers) for _ in range(needed)]
        random.Random(seed).shuffle(data)
        entries: list[int] = []
        for number in data:
            entries += [number << bits | 1 << 63, *([0xFFFFFFFF] if extended else [])]
        for place, table in enumerate(l2):
            part = entries[place * per_table * words : (place + 1) * per_table * words]
            clusters[table] = struct.pack(f">{len(part)}Q", *part)
        clusters[l1] = struct.pack(f">{1 + len(l2)}Q", 0, *(table << bits | 1 << 63 for table in l2))
        for place, number in enumerate(data):
            clusters[number] = state[place * size : (place + 1) * size]
        l1_offsets.append(l1 << bits)
        l1_sizes.append(1 + len(l2))
        placed.append(needed)
    total = next(numbers)
    disk = size * per_table  # one L2 table's worth, so that the state begins at index 1
    table = b""
    for n, state in enumerate(states):
        ident, name = str(n + 1).encode(), f"s{n}".encode()
        entry = struct.pack(
            ">QIHHIIQII",
            l1_offsets[n],
            l1_sizes[n],
            len(ident),
            len(name),
            1_700_000_000,
            0,
            0,
            len(state),
            16,
        )
        entry += struct.pack(">QQ", len(state), disk) + ident + name
        table += entry.ljust(-(-len(entry) // 8) * 8, b"\0")
    block = (1).to_bytes((1 << order) // 8, "big") * total
    assert max(len(block), len(table)) <= size
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, 0, 0, bits, disk, 0, 0, 0, size, 1, len(states), 3 * size
    )
    if version == 3:
        header += struct.pack(">QQQII", 1 << 4 if extended else 0, 0, 0, order, 104)
    clusters |= {0: header, 1: struct.pack(">Q", 2 * size), 2: block, 3: table}
    return b"".join(clusters.get(number, b"").ljust(size, b"\0") for number in range(total))
