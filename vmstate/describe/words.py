"""Names of values: of numbers, of single bits, and of the bits of one number that belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol, TypeAlias

from vmstate.dataclass import dataclass


class Words(Protocol):
    """Translates a field's values into words and back."""

    def text(self, value: int) -> str | None:
        """Return the name of a value; None if it has no name."""

    def value(self, text: str) -> int | None:
        """Return the value of a name; None if no value has it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a value, such as a bit: its place, its name, its meaning."""

    place: str
    name: str
    meaning: str

    def as_json(self) -> dict[str, str]:
        """Return the part as a JSON object."""
        return {"place": self.place, "name": self.name, "meaning": self.meaning}


class InParts(Words, Protocol):
    """Words that also explain a value part by part."""

    def parts(self, value: int) -> Sequence[Part]:
        """Return the parts of a value, in order."""


Meanings: TypeAlias = Mapping[tuple[str, str], Words]
"""Words by the name of the description (for framing, of the item) and of the field; ``*`` is any field."""


@dataclass(frozen=True)
class Names:
    """Values that have one name each."""

    names: Mapping[int, str]
    also: Mapping[str, int] | None = None
    """Other names, which are understood but not shown."""

    @cached_property
    def _values(self) -> dict[str, int]:
        values = {name.lower(): value for value, name in self.names.items()}
        return {**{name.lower(): value for name, value in (self.also or {}).items()}, **values}

    def text(self, value: int) -> str | None:
        return self.names.get(value)

    def value(self, text: str) -> int | None:
        return self._values.get(text.lower())


@dataclass(frozen=True)
class Flags:
    """A number of ``bits`` bits with a name for each, by its place from the lowest."""

    bits: int
    names: Mapping[int, str]

    def text(self, value: int) -> str | None:
        if not 0 < value < 1 << self.bits:
            return None
        places = (place for place in range(value.bit_length()) if value >> place & 1)
        return " ".join(self.names.get(place, f"bit{place}") for place in places)

    def value(self, text: str) -> int | None:
        known = {name.lower(): place for place, name in self.names.items()}
        total = 0
        for word in text.lower().replace("|", " ").replace(",", " ").split():
            place = known.get(word)
            if place is None and word.startswith("bit") and word[3:].isdigit() and int(word[3:]) < self.bits:
                place = int(word[3:])
            if place is None:
                return None
            total |= 1 << place
        return total


@dataclass(frozen=True)
class BitFields:
    """A number of ``bits`` bits with fields of several bits in it: by name, the lowest bit and the width."""

    bits: int
    fields: Mapping[str, tuple[int, int]]

    def text(self, value: int) -> str | None:
        if not 0 < value < 1 << self.bits:
            return None
        found = []
        for name, (low, width) in self.fields.items():
            part = value >> low & (1 << width) - 1
            value &= ~(part << low)
            if part:
                found.append(name if width == 1 else f"{name}={part:#x}" if part > 9 else f"{name}={part}")
        return " ".join(found) if not value else None

    def value(self, text: str) -> int | None:
        total = 0
        for word in text.lower().replace(",", " ").split():
            name, sign, number = word.partition("=")
            low, width = self.fields.get(name, (0, 0))
            try:
                part = int(number, 0) if sign else 1
            except ValueError:
                return None
            if not width or (not sign and width > 1) or part >> width:
                return None
            total |= part << low
        return total
