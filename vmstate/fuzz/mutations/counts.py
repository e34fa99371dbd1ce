"""Mutations of numbers that size or index other data: counts, lengths, indices, pairs."""

from __future__ import annotations

from itertools import pairwise

from vmstate.fuzz.anatomy import Anatomy, Array, Leaf, Part
from vmstate.fuzz.mutations.domains import Chosen, OneOf, Place, among
from vmstate.fuzz.mutations.edge_values import FIELD_EDGES, sized_edge
from vmstate.fuzz.mutations.places import ARRAY, COUNT, is_number
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

#: The most bytes that an array may grow by; with a larger count the array is too short.
_MOST_GROWTH = 1 << 20
#: Values relative to an array's length; ``-length`` is negative, or close to the largest number.
_LIMITS = among("length", "length+1", "length-1", "2*length", "-length", "-1")


def resized(base: Anatomy, array: Array, length: int) -> list[Splice]:
    """Resize an array to ``length`` elements by dropping the last ones or repeating them, within limits."""
    if length <= array.length:
        return [Splice(array.start + max(length, 0) * array.width, array.end, b"")]
    more = min(length - array.length, _MOST_GROWTH // array.width)
    return [Splice(array.end, array.end, base.data[array.end - array.width : array.end] * more)]


def _raw(base: Anatomy, leaf: Leaf) -> bytes:
    return base.data[leaf.start : leaf.end]


def _same_count(base: Anatomy, array: Array) -> list[Leaf]:
    """Return all numbers that bound this array."""
    return [count.leaf for count in base.counts.values() if count.array is array]


@mutation("counts", count=COUNT, value=FIELD_EDGES, repaired=among(True, False))
def count_edge(base: Anatomy, count: str, value: str, repaired: bool) -> list[Splice]:
    """A count or length has another value; its array grows or shrinks with it if ``repaired``."""
    found = base.counts[count]
    new = sized_edge(value, _raw(base, found.leaf))
    splices = [Splice(found.leaf.start, found.leaf.end, new)]
    if repaired:
        splices += resized(base, found.array, int.from_bytes(new, "big"))
    return splices


def _counted(base: Anatomy) -> list[str]:
    return list(dict.fromkeys(count.array.path for count in base.counts.values()))


@mutation("counts", array=Place(_counted), value=FIELD_EDGES)
def counts_agree(base: Anatomy, array: str, value: str) -> list[Splice]:
    """An array has another length, and all its counts agree."""
    found = base.arrays[array]
    leaves = _same_count(base, found)
    new = sized_edge(value, _raw(base, leaves[0]))
    splices = [Splice(leaf.start, leaf.end, new[-leaf.size :].rjust(leaf.size, b"\0")) for leaf in leaves]
    return splices + resized(base, found, int.from_bytes(new, "big"))


@mutation("counts", array=ARRAY, change=among("+1", "-1", "none", "twice"))
def array_resized(base: Anatomy, array: str, change: str) -> list[Splice]:
    """An array has another length; its count stays the same."""
    found = base.arrays[array]
    length = {"+1": found.length + 1, "-1": found.length - 1, "none": 0, "twice": 2 * found.length}[change]
    return resized(base, found, length)


# ---- a number that may be an index or a length: one in the same section as the array


def _parts_with_both(base: Anatomy) -> dict[str, tuple[Part, list[Leaf]]]:
    """Return the numbers of sections that have arrays, by path."""
    found = {}
    for part in base.devices:
        numbers = [leaf for leaf in part.leaves if is_number(leaf) and leaf.size > 1]
        if part.arrays:
            found.update({leaf.path: (part, numbers) for leaf in numbers})
    return found


def _arrays_near(base: Anatomy, chosen: Chosen) -> list[str]:
    part, _ = base.remember(_parts_with_both, _parts_with_both)[chosen["field"]]
    return [array.path for array in part.arrays]


_INDEX = Place(lambda base: list(base.remember(_parts_with_both, _parts_with_both)))


def _limit(text: str, length: int, size: int) -> bytes:
    value = {
        "length": length,
        "length+1": length + 1,
        "length-1": length - 1,
        "2*length": 2 * length,
        "-length": -length,
        "-1": -1,
    }[text]
    return (value % (1 << 8 * size)).to_bytes(size, "big")


@mutation("counts", field=_INDEX, array=OneOf(_arrays_near), value=_LIMITS)
def index_at_limit(base: Anatomy, field: str, array: str, value: str) -> list[Splice]:
    """A number is equal, or close, to the length of an array in its device."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, _limit(value, base.arrays[array].length, leaf.size))]


# ---- pairs: an index and a length, an offset and a count


def _pairs(base: Anatomy) -> dict[str, tuple[Leaf, Leaf]]:
    """Return pairs of adjacent numbers of the same size in a device, by the path of the first."""
    found = {}
    for part in base.devices:
        numbers = [leaf for leaf in part.leaves if is_number(leaf) and leaf.size > 1]
        for first, second in pairwise(numbers):
            if first.size == second.size:
                found[first.path] = (first, second)
    return found


_SPLITS = among("half+half", "top+1", "1+top", "top+top", "half-1+half", "length+0", "0+length", "length-1+2")


@mutation("counts", pair=Place(lambda base: list(base.remember(_pairs, _pairs))), split=_SPLITS)
def sum_overflows(base: Anatomy, pair: str, split: str) -> list[Splice]:
    """Two adjacent numbers are each valid, or nearly so; their sum overflows, or is too large.

    ``length`` is that of the longest byte array in the same device, such as a ring buffer.
    """
    first, second = base.remember(_pairs, _pairs)[pair]
    limit = 1 << 8 * first.size
    length = _longest_bytes(base, first)
    values = {
        "half+half": (limit >> 1, limit >> 1),
        "top+1": (limit - 1, 1),
        "1+top": (1, limit - 1),
        "top+top": (limit - 1, limit - 1),
        "half-1+half": ((limit >> 1) - 1, limit >> 1),
        "length+0": (length, 0),
        "0+length": (0, length + 1),
        "length-1+2": (length - 1, 2),
    }[split]
    return [
        Splice(leaf.start, leaf.end, (value % limit).to_bytes(leaf.size, "big"))
        for leaf, value in zip((first, second), values, strict=True)
    ]


def _longest_bytes(base: Anatomy, leaf: Leaf) -> int:
    lengths = base.remember(_longest_bytes, _longest_by_leaf)
    return lengths[leaf.path]


def _longest_by_leaf(base: Anatomy) -> dict[str, int]:
    return {
        leaf.path: max((array.length for array in part.arrays), default=16)
        for part in base.devices
        for leaf in part.leaves
    }
