"""Judge a matrix, one machine type on one platform at a time, with few simulated runs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmstate.dataclass import dataclass, replace
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.matrix.cells import Cell
from vmstate.proposals.chosen_set import ChosenSet, Setting
from vmstate.proposals.files import extended
from vmstate.pseries.cas.guests import guest
from vmstate.pseries.catalogue import Binary, Catalogue
from vmstate.savevm.verdict import Outcome, Verdict, cannot_judge
from vmstate.similar_names import did_you_mean
from vmstate.simulate.shared_runs import SharedRuns, Started

ABSENT = -1  # the number of a cell where a release does not have the machine type
Cells = NDArray[np.int32]


class Ways(StrEnum):
    """From which releases to which a matrix migrates."""

    BOTH = "both"
    FORWARD = "forward"
    BACKWARD = "backward"

    def includes(self, source: int, destination: int) -> bool:
        """Return True if it migrates between these places among the releases, oldest first."""
        if self is Ways.BOTH:
            return True
        return source <= destination if self is Ways.FORWARD else source >= destination


@dataclass(frozen=True)
class MatrixQuestion:
    """A question: the values of each dimension; all are combined, and both sides of a pair have the same.

    ``chosen.types`` are names or patterns (``pseries-9.*``); none: all types.  ``files``: more declarations
    and proposals, as for ``--with``.
    """

    chosen: ChosenSet
    files: tuple[str, ...] = ()
    ways: Ways = Ways.BOTH

    def judge(self) -> MatrixJudge:
        """Read the files.  Raises ConfigurationError for a wrong name or file, OSError."""
        shipped = any("+" in text for text in self.chosen.releases)
        catalogue = extended(self.files, shipped=shipped)
        programs = self.chosen.program_names(catalogue)
        binaries = [_binary(catalogue, program) for program in programs]
        types = _types(self.chosen.types, binaries)
        replace(self.chosen, types=types).check_names(catalogue)
        return MatrixJudge(
            self, catalogue, programs, binaries, _with_defaults(replace(self.chosen, types=types))
        )


def _with_defaults(chosen: ChosenSet) -> ChosenSet:
    """Return the set with QEMU's default in the first place, where a release falls back to it."""
    dimensions = {name: getattr(chosen, name) for name in ("ic_modes", "compat_modes", "options")}
    changed: dict[str, Any] = {
        name: tuple(dict.fromkeys(("", *values))) for name, values in dimensions.items()
    }
    return replace(chosen, **changed)


def _binary(catalogue: Catalogue, program: str) -> Binary:
    number, _, name = program.partition("+")
    known = catalogue.fork(name) if name else catalogue
    return known.binary(known.release(number))


def _types(patterns: tuple[str, ...], binaries: list[Binary]) -> tuple[str, ...]:
    """Return the machine types that match, oldest first.  Raises ConfigurationError if none does."""
    names = list(dict.fromkeys(name for binary in reversed(binaries) for name in binary.machine_types))
    found: dict[str, None] = {}
    for pattern in patterns or ("*",):
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if pattern == "pseries":
            matching = [pattern]
        if not matching:
            hint = did_you_mean(pattern, names)
            raise ConfigurationError(f"no release of this matrix has a machine type {pattern!r}{hint}")
        found.update(dict.fromkeys(matching))
    return tuple(name for name in ("pseries", *reversed(names)) if name in found)


class Task(NamedTuple):
    """A part of the work: a machine type on a platform, in all its other settings."""

    type: int
    platform: int


@dataclass(frozen=True)
class TaskResult:
    """The cells of a task by setting: the number among ``found``, by source and destination."""

    grids: list[tuple[Setting, Cells]]
    found: list[Cell]


