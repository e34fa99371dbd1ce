"""Where things are in JSON text: spans of members and items, for edits that keep the rest.

Texts are decoded as Latin-1 by the caller, so that an index is a byte's; JSON's own signs are ASCII.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


class Member(NamedTuple):
    """A member of an object: its key, where the key begins, and where its value is."""

    key: str
    start: int
    value: int
    end: int


class Items(NamedTuple):
    """What is in an array: a span for each item; ``inside`` … ``close`` is between its brackets."""

    spans: list[tuple[int, int]]
    inside: int
    close: int


def members(source: str, at: int) -> list[Member]:
    """The members of the object that begins at ``at``.  ValueError if it is none."""
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
    """The items of the array that begins at ``at``.  ValueError if it is none."""
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
    """The first member of that name of the object at ``at``."""
    return next((one for one in members(source, at) if one.key == key), None)


def skip(source: str, at: int) -> int:
    """The next sign that is no blank."""
    match = _SPACE.match(source, at)
    return match.end() if match else at


def expect(source: str, at: int, sign: str) -> int:
    """The index after ``sign``, which must come next.  ValueError if it does not."""
    at = skip(source, at)
    if at >= len(source) or source[at] != sign:
        raise ValueError(f"expected {sign!r} at {at}")
    return at + 1
