"""The work of one process of a campaign: batches of runs; only plain values go in and out."""

from __future__ import annotations

import gc
import resource
import threading
import time
from collections.abc import Sequence
from functools import cached_property

from vmstate.dataclass import dataclass, replace
from vmstate.errors import ConfigurationError
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.bounds import ResourceCheck
from vmstate.fuzz.device import TIMEOUT, opened_device
from vmstate.fuzz.faults import SILENT, Fault, Run, disagreement
from vmstate.fuzz.mutations import Mutation
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.recipe import Recipe, drawn
from vmstate.fuzz.regions import Regions
from vmstate.fuzz.splices import Workbench
from vmstate.fuzz.tally import Found, Tally
from vmstate.fuzz.targets import Reader, Real, Simulated, Target
from vmstate.judge.comparison import STALLED, Comparison
from vmstate.judge.disagreements import Disagreement, explaining
from vmstate.qemu.fast import no_core_files
from vmstate.savevm.verdict import Outcome

_GARBAGE = 20_000  # objects between two garbage collections: about ten runs


@dataclass(frozen=True)
class Batch:
    """The runs ``first`` to ``first + count - 1`` of a plan."""

    first: int
    count: int


class Subject:
    """A base stream, taken apart, with its workbench."""

    def __init__(self, base: Base, anatomy: Anatomy) -> None:
        self.base = base
        self.anatomy = anatomy
        self.bench = Workbench(anatomy.data)

    @cached_property
    def regions(self) -> Regions:
        """The named regions of the stream."""
        return Regions(self.anatomy)


