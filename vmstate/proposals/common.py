"""What the pairs of a group have in common, among the dimensions of a chosen set, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vmstate.proposals.chosen_set import ChosenSet
from vmstate.proposals.comparison import Program, Rows

_LISTED = 6  # values that are named; of more, the first and the last


def common_facts(
    chosen: ChosenSet, programs: Sequence[Program], rows: Rows, pool: Rows
) -> tuple[tuple[str, ...], int]:
    """What narrows ``rows`` down among ``pool``, and how many rows of the pool it narrows down to."""
    left = np.ones(len(pool), bool)
    facts: list[str] = []
    for dimension in _dimensions(chosen, programs):
        values = [np.unique(rows[:, column]) for column in dimension.columns]
        all_ = [np.unique(pool[:, column]) for column in dimension.columns]
        for column, found in zip(dimension.columns, values, strict=True):
            left &= np.isin(pool[:, column], found)
        facts += dimension.told(values, all_)
    return tuple(facts), int(left.sum())


class _Dimension:
    """One dimension: its columns (source's, destination's), and its values' names."""

    def __init__(
        self, name: str, columns: tuple[int, ...], names: Sequence[str], sides: Sequence[str]
    ) -> None:
        self.name = name
        self.columns = columns
        self.names = names
        self.sides = sides

    def told(self, values: list[NDArray[np.int32]], all_: list[NDArray[np.int32]]) -> list[str]:
        narrower = [len(some) < len(every) for some, every in zip(values, all_, strict=True)]
        if len(values) == 2 and all(narrower) and np.array_equal(values[0], values[1]):
            return [f"{self.name} {self._words(values[0], all_[0])} on both sides"]
        return [
            f"{side}{self.name} {self._words(some, every)}"
            for side, some, every, told in zip(self.sides, values, all_, narrower, strict=True)
            if told
        ]

    def _words(self, some: NDArray[np.int32], every: NDArray[np.int32]) -> str:
        missing = np.setdiff1d(every, some)
        if len(missing) < len(some) and len(missing) <= 2 < len(every):
            return f"any but {self._listed(missing)}"
        return self._listed(some)

    def _listed(self, some: NDArray[np.int32]) -> str:
        names = [self.names[value] for value in some]
        if len(names) <= _LISTED:
            return ", ".join(names)
        return f"{names[0]} … {names[-1]} ({len(names)} of them)"


def _dimensions(chosen: ChosenSet, programs: Sequence[Program]) -> list[_Dimension]:
    sides = ("source: ", "destination: ")
    releases = [f"{one.release}{'+' if one.proposals[1] else ''}{one.proposals[1]}" for one in programs]
    platforms = [platform.words for platform in chosen.platforms]
    return [
        _Dimension("QEMU", (0, 1), releases, sides),
        _Dimension("machine type", (2,), chosen.types, ("",)),
        _Dimension("on", (3, 7), platforms, sides),
        _Dimension("ic-mode", (4, 8), _named(chosen.ic_modes), sides),
        _Dimension("max-cpu-compat", (5, 9), _named(chosen.compat_modes), sides),
        _Dimension("options", (6, 10), _named(chosen.options), sides),
    ]


def _named(values: Sequence[str]) -> list[str]:
    return [value or "(none)" for value in values]
