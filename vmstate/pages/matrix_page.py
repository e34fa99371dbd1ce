"""The page of a matrix: overview, grid, explanations of a cell, causes, the wire history of devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.errors import NotModelled
from vmstate.explain.lines import explain_line
from vmstate.explain.table import Explanation
from vmstate.front.verdict_text import check_line
from vmstate.matrix.cells import Cell, Kind
from vmstate.matrix.matrix import Grid, Matrix, Pair
from vmstate.pages.device_history import device_histories
from vmstate.pages.rendering import Texts, packed, render
from vmstate.proposals.chosen_set import Setting
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.migration import migrate
from vmstate.simulate.remedies import remedies

_TRACED = frozenset({Kind.WARN, Kind.REJECT, Kind.CRASH, Kind.STALLED})
_CHECKS = 25  # of a trace: the last ones
_REMEDIES = 40  # causes for which remedies are looked for

_LABELS = {
    Kind.ACCEPT: "accepted",
    Kind.WARN: "accepted with new lines",
    Kind.REJECT: "rejected",
    Kind.CRASH: "the destination crashes",
    Kind.STALLED: "waits for ever",
    Kind.REFUSED: "a side does not start",
    Kind.NOT_MODELLED: "cannot be judged",
}


_KINDS: list[Kind] = [kind for kind in Kind if kind is not Kind.ABSENT]


def matrix_page(matrix: Matrix, tick: Callable[[int, int], None] | None = None) -> str:
    """Return the page.  ``tick`` is called with the number of verdicts explained, and of all."""
    if matrix.programs[0] != matrix.programs[-1]:
        title = f"Migration matrix: QEMU {matrix.programs[0]} to {matrix.programs[-1]}"
    else:
        title = f"Migration matrix: QEMU {matrix.programs[0]}"
    counts = matrix.counts()
    return render(
        "matrix",
        title,
        _Data(matrix, tick).all(),
        pairs=sum(counts.values()),
        complete=matrix.complete,
        devices=True,
    )


class _Data:
    """The facts of a matrix, with every text, verdict and check stored once."""

    def __init__(self, matrix: Matrix, tick: Callable[[int, int], None] | None) -> None:
        self.matrix = matrix
        self.chosen = matrix.judge.chosen
        self.texts = Texts()
        self._tick = tick

    def all(self) -> dict[str, Any]:
        """Return everything for the page's script."""
        verdicts = self._verdicts()
        causes = self._causes()
        judge, chosen = self.matrix.judge, self.chosen
        return {
            "kinds": [[str(kind), kind.sign, _LABELS[kind]] for kind in _KINDS],
            "programs": self.matrix.programs,
            "types": chosen.types,
            "platforms": [[one.host, one.cpu, one.words] for one in chosen.platforms],
            "icModes": chosen.ic_modes,
            "compatModes": chosen.compat_modes,
            "options": chosen.options,
            "rest": chosen.rest,
            "guest": chosen.guest,
            "files": judge.question.files,
            "has": [self._has(place) for place in range(len(self.matrix.programs))],
            "grids": [self._grid(grid) for grid in self.matrix.grids],
            "verdicts": verdicts,
            "causes": causes,
            "explanations": self._explanations(),
            "texts": self.texts.all,
            "devices": device_histories(judge.catalogue, judge.releases),
        }

    def _has(self, program: int) -> list[object]:
        """Return which of the settings a release has: ic-mode, max-cpu-compat, each option."""
        available = self.matrix.judge.available
        return [
            available(program, Setting(0, 0, ic_mode=1)).ic_mode == 1,
            available(program, Setting(0, 0, compat=1)).compat == 1,
            [
                available(program, Setting(0, 0, option=n)).option == n
                for n in range(len(self.chosen.options))
            ],
        ]

    def _grid(self, grid: Grid) -> list[object]:
        return [*grid.setting, packed(grid.cells + 1)]

    def _verdicts(self) -> list[list[object]]:
        examples: dict[int, Pair] = {}
        for grid in self.matrix.grids:
            for pair in self.matrix.pairs(grid):
                number = int(grid.cells[pair.source, pair.destination])
                if number not in examples:
                    examples[number] = pair
        found = []
        for number, cell in enumerate(self.matrix.cells):
            found.append(self._verdict(cell, examples[number]))
            if self._tick is not None:
                self._tick(number + 1, len(self.matrix.cells))
        return found

    def _verdict(self, cell: Cell, example: Pair) -> list[object]:
        number = self.texts.number
        decided = cell.decided_by
        return [
            _KINDS.index(cell.kind),
            number(str(cell.outcome)),
            [number(line) for line in cell.source_messages],
            [number(line) for line in cell.messages],
            cell.started,
            -1 if decided is None else number(str(decided)),
            -1 if decided is None or not decided.message else number(decided.message),
            self._trace(example) if cell.kind in _TRACED else None,
        ]

    def _trace(self, pair: Pair) -> list[object]:
        """Return the pair that was traced, how many checks there were before, and the last ones."""
        sides = [parse(line, self.matrix.judge.catalogue) for line in self.matrix.sides(pair)]
        guest = self.chosen.guest
        try:
            if guest:
                verdict = migrate_guest(sides[0], sides[1], guest, trace=True)
            else:
                verdict = migrate(sides[0], sides[1], trace=True)
        except NotModelled:
            return []
        lines = [f"{'ok ' if check.passed else 'NO '} {check_line(check)}" for check in verdict.trace]
        words = f"{self.matrix.judge.words(pair.grid.setting)}: {self._way(pair)}"
        shown = lines[-_CHECKS:]
        return [
            self.texts.number(words), len(lines) - len(shown), [self.texts.number(line) for line in shown]
        ]  # fmt: skip

    def _way(self, pair: Pair) -> str:
        return f"{self.matrix.programs[pair.source]} to {self.matrix.programs[pair.destination]}"

    def _causes(self) -> list[list[object]]:
        """Return the causes: kind, check, lines, number of pairs, the example, its verdicts, remedies."""
        found: list[list[object]] = []
        number = self.texts.number
        for place, cause in enumerate(self.matrix.causes()):
            decided = cause.decided_by
            example = cause.example
            grid = next(n for n, one in enumerate(self.matrix.grids) if one is example.grid)
            helps = self._remedies(example) if place < _REMEDIES and cause.kind is Kind.REJECT else []
            found.append(
                [
                    _KINDS.index(cause.kind),
                    -1 if decided is None else number(str(decided)),
                    [number(line) for line in cause.lines],
                    cause.pairs,
                    [grid, example.source, example.destination],
                    sorted(cause.cells),
                    helps,
                ]
            )
        return found

    def _remedies(self, pair: Pair) -> list[int]:
        if self.chosen.guest:
            return []
        sides = [parse(line, self.matrix.judge.catalogue) for line in self.matrix.sides(pair)]
        return [self.texts.number(f"on the {one.side}: {one.change}") for one in remedies(sides[0], sides[1])]

    def _explanations(self) -> dict[int, list[str]]:
        """Return the explanation of each line that has one, by the line's number."""
        found: dict[int, list[str]] = {}
        lines = {line for cell in self.matrix.cells for line in (*cell.source_messages, *cell.messages)}
        for line in sorted(lines):
            for one in explain_line(line)[:1]:
                found[self.texts.number(line)] = _words(one)
        return found


def _words(one: Explanation) -> list[str]:
    return [one.rule, one.meaning, f"printed by {one.place}, {one.releases()}", one.advice]
