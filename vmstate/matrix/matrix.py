"""A matrix: the verdict of every pair, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from vmstate.dataclass import dataclass, field
from vmstate.matrix.cells import Cell, Decision, Kind
from vmstate.matrix.judging import ABSENT, Cells, MatrixJudge, MatrixQuestion, Task, TaskResult
from vmstate.proposals.chosen_set import Setting
from vmstate.savevm.verdict import Outcome
from vmstate.workers import HERE, Workers


@dataclass(frozen=True)
class Grid:
    """The cells of one machine, by source and destination; ``setting`` has its type and modes."""

    setting: Setting
    cells: Cells


@dataclass(frozen=True)
class Pair:
    """One pair of a matrix."""

    grid: Grid
    source: int
    destination: int
    cell: Cell


@dataclass
class Matrix:
    """The verdicts of a question so far; ``tasks``: the number done, and of all.

    ``grids`` are in the order of the machine types; the numbers in them are places in ``cells``.
    """

    judge: MatrixJudge
    grids: list[Grid]
    cells: list[Cell]
    tasks: tuple[int, int]
    _kinds: list[Kind] = field(init=False)

    def __post_init__(self) -> None:
        self._kinds = [cell.kind for cell in self.cells]

    @property
    def complete(self) -> bool:
        """True if every pair was judged."""
        return self.tasks[0] == self.tasks[1]

    @property
    def programs(self) -> list[str]:
        """The releases, oldest first."""
        return self.judge.programs

    def kind(self, number: int) -> Kind:
        """Return the kind of a cell by its number."""
        return Kind.ABSENT if number == ABSENT else self._kinds[number]

    def signs(self, grid: Grid) -> list[str]:
        """Return a line of signs for each source."""
        return ["".join(self.kind(int(number)).sign for number in row) for row in grid.cells]

    def counts(self, grid: Grid | None = None) -> dict[Kind, int]:
        """Return how many pairs there are of each kind, in one grid or in all."""
        found: Counter[Kind] = Counter()
        for one in self.grids if grid is None else [grid]:
            numbers, counts = np.unique(one.cells, return_counts=True)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
                found[self.kind(number)] += count
        return {kind: found[kind] for kind in Kind if found[kind] and kind is not Kind.ABSENT}

    def pairs(self, grid: Grid) -> Iterator[Pair]:
        """Yield the pairs of a grid, by source."""
        for row, column in np.argwhere(grid.cells != ABSENT).tolist():
            yield Pair(grid, row, column, self.cells[grid.cells[row, column]])

    def sides(self, pair: Pair) -> tuple[str, str]:
        """Return the command lines of a pair."""
        source, destination = (
            self.judge.command_line(place, pair.grid.setting) for place in (pair.source, pair.destination)
        )
        return source, destination

    def alike(self) -> list[list[Grid]]:
        """Return the grids in groups that have the same signs everywhere; those in which none starts last."""
        found: dict[tuple[str, ...], list[Grid]] = {}
        for grid in self.grids:
            found.setdefault(tuple(self.signs(grid)), []).append(grid)
        return sorted(found.values(), key=lambda group: self.counts(group[0]).keys() == {Kind.REFUSED})

    def causes(self) -> list[Cause]:
        """Return what decided where a pair is not simply accepted, the most frequent first of each kind."""
        found: dict[tuple[Kind, Decision | None, tuple[str, ...]], Cause] = {}
        for grid in self.grids:
            numbers, first, counts = np.unique(grid.cells, return_index=True, return_counts=True)
            for number, index, count in zip(numbers.tolist(), first.tolist(), counts.tolist(), strict=True):
                kind = self.kind(number)
                if kind in (Kind.ABSENT, Kind.ACCEPT):
                    continue
                cell = self.cells[number]
                lines = _own_lines(cell)
                key = kind, cell.decided_by, lines
                row, column = divmod(index, len(self.programs))
                cause = found.setdefault(
                    key, Cause(kind, cell.decided_by, lines, Pair(grid, row, column, cell))
                )
                cause.pairs += count
                cause.cells.add(number)
        order = list(Kind)
        return sorted(found.values(), key=lambda cause: (order.index(cause.kind), -cause.pairs))

    def as_json(self) -> dict[str, object]:
        """Return the whole matrix; ``cells`` are places in ``verdicts``, null where there is no pair."""
        return {
            "releases": self.programs,
            "complete": self.complete,
            "counts": {str(kind): count for kind, count in self.counts().items()},
            "verdicts": [cell.as_json() for cell in self.cells],
            "grids": [self._grid_json(grid) for grid in self.grids],
        }

    def _grid_json(self, grid: Grid) -> dict[str, object]:
        cells = [[None if n == ABSENT else n for n in row] for row in grid.cells.tolist()]
        return {**self.dimensions(grid.setting), "cells": cells}

    def dimensions(self, setting: Setting) -> dict[str, str]:
        """Return the values of a setting by their names."""
        chosen = self.judge.chosen
        platform = chosen.platforms[setting.platform]
        return {
            "machine": chosen.types[setting.type],
            "host": platform.host or "tcg",
            "cpu": platform.cpu,
            "ic_mode": chosen.ic_modes[setting.ic_mode],
            "max_cpu_compat": chosen.compat_modes[setting.compat],
            "option": chosen.options[setting.option],
        }


@dataclass
class Cause:
    """Pairs that end alike: the check that decided, the lines that say so, one of the pairs.

    ``cells``: the numbers of their verdicts.
    """

    kind: Kind
    decided_by: Decision | None
    lines: tuple[str, ...]
    example: Pair
    pairs: int = 0
    cells: set[int] = field(default_factory=set)


def _own_lines(cell: Cell) -> tuple[str, ...]:
    """Return the lines that belong to the verdict: not those that every start prints."""
    if cell.outcome == Outcome.SOURCE_REFUSED:
        return cell.source_messages
    if cell.outcome == Outcome.DESTINATION_REFUSED:
        return cell.messages
    return cell.messages[cell.started :]


def make_matrix(
    question: MatrixQuestion,
    workers: Workers = HERE,
    tick: Callable[[int, int], None] | None = None,
    begin: Callable[[int], None] | None = None,
) -> Matrix:
    """Judge every pair; by default with one process for each core.

    ``begin`` is called first, with the number of pairs; ``tick`` with the number of tasks done, and of all.
    A KeyboardInterrupt ends the work; the matrix then has what was done.  Raises ConfigurationError,
    OSError, WorkerLost.
    """
    judge = question.judge()
    tasks = judge.tasks()
    if begin is not None:
        begin(judge.size())
    numbers: dict[Cell, int] = {}
    grids: list[Grid] = []
    results = workers.shuffled(_worker, question, tasks, chunk=1)
    finished = 0
    try:
        for chunk in results:
            for done in chunk:
                grids += _renumbered(done, numbers)
            finished += len(chunk)
            if tick is not None:
                tick(finished, len(tasks))
    except KeyboardInterrupt:
        results.close()
    # Sorted, so that nothing depends on which worker finished first.
    grids.sort(key=lambda grid: grid.setting)
    return Matrix(judge, *_in_order(grids, list(numbers)), (finished, len(tasks)))


def _worker(question: MatrixQuestion) -> Callable[[Task], TaskResult]:
    return question.judge().run


def _renumbered(done: TaskResult, numbers: dict[Cell, int]) -> Iterator[Grid]:
    table = np.array([*(numbers.setdefault(cell, len(numbers)) for cell in done.found), ABSENT], np.int32)
    for setting, cells in done.grids:
        yield Grid(setting, table[cells])


def _in_order(grids: list[Grid], cells: list[Cell]) -> tuple[list[Grid], list[Cell]]:
    """Number the cells as they come in the sorted grids."""
    order = np.full(len(cells) + 1, ABSENT, np.int32)
    ordered: list[Cell] = []
    for grid in grids:
        for number in dict.fromkeys(grid.cells.ravel().tolist()):
            if number != ABSENT and order[number] == ABSENT:
                order[number] = len(ordered)
                ordered.append(cells[number])
    return [Grid(grid.setting, order[grid.cells]) for grid in grids], ordered
