"""A matrix compared with an earlier one, as ``--json`` wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError
from vmstate.matrix.cells import Cell, Kind
from vmstate.matrix.matrix import Grid, Matrix, Pair

_ORDER = list(Kind)
Machine = tuple[str, ...]
_MACHINE = ("machine", "host", "cpu", "ic_mode", "max_cpu_compat", "option")


@dataclass
class Change:
    """Pairs whose verdict changed in one way: the kinds before and after, the first pair, how many."""

    before: Kind
    after: Kind
    lines: tuple[str, ...]
    example: Pair
    pairs: int = 0

    @property
    def worse(self) -> bool:
        """True if the new kind is worse than the old one."""
        return _ORDER.index(self.after) > _ORDER.index(self.before)

    def as_json(self, matrix: Matrix) -> dict[str, object]:
        """Return the change as a JSON object."""
        return {
            "before": str(self.before),
            "after": str(self.after),
            "lines": list(self.lines),
            "pairs": self.pairs,
            "example": list(matrix.sides(self.example)),
        }


@dataclass
class Compared:
    """The changes, the most frequent first, those for the worse before the others.

    ``same``: pairs with the same verdict; ``new``: pairs that the baseline does not have.
    """

    changes: list[Change] = field(default_factory=list)
    same: int = 0
    new: int = 0


class Baseline:
    """An earlier matrix.  Raises ConfigurationError for any other file, OSError."""

    def __init__(self, path: Path) -> None:
        try:
            document = json.loads(path.read_text("utf-8"))
            self._read(document.get("result", document))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ConfigurationError(f"{path}: not what vmstate matrix --json writes: {error!r}") from None

    def _read(self, result: dict[str, Any]) -> None:
        self._verdicts = [_verdict(one) for one in result["verdicts"]]
        self._places = {name: place for place, name in enumerate(result["releases"])}
        self._grids: dict[Machine, list[list[int | None]]] = {
            tuple(str(grid[name]) for name in _MACHINE): grid["cells"] for grid in result["grids"]
        }

    def compare(self, matrix: Matrix) -> Compared:
        """Compare the verdicts, and the lines of both sides, pair by pair."""
        found: dict[object, Change] = {}
        compared = Compared()
        for grid in matrix.grids:
            for pair, before in self._pairs(matrix, grid):
                if before is None:
                    compared.new += 1
                    continue
                after = _of(pair.cell)
                if before == after:
                    compared.same += 1
                    continue
                key = (before[0], after[0], pair.cell.decided_by, after[2])
                change = found.setdefault(key, Change(before[0], after[0], after[2], pair))
                change.pairs += 1
        compared.changes = sorted(found.values(), key=lambda one: (not one.worse, -one.pairs))
        return compared

    def _pairs(self, matrix: Matrix, grid: Grid) -> Iterator[tuple[Pair, Verdict | None]]:
        known = self._grids.get(tuple(matrix.dimensions(grid.setting)[name] for name in _MACHINE))
        for pair in matrix.pairs(grid):
            row, column = (
                self._places.get(matrix.programs[place]) for place in (pair.source, pair.destination)
            )
            number = None if known is None or row is None or column is None else known[row][column]
            yield pair, None if number is None else self._verdicts[number]


Verdict = tuple[Kind, tuple[str, ...], tuple[str, ...]]


def _verdict(document: dict[str, Any]) -> Verdict:
    lines = (tuple(map(str, document[name])) for name in ("source_messages", "messages"))
    source, destination = lines
    return Kind(document["kind"]), source, destination


def _of(cell: Cell) -> Verdict:
    return cell.kind, cell.source_messages, cell.messages
