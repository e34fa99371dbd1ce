"""The values that the pairs of a group share in the dimensions of a chosen set, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmstate.dataclass import dataclass
from vmstate.proposals.chosen_set import ChosenSet
from vmstate.proposals.pair_judge import Program, Rows

Values = NDArray[np.int32]
_LISTED = 4  # values that are named one by one; more are shown as ranges
_RANGES = 3


def common_facts(
    chosen: ChosenSet, programs: Sequence[Program], rows: Rows, pool: Rows
) -> tuple[tuple[str, ...], int]:
    """Return the values that describe ``rows`` among ``pool``, and how many rows of the pool have them."""
    left = np.ones(len(pool), bool)
    dimensions = _dimensions(chosen, programs)
    seen: list[_Seen] = []
    for dimension in dimensions:
        for place, column in enumerate(dimension.columns):
            some, every = np.unique(rows[:, column]), np.unique(pool[:, column])
            left &= np.isin(pool[:, column], some)
            if len(some) < len(every):
                seen.append(_Seen(dimension, place, some, every))
    facts = [fact for fact in seen if not _implied(fact, seen)]
    return tuple(_words(facts)), int(left.sum())


@dataclass(frozen=True, eq=False)
class _Dimension:
    """One dimension: its name, columns (source's, destination's), and names of its values.

    ``one_of``: only one of these dimensions differs from its default.
    """

    name: str
    columns: tuple[int, ...]
    names: Sequence[str]
    one_of: bool = False

    def listed(self, some: Values, every: Values) -> str:
        missing = np.setdiff1d(every, some)
        if len(missing) < len(some) and len(missing) <= 2 < len(every):
            return f"any but {', '.join(self.names[value] for value in missing)}"
        if len(some) <= _LISTED:
            return ", ".join(self.names[value] for value in some)
        places = np.searchsorted(every, some)
        runs = np.split(some, np.nonzero(np.diff(places) > 1)[0] + 1)
        if len(runs) > _RANGES:
            return f"{self.names[some[0]]} … {self.names[some[-1]]} ({len(some)} of {len(every)})"
        return ", ".join(self._range(run) for run in runs)

    def _range(self, run: Values) -> str:
        first, last = self.names[run[0]], self.names[run[-1]]
        return first if len(run) == 1 else f"{first} … {last}"


class _Seen(NamedTuple):
    """The values of a dimension on one side (0: source) in a group, fewer than in the pool."""

    dimension: _Dimension
    side: int
    some: Values
    every: Values


def _implied(fact: _Seen, seen: list[_Seen]) -> bool:
    """Return True if a fact is only a default that follows from another dimension on that side."""
    if not fact.dimension.one_of or fact.some.tolist() != [0]:
        return False
    return any(one.dimension.one_of and one.side == fact.side and 0 not in one.some for one in seen)


def _words(facts: list[_Seen]) -> Iterator[str]:
    for fact in facts:
        dimension = fact.dimension
        words = f"{dimension.name} {dimension.listed(fact.some, fact.every)}"
        twin = next((one for one in facts if one.dimension is dimension and one.side != fact.side), None)
        if len(dimension.columns) == 1:
            yield words
        elif twin is None or not np.array_equal(twin.some, fact.some):
            yield f"{('source', 'destination')[fact.side]}: {words}"
        elif fact.side == 0:
            yield f"both: {words}"


def _dimensions(chosen: ChosenSet, programs: Sequence[Program]) -> list[_Dimension]:
    releases = [f"{one.release}{'+' if one.proposals[1] else ''}{one.proposals[1]}" for one in programs]
    platforms = [platform.words for platform in chosen.platforms]
    return [
        _Dimension("QEMU", (0, 1), releases),
        _Dimension("machine type", (2,), chosen.types),
        _Dimension("on", (3, 7), platforms),
        _Dimension("ic-mode", (4, 8), _named(chosen.ic_modes), True),
        _Dimension("max-cpu-compat", (5, 9), _named(chosen.compat_modes), True),
        _Dimension("options", (6, 10), _named(chosen.options), True),
    ]


def _named(values: Sequence[str]) -> list[str]:
    return [value or "none" for value in values]
