"""Mutations of values that leave the framing as it is."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy, Leaf
from vmstate.fuzz.mutations.domains import Chosen, Number, OneOf, Place, among, between
from vmstate.fuzz.mutations.edge_values import FIELD_EDGES, sized_edge
from vmstate.fuzz.mutations.places import ARRAY, FIELD, NUMBER, array_fields, element
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

_U64 = (1 << 64) - 1


def _bits(base: Anatomy, chosen: Chosen) -> int:
    return base.leaves[chosen["field"]].size * 8 - 1


@mutation("values", field=NUMBER, value=FIELD_EDGES)
def field_edge(base: Anatomy, field: str, value: str) -> list[Splice]:
    """A field has an edge value of its range, or one near its own."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, sized_edge(value, base.data[leaf.start : leaf.end]))]


@mutation("values", field=FIELD, bit=Number(lambda _base, _chosen: 0, _bits))
def field_bit(base: Anatomy, field: str, bit: int) -> list[Splice]:
    """A bit of a field is flipped; 0 is the lowest."""
    leaf = base.leaves[field]
    at = leaf.end - 1 - bit // 8 % leaf.size
    return [Splice(at, at + 1, bytes([base.data[at] ^ 1 << bit % 8]))]


@mutation("values", field=NUMBER, value=Number(lambda _base, _chosen: 0, lambda _base, _chosen: _U64))
def field_random(base: Anatomy, field: str, value: int) -> list[Splice]:
    """A field has a random value."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, (value % (1 << 8 * leaf.size)).to_bytes(leaf.size, "big"))]


@mutation("values", field=NUMBER, other=NUMBER)
def field_of_other(base: Anatomy, field: str, other: str) -> list[Splice]:
    """A field has the value of another."""
    leaf, source = base.leaves[field], base.leaves[other]
    new = base.data[source.start : source.end][-leaf.size :].rjust(leaf.size, b"\0")
    return [Splice(leaf.start, leaf.end, new)]


@mutation("values", field=FIELD, byte=among(0, 0xFF, 1, 0x80))
def field_filled(base: Anatomy, field: str, byte: int) -> list[Splice]:
    """All bytes of a field are equal."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, bytes([byte % 256]) * leaf.size)]


BOOL = Place(lambda base: [leaf.path for leaf in base.leaves.values() if leaf.type == "bool"])


@mutation("values", field=BOOL, byte=among(1, 2, 0x80, 0xFF, 0))
def bool_of_two(base: Anatomy, field: str, byte: int) -> list[Splice]:
    """A bool is neither 0 nor 1."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, bytes([byte % 256]))]


_SMALL = 16


def _maybe_enum(leaf: Leaf) -> bool:
    """Return True if a field may be an enumeration: it has a small value now."""
    small = isinstance(leaf.value, int) and leaf.value < _SMALL
    return small and leaf.size <= 4 and leaf.type.startswith(("int", "uint"))


ENUM = Place(lambda base: [leaf.path for leaf in base.leaves.values() if _maybe_enum(leaf)])


@mutation("values", field=ENUM, value=between(-2, 70))
def enum_index(base: Anatomy, field: str, value: int) -> list[Splice]:
    """A number that may be an enumeration has any small value, or a negative one."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, (value % (1 << 8 * leaf.size)).to_bytes(leaf.size, "big"))]


# ---- arrays


def _fields(base: Anatomy, chosen: Chosen) -> list[str]:
    return array_fields(base, chosen["array"])


_INDEX = Number(lambda _base, _chosen: 0, lambda base, chosen: base.arrays[chosen["array"]].length - 1)


@mutation("values", array=ARRAY, index=_INDEX, field=OneOf(_fields), value=FIELD_EDGES)
def element_edge(base: Anatomy, array: str, index: int, field: str, value: str) -> list[Splice]:
    """A field of an array's element has an edge value."""
    start, end = element(base.arrays[array], index, field)
    return [Splice(start, end, sized_edge(value, base.data[start:end]))]


@mutation("values", array=ARRAY, byte=among(0xFF, 0, 1, 0x80), first=_INDEX, length=between(1, 256))
def elements_filled(base: Anatomy, array: str, byte: int, first: int, length: int) -> list[Splice]:
    """All bytes of some elements of an array are equal."""
    found = base.arrays[array]
    start = found.start + first % found.length * found.width
    end = min(found.end, start + min(max(length, 0), 4096) * found.width)
    return [Splice(start, end, bytes([byte % 256]) * (end - start))]


@mutation("values", array=ARRAY, index=_INDEX, bit=between(0, 63))
def element_bit(base: Anatomy, array: str, index: int, bit: int) -> list[Splice]:
    """A bit of an array's element is flipped."""
    start, end = element(base.arrays[array], index, "")
    at = end - 1 - bit // 8 % (end - start)
    return [Splice(at, at + 1, bytes([base.data[at] ^ 1 << bit % 8]))]


def _bitmap(base: Anatomy) -> list[str]:
    return [leaf.path for leaf in base.leaves.values() if leaf.type == "bitmap"]


_HOLES = among(
    "none", "all", "every other", "all but one", "only the last", "only the first", "beyond the end"
)


@mutation("values", bitmap=Place(_bitmap), holes=_HOLES)
def bitmap_holes(base: Anatomy, bitmap: str, holes: str) -> list[Splice]:
    """A bitmap has other bits: all, none, with holes, or beyond those that its owner uses."""
    leaf = base.leaves[bitmap]
    size = leaf.size
    new = {
        "none": bytes(size),
        "all": b"\xff" * size,
        "every other": b"\xaa" * size,
        "all but one": b"\x7f" + b"\xff" * (size - 1),
        "only the last": bytes(size - 1) + b"\x01",
        "only the first": b"\x80" + bytes(size - 1),
        "beyond the end": bytes(size // 2) + b"\xff" * (size - size // 2),
    }[holes]
    return [Splice(leaf.start, leaf.end, new)]


_QUEUES = ("sockets", "qtailq", "qlist", "gtree")


def _queues(base: Anatomy) -> list[str]:
    """Return the one-byte fields, now 0, that say if an element of a queue follows."""
    return [leaf.path for leaf in base.leaves.values() if leaf.size == 1 and leaf.type.endswith(_QUEUES)]


@mutation("values", queue=Place(_queues), mark=among(1, 42, 0xFF), times=among(1, 1000, 1 << 16))
def queue_endless(base: Anatomy, queue: str, mark: int, times: int) -> list[Splice]:
    """A queue that was empty announces another element many times."""
    leaf = base.leaves[queue]
    return [Splice(leaf.start, leaf.end, bytes([mark % 256]) * min(max(times, 0), 1 << 16))]
