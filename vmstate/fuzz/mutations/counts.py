"""Mutations of numbers that say how much follows, or which of it: counts, lengths, indices, pairs."""

from __future__ import annotations

from itertools import pairwise

from vmstate.fuzz.anatomy import Anatomy, Array, Leaf, Part
from vmstate.fuzz.mutations.domains import Chosen, OneOf, Place, among
from vmstate.fuzz.mutations.edge_values import FIELD_EDGES, sized_edge
from vmstate.fuzz.mutations.places import ARRAY, COUNT, is_number
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

#: Bytes that an array may grow by, so that a stream stays a stream; a larger count has a short array.
_MOST_GROWTH = 1 << 20
#: What a number is set to in relation to an array's length; ``-length`` is negative, or nearly all there is.
_LIMITS = among("length", "length+1", "length-1", "2*length", "-length", "-1")


def resized(base: Anatomy, array: Array, length: int) -> list[Splice]:
    """An array with so many elements: its last ones left out, or repeated, as far as that is sensible."""
    if length <= array.length:
        return [Splice(array.start + max(length, 0) * array.width, array.end, b"")]
    more = min(length - array.length, _MOST_GROWTH // array.width)
    return [Splice(array.end, array.end, base.data[array.end - array.width : array.end] * more)]


def _raw(base: Anatomy, leaf: Leaf) -> bytes:
    return base.data[leaf.start : leaf.end]


def _same_count(base: Anatomy, array: Array) -> list[Leaf]:
    """Every number that bounds this array: they lie together if asked to."""
    return [count.leaf for count in base.counts.values() if count.array is array]


@mutation("counts", count=COUNT, value=FIELD_EDGES, repaired=among(True, False))
def count_edge(base: Anatomy, count: str, value: str, repaired: bool) -> list[Splice]:
    """A count or length is another; its array grows or shrinks with it if ``repaired``."""
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
    """All counts of an array, and the array, have another length."""
    found = base.arrays[array]
    leaves = _same_count(base, found)
    new = sized_edge(value, _raw(base, leaves[0]))
    splices = [Splice(leaf.start, leaf.end, new[-leaf.size :].rjust(leaf.size, b"\0")) for leaf in leaves]
    return splices + resized(base, found, int.from_bytes(new, "big"))


@mutation("counts", array=ARRAY, change=among("+1", "-1", "none", "twice"))
def array_resized(base: Anatomy, array: str, change: str) -> list[Splice]:
    """An array has other than its length; the count stays."""
    found = base.arrays[array]
    length = {"+1": found.length + 1, "-1": found.length - 1, "none": 0, "twice": 2 * found.length}[change]
    return resized(base, found, length)


# ---- a number that may be an index or a length: one in the same section as the array


def _parts_with_both(base: Anatomy) -> dict[str, tuple[Part, list[Leaf]]]:
    """Numbers of sections that have arrays, by path."""
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
    """A number is as large as an array of its device is long, or nearly so."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, _limit(value, base.arrays[array].length, leaf.size))]


# ---- pairs: an index and a length, a place and a count


def _pairs(base: Anatomy) -> dict[str, tuple[Leaf, Leaf]]:
    """Numbers of one size that follow each other in a device, by the first one's path."""
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
    """Two numbers that follow each other are each fine, or nearly so; their sum overflows, or is too large.

    ``length`` is that of the longest array of bytes in the same device, as of a ring and its fill.
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
