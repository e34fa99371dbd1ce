"""Mutations of texts: names preceded by their length, and texts in buffers of fixed size."""

from __future__ import annotations

from typing import NamedTuple

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Chosen, OneOf, Place, among
from vmstate.fuzz.mutations.edge_values import u32
from vmstate.fuzz.mutations.places import named
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

_MOST = 255


class Text(NamedTuple):
    """A text in the stream; ``prefix`` bytes before it hold its length (0 in a buffer)."""

    start: int
    end: int
    prefix: int


def _texts(base: Anatomy) -> dict[str, Text]:
    """Return all length-prefixed names: of sections, subsections, RAM blocks and the machine type."""
    found: dict[str, Text] = {}
    if base.configuration is not None:
        at = base.configuration.start + 5
        found["configuration.name"] = Text(at, at + len(base.configuration.machine.encode()), 4)
    for part in base.parts:
        if named(part):
            found[f"{part.path}.idstr"] = Text(part.start + 6, part.section.payload_start - 8, 1)
        for leaf in part.leaves:
            if leaf.type == "counted text":
                found[leaf.path] = Text(leaf.start + 1, leaf.end, 1)
    for path, sub in base.subsections.items():
        found[f"{path}.name"] = Text(sub.start + 2, sub.version_at, 1)
    return found


def _buffers(base: Anatomy) -> dict[str, Text]:
    """Return the buffers that hold a text: mostly letters, up to a terminator."""
    found = {}
    for path, array in base.arrays.items():
        if array.width == 1 and 4 <= array.length <= 1 << 12:
            text = base.data[array.start : array.end].split(b"\0", 1)[0]
            if len(text) >= 3 and text.isascii() and text.decode().isprintable():
                found[path] = Text(array.start, array.end, 0)
    return found


TEXT = Place(lambda base: list(base.remember(_texts, _texts)))
BUFFER = Place(lambda base: list(base.remember(_buffers, _buffers)))


def _contents(old: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "letter": old[:-1] + b"~",
        "shorter": old[:-1],
        "longer": old + b"~",
        "255": (old + b"~" * _MOST)[:_MOST],
        "nul inside": old[: len(old) // 2] + b"\0" + old[len(old) // 2 :],
        "nul": b"\0",
        "not utf-8": b"\xff\xfe" + old[2:],
        "format": b"%s%n%s",
        "newline": old + b"\n",
    }


CONTENTS = among(*_contents(b""))


@mutation("strings", text=TEXT, content=CONTENTS)
def text_changed(base: Anatomy, text: str, content: str) -> list[Splice]:
    """A name is replaced by another of up to 255 bytes; its length is right."""
    found = base.remember(_texts, _texts)[text]
    new = _contents(base.data[found.start : found.end])[content]
    length = u32(len(new))[-found.prefix :]
    return [Splice(found.start - found.prefix, found.end, length + new)]


def _lengths(base: Anatomy, chosen: Chosen) -> list[int]:
    found = base.remember(_texts, _texts)[chosen["text"]]
    size = found.end - found.start
    short = [0, 1, size - 1, size + 1, 127, 128, 254, 255]
    return short if found.prefix == 1 else [*short, 256, 257, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@mutation("strings", text=TEXT, length=OneOf(_lengths))
def text_length(base: Anatomy, text: str, length: int) -> list[Splice]:
    """The length before a name is wrong."""
    found = base.remember(_texts, _texts)[text]
    new = u32(length)[-found.prefix :]
    return [Splice(found.start - found.prefix, found.start, new)]


@mutation("strings", buffer=BUFFER, content=among("no end", "empty", "letter", "format", "not utf-8"))
def buffer_text(base: Anatomy, buffer: str, content: str) -> list[Splice]:
    """A text in a buffer of fixed size is replaced, or has no terminator."""
    found = base.remember(_buffers, _buffers)[buffer]
    size = found.end - found.start
    old = base.data[found.start : found.end].split(b"\0", 1)[0]
    new = (old + b"~" * size)[:size] if content == "no end" else _contents(old)[content][:size]
    return [Splice(found.start, found.end, new.ljust(size, b"\0"))]
