"""The changes of a proposal: every pair of a chosen set, judged without and with it, on all cores.

A proposal's functions cannot be sent to another process, so each worker reads the files again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cached_property

import numpy as np

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.proposals.chosen_set import ChosenSet
from vmstate.proposals.files import read_proposals, shipped_proposals, with_proposals
from vmstate.proposals.pair_judge import COLUMNS, PairJudge, Program, Rows, Task, TaskResult, VerdictChange
from vmstate.proposals.proposal import Proposal
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.similar_names import did_you_mean
from vmstate.workers import HERE, Workers


def find_proposal(text: str) -> tuple[Proposal, list[Proposal]]:
    """Find the proposal that ``text`` names: FILE.py, FILE.py:NAME, or the name of one of the package.

    Return it and all proposals that its file makes, in order.  Raises ConfigurationError if there is no such
    proposal, or if the file makes several and none is named.
    """
    path, _, name = text.partition(".py:")
    if not text.endswith(".py") and not name:
        found = [one for one in shipped_proposals() if one.name == text]
        if not found:
            known = [one.name for one in shipped_proposals()]
            raise ConfigurationError(
                f"no such proposal: {text!r}{did_you_mean(text, known) or ';'} there are {', '.join(known)}, "
                "and paths of a FILE.py"
            )
        return found[0], []
    made = read_proposals(f"{path}.py" if name else text)
    chosen = [one for one in made if name in {"", one.name}]
    if len(chosen) != 1:
        names = ", ".join(f"{path.removesuffix('.py')}.py:{one.name}" for one in made)
        raise ConfigurationError(
            f"the file makes several proposals; name one: {names}"
            if chosen
            else f"no such proposal; there are {names}"
        )
    return chosen[0], made


@dataclass(frozen=True)
class Question:
    """A question: a proposal compared with the release as it is, or with another proposal for it.

    ``files``: files with proposals that the chosen set names.  ``later``: releases after the proposal's
    have it too, as if it had been merged.
    """

    proposal: str
    against: str = ""
    later: bool = False
    chosen: ChosenSet = field(default_factory=ChosenSet)
    files: tuple[str, ...] = ()

    def opened(self) -> Opened:
        """Read the files.  Raises ConfigurationError for a wrong file, OSError for a missing one."""
        more = [proposal for path in self.files for proposal in read_proposals(path)]
        other, others = find_proposal(self.against) if self.against else (None, [])
        judged, made = find_proposal(self.proposal)
        if other is not None:
            _comparable(judged, other)
        catalogue = with_proposals(CATALOGUE, *more, *others, *made)
        self.chosen.check_names(catalogue)
        return Opened(self, catalogue, judged, other)


def _comparable(judged: Proposal, other: Proposal) -> None:
    if judged.name == other.name:
        raise ConfigurationError(f"both proposals are named {judged.name}: rename one of them")
    if CATALOGUE.release(judged.release) != CATALOGUE.release(other.release):
        raise ConfigurationError(
            f"{judged.name} is for QEMU {judged.release}, {other.name} for {other.release}: only two for the "
            "same release can be compared"
        )


@dataclass(frozen=True)
class Opened:
    """A question with its files read; ``other`` is the proposal to compare with, if any.

    A proposal that is based on another is compared with that one.
    """

    question: Question
    catalogue: Catalogue
    proposal: Proposal
    other: Proposal | None

    @property
    def later(self) -> bool:
        """True if releases after the proposal's have it too."""
        return self.question.later or self.proposal.later

    @property
    def release(self) -> Release:
        """The release that the proposal is for."""
        return self.catalogue.release(self.proposal.release)

    @property
    def _merged(self) -> tuple[str, str]:
        return (self.other.name if self.other else self.proposal.base, self.proposal.name)

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """The proposal's own program, then those that it is paired with."""
        on, merged = self.release, self._merged
        found = [Program(str(on), merged)]
        for text in self.question.chosen.program_names(self.catalogue):
            number, _, name = text.partition("+")
            newer = self.later and not name and Release.parse(number).line > on.line
            found.append(Program(number, merged if newer else (name, name)))
        return tuple(found)

    @cached_property
    def judge(self) -> PairJudge:
        """The judge of the pairs."""
        before, after = (self.catalogue.fork(name) if name else self.catalogue for name in self._merged)
        chosen = self.question.chosen.for_catalogues(before, after)
        return PairJudge(self.catalogue, self.programs, chosen)


@dataclass
class WhatIf:
    """The result so far: a row (pair_judge.COLUMNS) for each pair, with the index of its change or -1.

    ``tried`` also counts pairs of which a side never starts.  ``tasks``: the number done, and of those to do.
    ``part``: the part of the set that these are; less than 1 for a sample.
    """

    opened: Opened
    rows: Rows
    changes: list[VerdictChange]
    tried: int
    tasks: tuple[int, int]
    unmodelled: frozenset[str]
    part: float = 1.0

    @property
    def complete(self) -> bool:
        """True if the whole set, or the whole sample, was tried."""
        return self.tasks[0] == self.tasks[1]


def what_if(
    question: Question,
    workers: Workers = HERE,
    tick: Callable[[int, int], None] | None = None,
    *,
    sample: bool = False,
    begin: Callable[[int], None] | None = None,
) -> WhatIf:
    """Judge the pairs of the set; by default with one process for each core.

    ``sample``: only of a part of it, always the same.  ``begin`` is called first, with the number of pairs;
    ``tick`` with the number of tasks done, and of all.  A KeyboardInterrupt ends the work; the result is what
    was done until then.  Raises ConfigurationError, OSError, WorkerLost.
    """
    opened = question.opened()
    tasks = every = opened.judge.tasks()
    if sample:
        tasks = random.Random(0).sample(every, min(len(every), max(_LEAST, len(every) // _SAMPLED)))
    if begin is not None:
        begin(opened.judge.size(tasks))
    gathered = _Gathered()
    results = workers.shuffled(_worker, question, tasks)
    finished = 0
    try:
        for chunk in results:
            for done in chunk:
                gathered.add(done)
            finished += len(chunk)
            if tick is not None:
                tick(finished, len(tasks))
    except KeyboardInterrupt:
        results.close()
    answer = gathered.answer(opened, (finished, len(tasks)))
    return replace(answer, part=len(tasks) / len(every) if every else 1.0)


_SAMPLED = 40  # one task of so many is in a sample
_LEAST = 200  # tasks of a sample


def _worker(question: Question) -> Callable[[Task], TaskResult]:
    return question.opened().judge.run


class _Gathered:
    """The combined results of tasks; equal changes have one number."""

    def __init__(self) -> None:
        self._rows: list[Rows] = [np.empty((0, len(COLUMNS)), np.int32)]
        self._changes: dict[VerdictChange, int] = {}
        self._tried = 0
        self._unmodelled: set[str] = set()

    def add(self, done: TaskResult) -> None:
        numbers = [self._changes.setdefault(change, len(self._changes)) for change in done.changes]
        done.rows[:, -1] = np.array([*numbers, -1], np.int32)[done.rows[:, -1]]
        self._rows.append(done.rows)
        self._tried += done.tried
        self._unmodelled |= done.unmodelled

    def answer(self, opened: Opened, tasks: tuple[int, int]) -> WhatIf:
        rows = np.concatenate(self._rows)
        # Sorted, so that the order does not depend on which worker finished first.
        rows = rows[np.lexsort(rows.T[-2::-1])]
        return WhatIf(opened, rows, list(self._changes), self._tried, tasks, frozenset(self._unmodelled))
