"""Formats of QEMU's lines: literal text with typed placeholders, and how a line is checked against one.

``Unknown ramblock "{block:text}", cannot accept migration`` has one placeholder, named ``block``.  The
types are those of C's printf: ``int``, ``hex`` (with or without 0x), ``float``, ``pointer``, ``text``
(anything on the line), ``name`` (without blanks) and ``errno`` (a text of strerror).  ``{{`` and ``}}``
stand for braces.

A format matches a whole line, in time linear in its length: literal text after a ``text`` is looked for
once, and nothing is tried again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from functools import cached_property

from vmstate.dataclass import dataclass

#: Longer lines are of no QEMU: they are not matched.
LONGEST = 4096

_PART = re.compile(r"\{\{|\}\}|\{(?:(\w+):)?(\w+)\}")
_TYPES = {
    "int": "-?[0-9]++",
    "hex": "(?:0[xX])?[0-9a-fA-F]++",
    "number": "-?(?:0x)?[0-9a-f]++",
    "float": "-?[0-9]++(?:\\.[0-9]++)?",
    "age": "too (?:new|old)",
    "pointer": "(?:\\(nil\\)|0x[0-9a-fA-F]++|[0-9A-F]++)",
}


def _values(kind: str, after: str) -> str:
    """Return the pattern of a placeholder's values, with ``after`` the text that follows it."""
    if kind == "errno":
        return "|".join((*map(re.escape, ERRNO_TEXTS), "Unknown error -?[0-9]++"))
    digits = _TYPES[kind]
    # "{hex}from": one digit too many is given back.
    return digits.replace("++", "+") if re.match("[0-9a-fA-F]", after) else digits


def _errno_texts() -> dict[str, int]:
    return {os.strerror(number): number for number in sorted(errno.errorcode, reverse=True)}


#: The texts of strerror, and their numbers.
ERRNO_TEXTS: Mapping[str, int] = _errno_texts()


@dataclass(frozen=True)
class Match:
    """The values of a line in the places of a format: in order, and by name where they have names."""

    values: tuple[str, ...]
    named: Mapping[str, str]
    rest: str = ""


@dataclass(frozen=True)
class Format:
    """A format; ``prefix``: other text follows; ``errno``: ``: `` and a text of strerror may follow."""

    text: str
    prefix: bool = False
    errno: bool = False

    @cached_property
    def pieces(self) -> tuple[tuple[str, str | None, str | None], ...]:
        """The literals, each with the type and name of the placeholder after it; the last has none."""
        found: list[tuple[str, str | None, str | None]] = []
        literal, at = "", 0
        for part in _PART.finditer(self.text):
            literal += self.text[at : part.start()]
            at = part.end()
            if part[2] is None:
                literal += part[0][0]
            else:
                found.append((literal, part[2], part[1]))
                literal = ""
        found.append((literal + self.text[at:], None, None))
        return tuple(found)

    @cached_property
    def head(self) -> str:
        """The literal text with which every matching line begins."""
        return self.pieces[0][0]

    @cached_property
    def longest(self) -> str:
        """The longest literal: a line without it does not match."""
        return max((literal for literal, _, _ in self.pieces), key=len).rstrip()

    @cached_property
    def weight(self) -> int:
        """The number of literal characters: of two formats that match, the heavier says more."""
        return sum(len(literal) for literal, _, _ in self.pieces)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pattern, group, rest = re.escape(self.head), False, True
        pieces = self.pieces
        for at, (_, kind, _) in enumerate(pieces[:-1]):
            after = pieces[at + 1][0]
            last = at + 2 == len(pieces)
            if kind in _TYPES or kind == "errno":
                pattern += f"({_values(kind, after)}){re.escape(after)}"
                continue
            if group:
                pattern, group = pattern + ")", False
            if last and not after:
                pattern, rest = f"{pattern}(.*)", False
            elif kind == "name":
                pattern += rf"(?>(\S*?){re.escape(after)})"
            else:  # up to what follows, numbers included: "0000:00:02.0/vga.vram:1f"
                pattern, group = f"{pattern}(?>(.*?){re.escape(after)}", True
        if self.prefix and rest:
            return re.compile(f"{pattern}{')' * group}(?P<rest>.*)", re.DOTALL)
        if self.errno and rest:
            return re.compile(f"{pattern}{')' * group}(?:: (?P<rest>.*))?", re.DOTALL)
        return re.compile(f"{pattern}\\Z{')' * group}", re.DOTALL)

    @property
    def _ends_with_text(self) -> bool:
        return len(self.pieces) > 1 and not self.pieces[-1][0] and self._before_end.endswith(" ")

    @property
    def _before_end(self) -> str:
        return self.pieces[-2][0]

    def match(self, line: str) -> Match | None:
        """Return what the line has in the format's places, or None if it is not such a line."""
        if len(line) > LONGEST or self.longest not in line:
            return None
        found = self._pattern.fullmatch(line)
        if found is None and self._ends_with_text and line.endswith(self._before_end.rstrip()):
            # No text at the end: the blank before it was taken off.
            found = self._pattern.fullmatch(f"{line} ")
        if found is None:
            return None
        groups = found.groupdict()
        rest = groups.get("rest") or ""
        if self.errno and rest and not any(rest.startswith(text) for text in ERRNO_TEXTS):
            return None
        kinds = self.pieces[:-1]
        values = found.groups()[: len(kinds)]
        named = {name: value for (_, _, name), value in zip(kinds, values, strict=False) if name}
        return Match(values, named, rest)
