"""A matrix as JUnit XML: a suite for each machine, a case for each pair."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.junit import Case, Failure, Suite
from vmstate.matrix.cells import Cell, Kind
from vmstate.matrix.matrix import Matrix, Pair

_FAILED = {Kind.REJECT, Kind.CRASH, Kind.STALLED}


def suites(matrix: Matrix) -> Iterator[Suite]:
    """Yield the suites; a pair of which a side does not start is skipped."""
    for grid in matrix.grids:
        cases = tuple(_case(matrix, pair) for pair in matrix.pairs(grid))
        yield Suite(matrix.judge.words(grid.setting), cases)


def _case(matrix: Matrix, pair: Pair) -> Case:
    name = f"{matrix.programs[pair.source]} to {matrix.programs[pair.destination]}"
    kind = pair.cell.kind
    if kind in _FAILED:
        source, destination = matrix.sides(pair)
        text = "\n".join([f"vmstate migrate '{source}' '{destination}'", *_lines(pair.cell)])
        return Case(name, (Failure(str(kind), str(pair.cell.decided_by or kind), text),))
    if kind is Kind.REFUSED:
        lines = pair.cell.messages or pair.cell.source_messages
        return Case(name, skipped=lines[-1] if lines else "a side does not start")
    if kind is Kind.NOT_MODELLED:
        return Case(name, error=pair.cell.decided_by.message if pair.cell.decided_by else "not modelled")
    return Case(name, output="\n".join(_lines(pair.cell)))


def _lines(cell: Cell) -> Iterator[str]:
    yield from (f"source: {line}" for line in cell.source_messages)
    yield from (f"destination: {line}" for line in cell.messages)
