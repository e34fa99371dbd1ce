"""Fields of two descriptions paired, to name the ones that differ: the cheapest alignment of both lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vmstate.compatibility.layout import Item, signature
from vmstate.schema import SchemaField

Laid = tuple[SchemaField, tuple[Item, ...]]

_RENAMED, _CONDITION, _CHANGED, _UNLIKE, _ALONE = 1.0, 1.5, 2.0, 6.0, 2.5


class Pair(NamedTuple):
    """A field of the source and one of the destination; None if the other side has none."""

    source: Laid | None
    target: Laid | None


def aligned(source: Sequence[Laid], target: Sequence[Laid]) -> Iterator[Pair]:
    """Yield pairs in order.  A field keeps its name or its layout, or it is on one side only."""
    ours = [(one.name, signature(items)) for one, items in source]
    theirs = [(one.name, signature(items)) for one, items in target]
    head = 0
    while head < min(len(ours), len(theirs)) and ours[head] == theirs[head]:
        yield Pair(source[head], target[head])
        head += 1
    costs = _costs(ours[head:], theirs[head:])
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


_Key = tuple[str, tuple[object, ...]]


def _costs(ours: Sequence[_Key], theirs: Sequence[_Key]) -> list[list[tuple[float, str]]]:
    """Return the cost of aligning the rest from each place on, and the first step of that."""
    rows = [[(0.0, "both")] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in range(len(ours), -1, -1):
        for j in range(len(theirs), -1, -1):
            steps = []
            if i < len(ours) and j < len(theirs):
                steps.append((_cost(ours[i], theirs[j]) + rows[i + 1][j + 1][0], "both"))
            if i < len(ours):
                steps.append((_ALONE + rows[i + 1][j][0], "source"))
            if j < len(theirs):
                steps.append((_ALONE + rows[i][j + 1][0], "target"))
            if steps:
                rows[i][j] = min(steps, key=lambda step: step[0])
    return rows


def _cost(one: _Key, other: _Key) -> float:
    if one == other:
        return 0.0
    if one[1] == other[1]:
        return _RENAMED
    if _bare(one[1]) == _bare(other[1]):
        return _CONDITION
    return _CHANGED if one[0] == other[0] else _UNLIKE


def _bare(shape: tuple[object, ...]) -> object:
    """Return a signature without a condition around it."""
    first = shape[0] if len(shape) == 1 else None
    return first[1] if isinstance(first, tuple) and first[0] == "maybe" else shape
