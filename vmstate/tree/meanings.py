"""Names of values, found by the place of a field.  Layers that know machines provide the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from vmstate.describe import Node
from vmstate.describe.words import InParts, Meanings, Part, Words
from vmstate.tree.nodes import is_uniform
from vmstate.tree.paths import Place


def parts_of(meanings: Meanings, place: Place) -> Sequence[Part]:
    """Return the parts of a field's value that are explained one by one; none for most fields."""
    words = words_of_number(meanings, place)
    return () if words is None else parts_in_words(words, place.node.value)


def names_with_parts(meanings: Meanings) -> frozenset[str]:
    """Return the names in the places of all values that are explained part by part."""
    fields = (field for (_, field), words in meanings.items() if getattr(words, "parts", None) is not None)
    return frozenset([name for field in fields for name in field.replace("[", ".").split(".")])


def may_have_parts(names: frozenset[str], node: Node) -> bool:
    """Return True if a value in a node may be explained part by part (:func:`names_with_parts`).

    This needs no paths, which are most of the time that it takes to ask :func:`parts_of` of each place: few
    sections, and none of other machines than pseries, have such values.
    """
    if node.name in names or getattr(node.words, "parts", None) is not None:
        return True
    return not is_uniform(node) and any(may_have_parts(names, child) for child in node.children)


def parts_in_words(words: Words, value: object) -> Sequence[Part]:
    """Return the parts of a number, which these words are for."""
    parts = getattr(words, "parts", None)  # isinstance of a protocol would take ten times as long
    return () if parts is None else cast("InParts", words).parts(cast("int", value))


def words_of_number(meanings: Meanings, place: Place) -> Words | None:
    """Return the words for the value of a field; None if there are none, or if it is not a number."""
    value = place.node.value
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return words_for(meanings, place)


def words_for(meanings: Meanings, place: Place) -> Words | None:
    """Return the words for the values of a field; None if there are none."""
    return _words(meanings, _description_at(place), place.chain)


def words_below(meanings: Meanings, place: Place) -> Callable[[Node], Words | None]:
    """Return what finds the words for the numbers right below a place, as :func:`words_of_number` does."""
    owner, around = _description_at(place), place.chain[-2:]

    def words(node: Node) -> Words | None:
        if isinstance(node.value, bool) or not isinstance(node.value, int):
            return None
        return _words(meanings, owner, (*around, node))

    return words


def _description_at(place: Place) -> str:
    around = place.owner
    return around.type if around.kind == "section" else around.name


def _words(meanings: Meanings, owner: str, chain: tuple[Node, ...]) -> Words | None:
    node = chain[-1]
    if node.words is not None:
        return node.words
    name = node.name
    array = chain[-2] if len(chain) > 1 else None
    if array is not None and name.startswith("["):
        name = array.name + name
    words = meanings.get((owner, name)) or meanings.get((owner, "*"))
    if words is not None:
        return words
    if array is not None and len(chain) > 2 and array.name.startswith("["):
        return meanings.get((owner, f"{chain[-3].name}.{node.name}"))
    return None


def named_elements(meanings: Meanings, owner: str, array: str) -> list[int]:
    """Return the elements of an array that have words of their own, as the PVR has among the SPRs."""
    found = []
    for description, field in meanings:
        if description == owner and field.startswith(f"{array}[") and field.endswith("]"):
            found.append(int(field[len(array) + 1 : -1]))
    return sorted(found)
