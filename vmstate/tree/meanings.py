"""Names of values: of numbers, and of single bits.  Layers that know machines provide the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol, TypeAlias, cast

from vmstate.dataclass import dataclass
from vmstate.tree.paths import Place


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


def parts_of(meanings: Meanings, place: Place) -> Sequence[Part]:
    """Return the parts of a field's value that are explained one by one; none for most fields."""
    value = place.node.value
    if isinstance(value, bool) or not isinstance(value, int):
        return ()
    words = words_for(meanings, place)
    parts = getattr(words, "parts", None)  # isinstance of a protocol would take ten times as long
    return () if parts is None else cast("InParts", words).parts(value)


def words_for(meanings: Meanings, place: Place) -> Words | None:
    """Return the words for the values of a field; None if there are none."""
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
    """Return the elements of an array that have words of their own, as the PVR has among the SPRs."""
    found = []
    for description, field in meanings:
        if description == owner and field.startswith(f"{array}[") and field.endswith("]"):
            found.append(int(field[len(array) + 1 : -1]))
    return sorted(found)
