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
from dataclasses import dataclass
from functools import cached_property

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


def _errno_texts() -> dict[str, int]:
    return {os.strerror(number): number for number in sorted(errno.errorcode, reverse=True)}


#: The texts of strerror, and their numbers.
ERRNO_TEXTS: Mapping[str, int] = _errno_texts()


@dataclass(frozen=True)
class Match:
    """What a line has in the places of a format: values in order, and those that have names."""

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
        return max((literal for literal, _, _ in self.pieces), key=len)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pattern, open_text = re.escape(self.head), False
        pieces = self.pieces
        for at, (_, kind, _) in enumerate(pieces[:-1]):
            after = re.escape(pieces[at + 1][0])
            if kind in _TYPES:
                digits = _TYPES[kind]
                if re.match(
                    "[0-9a-fA-F]", pieces[at + 1][0]
                ):  # "{hex}from": one digit too many is given back
                    digits = digits.replace("++", "+")
                pattern += f"({digits}){after}"
            elif kind == "errno":
                pattern += (
                    "(" + "|".join((*map(re.escape, ERRNO_TEXTS), "Unknown error -?[0-9]++")) + ")" + after
                )
            elif at + 2 == len(pieces) and not self.prefix and not self.errno:
                pattern, open_text = f"{pattern}(.*){after}", True
            elif after:
                any_text = r"\S*?" if kind == "name" else ".*?"
                pattern += f"(?>({any_text}){after})"
            else:
                pattern, open_text = f"{pattern}(.*)", True
        if self.prefix and not open_text:
            pattern += "(?P<rest>.*)"
        elif self.errno and not open_text:
            pattern += "(?:: (?P<rest>.*))?"
        return re.compile(pattern, re.DOTALL)

    def match(self, line: str) -> Match | None:
        """Return what the line has in the format's places, or None if it is not such a line."""
        if len(line) > LONGEST or self.longest not in line:
            return None
        found = self._pattern.fullmatch(line)
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