class MatrixJudge:
    """Judges the pairs of a matrix.  ``programs``: the releases, oldest first."""

    def __init__(
        self,
        question: MatrixQuestion,
        catalogue: Catalogue,
        programs: list[str],
        binaries: list[Binary],
        chosen: ChosenSet,
    ) -> None:
        self.question = question
        self.catalogue = catalogue
        self.programs = programs
        self.chosen = chosen
        self._binaries = binaries
        self._runs = SharedRuns(catalogue, guest(chosen.guest) if chosen.guest else None, across=True)

    def tasks(self) -> list[Task]:
        """Return all parts of the work."""
        sizes = len(self.chosen.types), len(self.chosen.platforms)
        return [Task(*places) for places in product(*map(range, sizes))]

    @cached_property
    def _variations(self) -> list[tuple[int, int, int]]:
        """The places of the values that were asked for."""
        asked, chosen = self.question.chosen, self.chosen
        dimensions = (
            [chosen.ic_modes.index(value) for value in asked.ic_modes],
            [chosen.compat_modes.index(value) for value in asked.compat_modes],
            [chosen.options.index(value) for value in asked.options],
        )
        return [(a, b, c) for a, b, c in product(*dimensions)]

    def command_line(self, program: int, setting: Setting) -> str:
        """Return the command line of a release with a setting; it leaves out options it does not have."""
        return self.chosen.command_line(f"qemu-{self.programs[program]}", self.available(program, setting))

    def available(self, program: int, setting: Setting) -> Setting:
        """Return a setting without the options that a release does not have."""
        return self.chosen.available((self._binaries[program],), setting)

    @property
    def releases(self) -> list[Release]:
        """The release of each program."""
        return [binary.release for binary in self._binaries]

    def settings(self) -> list[Setting]:
        """Return every combination that was asked for, by machine type."""
        return [Setting(*task, *variation) for task in self.tasks() for variation in self._variations]

    def size(self) -> int:
        """Return the number of pairs."""
        ways = self.question.ways
        found = 0
        for setting in self.settings():
            places = [place for place in range(len(self.programs)) if self.offers(place, setting)]
            found += sum(ways.includes(a, b) for a in places for b in places)
        return found

    def offers(self, program: int, setting: Setting) -> bool:
        """Return True if a release has the machine type of a setting."""
        name = self.chosen.types[setting.type]
        return name == "pseries" or name in self._binaries[program].machine_types

    def words(self, setting: Setting) -> str:
        """Return a setting for people: ``pseries-7.2, tcg power9, ic-mode=xive``."""
        return ", ".join([self.chosen.types[setting.type], self.modes(setting)])

    def modes(self, setting: Setting) -> str:
        """Return the words of a setting without its machine type."""
        chosen = self.chosen
        words = [chosen.platforms[setting.platform].words]
        for name, values, value in (
            ("ic-mode", chosen.ic_modes, setting.ic_mode),
            ("max-cpu-compat", chosen.compat_modes, setting.compat),
        ):
            if values[value]:
                words.append(f"{name}={values[value]}")
        if chosen.options[setting.option]:
            words.append(chosen.options[setting.option])
        return ", ".join(words)

    def run(self, task: Task) -> TaskResult:
        """Judge all pairs of a task."""
        self._runs.forget()
        numbers: dict[Cell, int] = {}
        grids = []
        started: dict[str, Started] = {}
        for variation in self._variations:
            setting = Setting(task.type, task.platform, *variation)
            sides = [self._start(place, setting, started) for place in range(len(self.programs))]
            grids.append((setting, self._grid(sides, numbers)))
        return TaskResult(grids, list(numbers))

    def _start(self, program: int, setting: Setting, known: dict[str, Started]) -> Started | None:
        """Start a release; None if it does not have the machine type."""
        if not self.offers(program, setting):
            return None
        text = self.command_line(program, setting)
        if text not in known:
            known[text] = self._runs.start(text)
        return known[text]

    def _grid(self, sides: list[Started | None], numbers: dict[Cell, int]) -> Cells:
        cells = np.full((len(sides), len(sides)), ABSENT, np.int32)
        for row, source in enumerate(sides):
            if source is None:
                continue
            judge = self._from(source)
            for column, destination in enumerate(sides):
                if destination is not None and self.question.ways.includes(row, column):
                    cell = judge(destination)
                    cells[row, column] = numbers.setdefault(cell, len(numbers))
            self._runs.forget_streams()
        return cells

    def _from(self, source: Started) -> Callable[[Started], Cell]:
        """Return the judge of a source's pairs, by destination."""
        if source.start is None:
            unknown = _unknown(source)
            return lambda _: unknown
        saved = self._runs.save(source)
        lines = tuple(saved.sent.messages)
        if saved.sent.stream is None:
            refused = Cell.of(Verdict(Outcome.SOURCE_REFUSED, decided_by=saved.sent.refused), lines, 0)
            return lambda _: refused

        def judge(destination: Started) -> Cell:
            if destination.start is None:
                return _unknown(destination)._replace(source_messages=lines)
            started = len(destination.start.messages)
            try:
                return Cell.of(self._runs.load(saved, destination).verdict, lines, started)
            except NotModelled as unknown:
                return Cell.of(cannot_judge(unknown), lines, started)

        return judge


def _unknown(side: Started) -> Cell:
    return Cell.of(cannot_judge(NotModelled(side.trouble)), (), 0)
