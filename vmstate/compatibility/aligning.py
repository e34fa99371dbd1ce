"""Fields of two descriptions paired, to name the ones that differ: the cheapest alignment of both lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vmstate.compatibility.layout import Item, by_hand, signature
from vmstate.schema import SchemaField

Laid = tuple[SchemaField, tuple[Item, ...]]

_CONDITION, _CHANGED, _RENAMED, _UNLIKE = 0.5, 1.0, 1.5, 6.0
_ALONE, _SELDOM, _NAMED, _UNCLEAR = 2.5, 0.5, 2.6, 4.0


class Pair(NamedTuple):
    """A field of the source and one of the destination; None if the other side has none."""

    source: Laid | None
    target: Laid | None


def aligned(source: Sequence[Laid], target: Sequence[Laid], *, named: bool = False) -> Iterator[Pair]:
    """Yield pairs in order.  A field keeps its name or its layout, or it is on one side only.

    ``named``: one side is what one state sent.  Then a field that states often lack is rather on one side
    only than renamed.
    """
    ours, theirs = ([_key(laid) for laid in side] for side in (source, target))
    head = 0
    while head < min(len(ours), len(theirs)) and ours[head] == theirs[head]:
        yield Pair(source[head], target[head])
        head += 1
    costs = _costs(ours[head:], theirs[head:], named=named)
    i, j = head, head
    while i < len(ours) or j < len(theirs):
        step = costs[i - head][j - head][1]
        if step == "both":
            yield Pair(source[i], target[j])
        elif step == "source":
            yield Pair(source[i], None)
        else:
            yield Pair(None, target[j])
        i += step != "target"
        j += step != "source"


def bare_name(name: str) -> str:
    """Return a field's name without an index behind it."""
    head, bracket, index = name.rpartition("[")
    return head if bracket and index[:-1].isdigit() and index.endswith("]") else name


class _Key(NamedTuple):
    """A field for the alignment.

    ``seldom``: some states do not send it; ``by_hand``: only code knows its bytes.
    """

    name: str
    shape: tuple[object, ...]
    seldom: bool
    by_hand: bool


def _key(laid: Laid) -> _Key:
    one, items = laid
    return _Key(bare_name(one.name), signature(items), seldom(one), by_hand(items))


def seldom(one: SchemaField) -> bool:
    """Return True if some states do not send a field."""
    return one.conditional or isinstance(one.count, str)


def _costs(ours: Sequence[_Key], theirs: Sequence[_Key], *, named: bool) -> list[list[tuple[float, str]]]:
    """Return the cost of aligning the rest from each place on, and the first step of that."""
    rows = [[(0.0, "both")] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in range(len(ours), -1, -1):
        for j in range(len(theirs), -1, -1):
            steps = []
            if i < len(ours) and j < len(theirs):
                steps.append((_cost(ours[i], theirs[j], named=named) + rows[i + 1][j + 1][0], "both"))
            if i < len(ours):
                steps.append((_alone(ours[i], named=named) + rows[i + 1][j][0], "source"))
            if j < len(theirs):
                steps.append((_alone(theirs[j], named=named) + rows[i][j + 1][0], "target"))
            if steps:
                rows[i][j] = min(steps, key=lambda step: step[0])
    return rows


def _alone(one: _Key, *, named: bool) -> float:
    return _SELDOM if named and one.seldom else _ALONE


def _cost(one: _Key, other: _Key, *, named: bool) -> float:
    if one.name == other.name:
        if one.shape == other.shape:
            return 0.0
        return _CONDITION if _bare(one.shape) == _bare(other.shape) else _CHANGED
    if one.shape == other.shape:
        return _NAMED if named else _RENAMED
    if _bare(one.shape) == _bare(other.shape):
        return _NAMED if named else _RENAMED
    return _UNCLEAR if one.by_hand != other.by_hand else _UNLIKE


def _bare(shape: tuple[object, ...]) -> object:
    """Return a signature without a condition around it."""
    first = shape[0] if len(shape) == 1 else None
    return first[1] if isinstance(first, tuple) and first[0] == "maybe" else shape
