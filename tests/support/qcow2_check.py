"""What `qemu-img check` checks: every cluster of a qcow2 image is used as often as its refcount says."""

from __future__ import annotations

import struct
from collections import Counter

from vmstate.containers.qcow2 import Image, read_image

_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COPIED, _COMPRESSED = 1 << 63, 1 << 62


def faults(data: bytes) -> list[str]:
    """Return what is wrong with an image; nothing if it is consistent."""
    image = read_image(memoryview(data))
    found: list[str] = []
    used = _uses(image, data, found)
    counts = {number: _refcount(image, data, number) for number in range(-(-len(data) // image.cluster_size))}
    found += [
        f"cluster {number}: refcount {counts.get(number, 0)}, used {used[number]} times"
        for number in sorted({*used, *counts})
        if counts.get(number, 0) != used[number]
    ]
    found += _not_copied(image, data, counts)
    return found


def _words(data: bytes, at: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f">{count}Q", data, at)


def _uses(image: Image, data: bytes, found: list[str]) -> Counter[int]:
    size, used = image.cluster_size, Counter({0: 1})
    last = image.snapshots[-1] if image.snapshots else None
    end = 0 if last is None else last.entry + 40 + last.extra_size + len(last.id + last.name)
    runs = [(image.refcount_table_offset, image.refcount_table_clusters * size)]
    runs += [(image.snapshots_offset, end - image.snapshots_offset)] if last else []
    tables = [(image.l1_table_offset, image.l1_size)]
    tables += [(one.l1_table_offset, one.l1_size) for one in image.snapshots]
    runs += [(at, count * 8) for at, count in tables if count]
    for at, length in runs:
        used.update(range(at // size, -(-(at + length) // size)))
    for word in _words(data, image.refcount_table_offset, image.refcount_table_clusters * size // 8):
        if word & _OFFSET:
            used[(word & _OFFSET) // size] += 1
    for at, count in tables:
        for entry in _words(data, at, count):
            if entry & _OFFSET:
                _table(image, data, entry & _OFFSET, used, found)
    return used


def _table(image: Image, data: bytes, at: int, used: Counter[int], found: list[str]) -> None:
    size = image.cluster_size
    used[at // size] += 1
    for entry in _words(data, at, size // 8)[:: 2 if image.extended else 1]:
        if entry & _COMPRESSED:
            shift = 62 - (image.cluster_bits - 8)
            start = entry & (1 << shift) - 1
            end = start // 512 * 512 + ((entry >> shift & (1 << image.cluster_bits - 8) - 1) + 1) * 512
            used.update(range(start // size, (end - 1) // size + 1))
        elif entry & _OFFSET:
            used[(entry & _OFFSET) // size] += 1
            if entry & _OFFSET & (size - 1):
                found.append(f"an entry that is not aligned: {entry:#x}")


def _refcount(image: Image, data: bytes, number: int) -> int:
    order = image.refcount_order
    index, place = divmod(number, image.cluster_size * 8 >> order)
    if index >= image.refcount_table_clusters * image.cluster_size // 8:
        return 0
    block = _words(data, image.refcount_table_offset + index * 8, 1)[0] & _OFFSET
    width = (1 << order) // 8
    return int.from_bytes(data[block + place * width :][:width], "big") if block else 0


def _not_copied(image: Image, data: bytes, counts: dict[int, int]) -> list[str]:
    """The tables of the disk have a flag on clusters that are used once; those of snapshots may have any."""
    found = []
    for entry in _words(data, image.l1_table_offset, image.l1_size) if image.l1_size else ():
        at = entry & _OFFSET
        if not at:
            continue
        table = _words(data, at, image.cluster_size // 8)[:: 2 if image.extended else 1]
        for one in (entry, *(each for each in table if not each & _COMPRESSED)):
            number = (one & _OFFSET) // image.cluster_size
            if number and bool(one & _COPIED) != (counts[number] == 1):
                found.append(f"the flag of an entry is wrong: {one:#x}")
    return found
