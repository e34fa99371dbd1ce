"""Mutations of bytes anywhere in the stream."""

from __future__ import annotations

from random import Random

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Chosen, Number, Place, Value, among, between
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

_SEEDS = (1 << 32) - 1
_MOST = 4096


class _Offset(Number):
    """An offset in the stream; about half of them are near the beginning or end of a section."""

    def draw(self, base: Anatomy, random: Random, chosen: Chosen) -> Value:
        """Draw an offset: half of them anywhere, half near an edge."""
        edges = EDGES.table(base)[0]
        if edges and random.random() < 0.5:
            near: int = edges[int(random.random() * len(edges))]
            return min(max(near + int(random.random() * 64) - 16, 0), len(base.data) - 1)
        return super().draw(base, random, chosen)


#: The offsets at which sections, payloads and footers begin.
EDGES = Place(
    lambda base: [
        at for part in base.parts for at in (part.start, part.section.payload_start, part.section.payload_end)
    ]
)
AT = _Offset(lambda _base, _chosen: 0, lambda base, _chosen: len(base.data) - 1)
SEED = between(0, _SEEDS)


@mutation("bytes", at=AT, bit=between(0, 7))
def bit_flipped(base: Anatomy, at: int, bit: int) -> list[Splice]:
    """One bit is flipped."""
    return [Splice(at, at + 1, bytes([base.data[at] ^ 1 << bit % 8]))]


@mutation("bytes", at=AT, byte=among(0, 1, 0xFF, 0x80, 0x7F, 0x05, 0x7E))
def byte_set(base: Anatomy, at: int, byte: int) -> list[Splice]:
    """One byte has another value."""
    return [Splice(at, min(at + 1, len(base.data)), bytes([byte % 256]))]


@mutation("bytes", at=AT, length=between(1, 16), seed=SEED)
def bytes_random(base: Anatomy, at: int, length: int, seed: int) -> list[Splice]:
    """Some bytes are replaced by random ones."""
    end = min(at + min(max(length, 0), _MOST), len(base.data))
    return [Splice(at, end, Random(seed).randbytes(end - at))]


@mutation("bytes", at=AT, length=between(1, 64), seed=SEED)
def bytes_inserted(base: Anatomy, at: int, length: int, seed: int) -> list[Splice]:
    """Random bytes are inserted."""
    at = min(at, len(base.data))
    return [Splice(at, at, Random(seed).randbytes(min(max(length, 0), _MOST)))]


@mutation("bytes", at=AT, length=between(1, 64))
def bytes_deleted(base: Anatomy, at: int, length: int) -> list[Splice]:
    """Some bytes are deleted."""
    return [Splice(at, min(at + max(length, 0), len(base.data)), b"")]


@mutation("bytes", source=AT, at=AT, length=between(1, 1024))
def bytes_repeated(base: Anatomy, source: int, at: int, length: int) -> list[Splice]:
    """A piece of the stream is repeated somewhere else."""
    return [Splice(at, at, base.data[source : source + min(max(length, 0), _MOST)])]


@mutation("bytes", one=AT, other=AT, length=between(1, 64))
def bytes_swapped(base: Anatomy, one: int, other: int, length: int) -> list[Splice]:
    """Two pieces of the stream are swapped."""
    first, second = sorted((one, other))
    size = min(max(length, 0), second - first, len(base.data) - second)
    return [
        Splice(first, first + size, base.data[second : second + size]),
        Splice(second, second + size, base.data[first : first + size]),
    ]
