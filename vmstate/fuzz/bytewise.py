"""Mutations of streams: bytes flipped, inserted, deleted; numbers replaced by extremes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from vmstate.stream import open_stream
from vmstate.stream.content import Contents
from vmstate.stream.content.paths import walk

_MOST_SPOTS = 4000
_MOST_BYTES = 64


@dataclass(frozen=True)
class Spot:
    """A number in a stream: where, and how many bytes it has."""

    path: str
    start: int
    size: int


@dataclass(frozen=True)
class Mutation:
    """What was done: the kind, where, and the bytes there before and after."""

    kind: str
    offset: int
    removed: bytes
    added: bytes

    def __str__(self) -> str:
        return f"{self.kind} at {self.offset:#x}: {self.removed.hex() or '-'} -> {self.added.hex() or '-'}"

    def apply(self, data: bytes) -> bytes:
        """The changed bytes."""
        return data[: self.offset] + self.added + data[self.offset + len(self.removed) :]


def spots(data: bytes) -> list[Spot]:
    """The numbers of a stream, those of the framing first: identifiers, versions, lengths, counts, values."""
    framing: list[Spot] = []
    fields: list[Spot] = []
    for place in walk(Contents(open_stream(data))):
        node = place.node
        size = node.end - node.start
        if node.children or not isinstance(node.value, int) or size not in (1, 2, 4, 8):
            continue
        around = place.chain[-2].kind if len(place.chain) > 1 else "item"
        known = fields if around in ("section", "struct", "element") else framing
        known.append(Spot(place.path, node.start, size))
    vmdesc = data.rfind(b'"size"')
    if vmdesc >= 0:
        framing += [Spot("vmdescription", at, 1) for at in _digits(data, vmdesc)]
    return (framing + fields)[:_MOST_SPOTS]


def _digits(data: bytes, end: int) -> Iterator[int]:
    """Digits in the vmdesc: sizes and lengths as text."""
    start = max(0, data.rfind(b'{"', 0, end) - (1 << 14))
    for at in range(start, end):
        if data[at] in b"123456789" and data[at - 1] in b" :":
            yield at


def extremes(size: int) -> list[int]:
    """Numbers at the edges of what so many bytes hold."""
    top = (1 << 8 * size) - 1
    return [0, 1, 2, top, top - 1, top >> 1, (top >> 1) + 1, 0x7F, 0x100 & top, 0xFFFF & top]


def mutation(data: bytes, known: list[Spot], random: Random) -> Mutation:
    """One mutation, chosen by ``random``."""
    return random.choice(_KINDS)(data, known, random)


def _flip(data: bytes, known: list[Spot], random: Random) -> Mutation:
    at = _anywhere(data, known, random)
    old = data[at : at + 1]
    return Mutation("flip", at, old, bytes([old[0] ^ 1 << random.randrange(8)]))


def _overwrite(data: bytes, known: list[Spot], random: Random) -> Mutation:
    at = _anywhere(data, known, random)
    old = data[at : at + random.randint(1, 8)]
    return Mutation("overwrite", at, old, random.randbytes(len(old)))


def _insert(data: bytes, known: list[Spot], random: Random) -> Mutation:
    at = _anywhere(data, known, random)
    return Mutation("insert", at, b"", random.randbytes(random.randint(1, _MOST_BYTES)))


def _delete(data: bytes, known: list[Spot], random: Random) -> Mutation:
    at = _anywhere(data, known, random)
    return Mutation("delete", at, data[at : at + random.randint(1, _MOST_BYTES)], b"")


def _repeat(data: bytes, known: list[Spot], random: Random) -> Mutation:
    """A piece of the stream once more, somewhere else."""
    start, at = _anywhere(data, known, random), _anywhere(data, known, random)
    return Mutation("repeat", at, b"", data[start : start + random.randint(1, 1024)])


def _extreme(data: bytes, known: list[Spot], random: Random) -> Mutation:
    if not known:
        return _flip(data, known, random)
    spot = random.choice(known)
    old = data[spot.start : spot.start + spot.size]
    if spot.path == "vmdescription":
        return Mutation(
            "extreme", spot.start, old, random.choice([b"0", b"-1", b"9" * 12, b"9" * 25, b"1e9", b'"'])
        )
    value = random.choice(extremes(spot.size))
    return Mutation("extreme", spot.start, old, value.to_bytes(spot.size, "big"))


def _cut(data: bytes, known: list[Spot], random: Random) -> Mutation:
    at = _anywhere(data, known, random)
    return Mutation("cut", at, data[at:], b"")


_KINDS: tuple[Callable[[bytes, list[Spot], Random], Mutation], ...] = (
    _flip,
    _overwrite,
    _insert,
    _delete,
    _repeat,
    _extreme,
    _extreme,
    _extreme,
    _cut,
)


def _anywhere(data: bytes, known: list[Spot], random: Random) -> int:
    """An offset: half of them near a number, as most of a stream is guest memory or registers."""
    if known and random.random() < 0.5:
        return min(random.choice(known).start, len(data) - 1)
    return random.randrange(len(data))
