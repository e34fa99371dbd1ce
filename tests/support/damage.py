"""One-byte damages of streams, and the sections that a reader loses to them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from vmstate.stream import Section, Stream, open_stream

Key = tuple[int, str, int, bytes]
"""A section: kind, idstr, instance, payload."""


@dataclass(frozen=True)
class Damage:
    """A byte that is changed, put in (before ``at``) or taken out."""

    kind: str
    at: int
    byte: int = 0

    def applied(self, data: bytes) -> bytes:
        """Return the damaged bytes."""
        new = b"" if self.kind == "delete" else bytes([self.byte])
        return data[: self.at] + new + data[self.at + (self.kind != "insert") :]


class Subject:
    """A sound stream that is to be damaged."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.data = name, data
        stream = open_stream(data)
        self.footers = bool(stream.footers)
        self.keys = keys(stream)
        self.spans = [(section.start, section.end) for section in stream.sections]

    def damage(self, rng: random.Random) -> Damage:
        """Return a random damage behind the file header."""
        kind, at = rng.choice(("flip", "insert", "delete")), rng.randrange(8, len(self.data))
        old = self.data[at]
        bit = old ^ 1 << rng.randrange(8)
        byte = rng.choice((bit, rng.randrange(256))) if kind == "flip" else rng.choice((0, old, bit))
        return Damage(kind, at, byte)

    def lost(self, damage: Damage, stream: Stream) -> list[Key]:
        """Return the sections that a damaged stream lacks, but for those in which the damage is."""
        missing = Counter(self.keys) - Counter(keys(stream))
        for (start, end), key in zip(self.spans, self.keys, strict=True):
            edge = damage.kind == "insert" and damage.at in (start, end)
            if start <= damage.at < end or edge:
                missing[key] -= 1
        return list((+missing).elements())


def keys(stream: Stream) -> list[Key]:
    """Return the sections of a stream, with their payloads; a part is of the device that its START names."""
    return [
        (int(section.kind), *_name(section), bytes(stream.payload(section))) for section in stream.sections
    ]


def _name(section: Section) -> tuple[str, int]:
    return ("", 0) if section.kind in (2, 3) else (section.idstr, section.instance_id)
