"""Things in a stream found by a glob of their paths, or by their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from vmstate.describe import Node, WireArray, WireRecords
from vmstate.describe.words import Meanings
from vmstate.errors import EncodeError
from vmstate.tree.contents import Contents
from vmstate.tree.meanings import named_elements, words_for
from vmstate.tree.nodes import count_of, element, is_open, is_uniform
from vmstate.tree.paths import Place, inside, keys_at, owner_of, tops
from vmstate.tree.values import bytes_of_text

_ELEMENTS = r"(?:\[[^\]]*\])*"  # instances and element numbers may be left out of a glob
_SIGNS = {"*": ".*", "?": ".", ".": rf"{_ELEMENTS}\.", "/": f"{_ELEMENTS}/"}
_STEPS = r"(?:.*[./\[])?"
_NO_VALUE = ("pages", "opaque")
_IN_ROWS = (WireArray, WireRecords, list)  # arrays whose elements are no nodes


def is_glob(text: str) -> bool:
    """Return True if a text has a sign that stands for others: ``*`` any text, ``?`` any character."""
    return "*" in text or "?" in text


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    text = "".join(_SIGNS.get(sign, re.escape(sign)) for sign in pattern)
    flags = re.DOTALL if any(sign.isupper() for sign in pattern) else re.DOTALL | re.IGNORECASE
    return re.compile(_STEPS + text, flags)


def fits(pattern: str, path: str) -> bool:
    """Return True if a glob fits a path, or the last parts of one.

    ``nip``, ``env.n*`` and ``cpu.*nip`` fit ``cpu[0].env.nip``.  Case counts only if the pattern has a
    capital letter.
    """
    return _glob(pattern).fullmatch(path) is not None


def search(contents: Contents, pattern: str) -> Iterator[Place]:
    """Yield every place whose path a glob fits, in wire order.

    Elements are looked at where the pattern has a bracket for them, or a key may be meant:
    ``irqs[3].server``, ``gpr[1?]``, ``SCTLR_EL1``.
    """
    arrays = [pattern[: at.start()] for at in re.finditer(r"\[", pattern)]

    def opens(place: Place) -> bool:
        return any(fits(array, place.path) for array in arrays) or keys_at(place) is not None

    for place in _walk(contents, opens):
        path = place.path
        if fits(pattern, path) or (path.endswith("]") and fits(pattern, path[:-1])):
            yield place


def search_value(
    contents: Contents, pattern: str, value: str, meanings: Meanings | None = None
) -> Iterator[Place]:
    """Yield every field, and every element of an array, that has a value, and whose path a glob fits.

    ``value`` is text that a change of the field would take: a number in any base, a name, ``hex:…``.
    """
    data = contents.stream.data
    for place in _walk(contents, lambda place: not isinstance(place.node.value, _IN_ROWS)):
        node = place.node
        if isinstance(node.value, WireArray | WireRecords):  # compared without a node for each element
            found = _elements_with(place, value, meanings)
        else:
            found = iter([place])
            if is_open(node) or node.kind in _NO_VALUE or not fits(pattern, place.path):
                continue
            if _bytes(place, value, meanings) != _raw(data, node):
                continue
        yield from (one for one in found if fits(pattern, one.path))


def _raw(data: memoryview, node: Node) -> bytes:
    return bytes(data[node.start : node.end])


def _bytes(place: Place, value: str, meanings: Meanings | None) -> bytes | None:
    """Return the bytes of a value in a field; None if the field cannot have that value."""
    try:
        return bytes_of_text(place, value, meanings)
    except EncodeError:
        return None


def _elements_with(place: Place, value: str, meanings: Meanings | None) -> Iterator[Place]:
    """Yield the elements of a uniform array, or their members, that have a value."""
    import numpy as np

    array = place.node.value
    size = array.width if isinstance(array, WireArray) else array.item.size
    rows = np.frombuffer(array.raw, np.uint8).reshape(-1, size)
    first = element(place.node, 0)
    if first is None:
        return
    keys = _keys(place)
    if not first.nodes:
        yield from _with_names(place, value, meanings, keys)
    for member in first.nodes or [first]:
        raw = _bytes(Place(place.path, (*place.chain, member)), value, meanings)
        if raw is None:
            continue
        at = member.start - first.start
        same = (rows[:, at : at + len(raw)] == np.frombuffer(raw, np.uint8)).all(axis=1)
        for index in np.flatnonzero(same).tolist():
            one = _element(place, index, keys)
            if one is not None and first.nodes:
                inner = next(node for node in one.node.nodes if node.name == member.name)
                yield Place(f"{one.path}.{inner.name}", (*one.chain, inner), place.section)
            elif one is not None:
                yield one


def _with_names(
    place: Place, value: str, meanings: Meanings | None, keys: list[str] | None
) -> Iterator[Place]:
    """Yield the elements whose values have names of their own, such as the PVR among the SPRs."""
    owner = place.owner.type if place.owner.kind == "section" else place.owner.name
    for index in named_elements(meanings or {}, owner, place.node.name):
        one = _element(place, index, keys)
        words = words_for(meanings or {}, one) if one is not None else None
        named = words.value(value) if words is not None else None
        if one is not None and named is not None and named == one.node.value:
            yield one


def _walk(contents: Contents, opens: Callable[[Place], bool]) -> Iterator[Place]:
    """Yield every place; the elements of a uniform array only if ``opens`` is True for it."""
    for top in tops(contents):
        yield from _below(top, owner_of(contents, top), opens)


def _below(place: Place, owner: str, opens: Callable[[Place], bool]) -> Iterator[Place]:
    yield place
    node = place.node
    if isinstance(node.value, _IN_ROWS) and not node.nodes:
        if opens(place):
            for one in elements_of(place):
                yield one
                yield from (inner for inner, _ in inside(one, owner))
    elif not is_uniform(node) or opens(place):
        for inner, around in inside(place, owner):
            yield from _below(inner, around, opens)


def elements_of(place: Place) -> Iterator[Place]:
    """Yield the elements of an array whose elements are alike, by their keys if they have some."""
    if not isinstance(place.node.value, _IN_ROWS):
        yield from (one for one, _ in inside(place, ""))
        return
    keys = _keys(place)
    for index in range(count_of(place.node) or 0):
        one = _element(place, index, keys)
        if one is not None:
            yield one


def _keys(place: Place) -> list[str] | None:
    keys = keys_at(place)
    return None if keys is None else list(keys)


def _element(place: Place, index: int, keys: list[str] | None) -> Place | None:
    node = element(place.node, index)
    if node is None:
        return None
    name = node.name if keys is None else f"[{keys[index]}]"
    return Place(place.path + name, (*place.chain, node), place.section)
