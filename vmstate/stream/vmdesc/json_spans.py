"""Find the spans of members and items in JSON text, for edits that keep the rest.

The caller decodes the text as Latin-1, so that an index is a byte offset; JSON's own characters are ASCII.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


class Member(NamedTuple):
    """A member of an object: its key, the start of the key, and the span of its value."""

    key: str
    start: int
    value: int
    end: int


class Items(NamedTuple):
    """The items of an array: a span for each; ``inside`` … ``close`` is the text between its brackets."""

    spans: list[tuple[int, int]]
    inside: int
    close: int


def members(source: str, at: int) -> list[Member]:
    """Return the members of the object that begins at ``at``.  ValueError if it is not an object."""
    found: list[Member] = []
    at = expect(source, at, "{")
    while source[skip(source, at)] != "}":
        start = skip(source, at)
        key, at = _DECODER.raw_decode(source, start)
        value = skip(source, expect(source, at, ":"))
        _, end = _DECODER.raw_decode(source, value)
        found.append(Member(str(key), start, value, end))
        at = skip(source, end)
        if source[at] == ",":
            at += 1
    return found


def items(source: str, at: int) -> Items:
    """Return the items of the array that begins at ``at``.  ValueError if it is not an array."""
    inside = at = expect(source, at, "[")
    spans: list[tuple[int, int]] = []
    while source[skip(source, at)] != "]":
        start = skip(source, at)
        _, end = _DECODER.raw_decode(source, start)
        spans.append((start, end))
        at = skip(source, end)
        if source[at] == ",":
            at += 1
    return Items(spans, inside, skip(source, at))


def member(source: str, at: int, key: str) -> Member | None:
    """Return the first member of that name in the object at ``at``."""
    return next((one for one in members(source, at) if one.key == key), None)


def skip(source: str, at: int) -> int:
    """Return the index of the next character that is not white space."""
    match = _SPACE.match(source, at)
    return match.end() if match else at


def expect(source: str, at: int, sign: str) -> int:
    """Return the index after ``sign``, which must come next.  ValueError if it does not."""
    at = skip(source, at)
    if at >= len(source) or source[at] != sign:
        raise ValueError(f"expected {sign!r} at {at}")
    return at + 1
