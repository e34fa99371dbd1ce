"""What values are called: names of numbers, flags by bit.  Floors that know machines bring the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias, runtime_checkable

from bitstring import Bits

from vmstate.tree.paths import Place


class Words(Protocol):
    """A way to say a field's values in words, and to read them again."""

    def text(self, value: int) -> str | None:
        """What the value is called; None if it has no name."""

    def value(self, text: str) -> int | None:
        """The value that is called so; None if none is."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a value, such as a bit: where it stands, what it is called, what it means."""

    place: str
    name: str
    meaning: str

    def as_json(self) -> dict[str, str]:
        """The part as a JSON object."""
        return {"place": self.place, "name": self.name, "meaning": self.meaning}


@runtime_checkable
class InParts(Words, Protocol):
    """Words that also explain a value part by part."""

    def parts(self, value: int) -> Sequence[Part]:
        """The parts of a value, in order."""


Meanings: TypeAlias = Mapping[tuple[str, str], Words]
"""By the name of the description (or, for framing, of the item) and of the field; ``*`` is any field."""


@dataclass(frozen=True)
class Names:
    """Values with a name each."""

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
    """A number of ``bits`` bits; each has a name, by its place from the lowest."""

    bits: int
    names: Mapping[int, str]

    def text(self, value: int) -> str | None:
        if not 0 < value < 1 << self.bits:
            return None
        places = (self.bits - 1 - place for place in Bits(uint=value, length=self.bits).findall("0b1"))
        return " ".join(self.names.get(place, f"bit{place}") for place in sorted(places))

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


def parts_of(meanings: Meanings, place: Place) -> Sequence[Part]:
    """The parts of a field's value that are explained one by one; none for most fields."""
    value = place.node.value
    if isinstance(value, bool) or not isinstance(value, int):
        return ()
    words = words_for(meanings, place)
    return words.parts(value) if isinstance(words, InParts) else ()


def words_for(meanings: Meanings, place: Place) -> Words | None:
    """The words for the values of a field."""
    owner = place.owner.type if place.owner.kind == "section" else place.owner.name
    node = place.node
    name = node.name
    if name.startswith("[") and len(place.chain) > 1:
        name = place.chain[-2].name + name
    words = meanings.get((owner, name)) or meanings.get((owner, "*"))
    if words is not None:
        return words
    around = place.chain[-2] if len(place.chain) > 1 else None
    if around is not None and around.name.startswith("[") and len(place.chain) > 2:
        return meanings.get((owner, f"{place.chain[-3].name}.{node.name}"))
    return None


def named_elements(meanings: Meanings, owner: str, array: str) -> list[int]:
    """The elements of an array that have words of their own: the PVR among the special registers."""
    found = []
    for description, field in meanings:
        if description == owner and field.startswith(f"{array}[") and field.endswith("]"):
            found.append(int(field[len(array) + 1 : -1]))
    return sorted(found)