class Worker:
    """Runs the recipes of a plan on its targets; :meth:`close` releases them.

    Raises ConfigurationError if a target is not available.
    """

    def __init__(self, plan: Plan, known: tuple[Disagreement, ...] = ()) -> None:
        self.plan = plan
        self.known = known
        self._mutations = plan.mutations()
        device = (
            opened_device(*plan.device, timeout=min(plan.timeout, TIMEOUT))
            if plan.device is not None
            else None
        )
        self.subjects = [Subject(b, Anatomy(b.data(), b.name)) for b in plan.bases]
        self.own: Target = Reader() if device is None else device
        self.extra: list[Target] = []
        if plan.on is not None:
            self.own = Simulated(plan.on)
            self.extra = [Reader(), Simulated(plan.on, traced=True)]
        self.real: Real | None = None
        command = plan.command()
        if command is not None:
            self.real = Real(command, timeout=plan.timeout)
            self.real.verify(self.subjects[0].anatomy.data)
        self._resources = ResourceCheck()

    def close(self) -> None:
        """Release the targets."""
        for target in (self.own, self.real, *self.extra):
            if target is not None:
                target.close()

    def recipe(self, number: int) -> tuple[Subject, Recipe]:
        """Draw the recipe of a run; the bases take turns."""
        subject = self.subjects[number % len(self.subjects)]
        return subject, drawn(subject.anatomy, self.plan.seed + number, self._mutations)

    def batch(self, batch: Batch) -> Tally:
        """Do all runs of a batch."""
        tally = Tally()
        start = time.monotonic()
        for number in range(batch.first, batch.first + batch.count):
            subject, recipe = self.recipe(number)
            sampled = self.plan.sample > 0 and number % self.plan.sample == 0
            self._run(subject, recipe, tally, sampled=sampled)
        tally.seconds = time.monotonic() - start
        tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        return tally

    def _run(self, subject: Subject, recipe: Recipe, tally: Tally, *, sampled: bool) -> None:
        splices = recipe.splices(subject.anatomy)
        tally.runs += 1
        steps = [step.known for step in recipe.steps]
        tally.mutations.update(step.name for step in steps)
        tally.fields.update(subject.regions.touched(splices))
        same = splices[0].start if splices else len(subject.anatomy.data)
        check = self._resources.run
        with subject.bench.changed(splices) as stream:
            own = check(self.own, stream, subject.anatomy, same)
            extra = [check(target, stream, subject.anatomy, same) for target in self.extra if sampled]
            real = None if self.real is None else self.real.run(stream)
        runs = [own] if real is None else [own, real]
        for run in runs:
            tally.outcomes[f"{run.target}: {run.answer.outcome}"] += 1
        if own.answer.rule is not None:
            for step in steps:
                tally.rules[f"{step.kind}: {own.answer.rule}"] += 1
        simulated = None if self.plan.on is None else own
        for run in (*runs, *extra):
            tally.traced.update(run.rules)
            for fault in run.faults:
                tally.note(Found.of(_with_place(fault, simulated, steps), run.target, recipe, splices))
        if real is not None and simulated is not None and simulated.answer.outcome != Outcome.NOT_MODELLED:
            differs, known = self._compare(real, simulated, steps, tally)
            if differs is not None:
                tally.note(Found.of(differs, f"{real.target} and ours", recipe, splices, known))

    def _compare(
        self, real: Run, simulated: Run, steps: Sequence[Mutation], tally: Tally
    ) -> tuple[Fault | None, str | None]:
        """Return the disagreement of two runs, if any, and the name of its explanation."""
        compared = Comparison(real.answer, simulated.answer, crash_predicted=True)
        same = compared.same
        known = None if same else explaining(compared, self.known)
        kinds, names = {step.kind for step in steps}, {step.name for step in steps}
        tally.compared(kinds, names, outcome=compared.same_outcome, lines=same, known=known is not None)
        fault = None if same else disagreement(real, simulated, same_outcome=compared.same_outcome)
        return fault, known

    def runs(self, recipe: Recipe) -> list[Run]:
        """Run a recipe on our target and on the real QEMU.  Raises ConfigurationError for an unknown base."""
        subject = self.subject(recipe)
        with subject.bench.changed(recipe.splices(subject.anatomy)) as stream:
            return [target.run(stream) for target in (self.own, self.real) if target is not None]

    def subject(self, recipe: Recipe) -> Subject:
        """Return the base of a recipe.  Raises ConfigurationError if the plan does not have it."""
        for subject in self.subjects:
            if subject.base.sha256 == recipe.base:
                return subject
        raise ConfigurationError(f"the campaign has no stream {recipe.stream} ({recipe.base})")

    def findings(self, recipe: Recipe, *, sampled: bool = True) -> list[Found]:
        """Return the findings of one recipe; ``sampled``: also run the targets of sampled runs."""
        tally = Tally()
        self._run(self.subject(recipe), recipe, tally, sampled=sampled)
        return list(tally.found.values())


def _with_place(fault: Fault, simulated: Run | None, steps: Sequence[Mutation]) -> Fault:
    """Add to a crash without output where the simulator ends, or else the kinds of the mutations."""
    if not fault.signature.endswith(SILENT):
        return fault
    answer = None if simulated is None else simulated.answer
    if answer is not None and answer.rule is not None:
        where = f"{answer.rule} in {answer.section}" if answer.section else answer.rule
    elif answer is not None and answer.outcome == STALLED:
        where = STALLED
    else:
        where = ", ".join(sorted({step.kind for step in steps}))
    return replace(fault, signature=f"{fault.signature} ({where})")


_workers: dict[str, Worker] = {}
_one_at_a_time = threading.Lock()  # a Dask worker may have several threads


def run_batch(plan: Plan, known: tuple[Disagreement, ...], batch: Batch) -> Tally:
    """Run a batch in this process, which keeps the plan's worker for the next batch."""
    with _one_at_a_time:
        return _worker(plan, known).batch(batch)


def _worker(plan: Plan, known: tuple[Disagreement, ...]) -> Worker:
    worker = _workers.get(plan.key)
    if worker is None:
        no_core_files()
        for old in _workers.values():
            old.close()
        _workers.clear()
        worker = _workers[plan.key] = Worker(plan, known)
        gc.collect()
        gc.freeze()  # these objects stay: the collector need not visit them again
        gc.set_threshold(_GARBAGE)
    return worker
