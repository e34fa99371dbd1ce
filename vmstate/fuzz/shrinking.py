"""Shrinking of recipes: fewest mutations, simplest values, then the smallest stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmstate.dataclass import dataclass, field, replace
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.faults import Kind
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.splices import Splice
from vmstate.fuzz.tally import Found
from vmstate.fuzz.worker import Worker

Shows = Callable[[Recipe], bool]


@dataclass
class Shrinker:
    """Shrinks a recipe as long as ``shows`` is true for it; ``shows`` is called at most ``tries`` times."""

    base: Anatomy
    shows: Shows
    tries: int = 500
    runs: int = 0
    _known: dict[str, bool] = field(default_factory=dict, repr=False)

    def shrink(self, recipe: Recipe) -> Recipe:
        """Return the smallest recipe found, or ``recipe`` itself if ``shows`` is false for it."""
        if not self._still(recipe):
            return recipe
        recipe = self._fewer_steps(recipe)
        recipe = self._simpler_values(recipe)
        return self._fewer_sections(recipe)

    def _still(self, recipe: Recipe) -> bool:
        key = str(replace(recipe, seed=None))
        if key not in self._known:
            if self.runs >= self.tries:
                return False
            self.runs += 1
            self._known[key] = self.shows(recipe)
        return self._known[key]

    def _fewer_steps(self, recipe: Recipe) -> Recipe:
        """Try each step alone first, as one is mostly enough; then drop one step at a time."""
        if len(recipe.steps) > 1:
            for step in recipe.steps:
                alone = replace(recipe, steps=(step,))
                if self._still(alone):
                    return alone
        again = True
        while again and len(recipe.steps) > 1:
            again = False
            for number in range(len(recipe.steps)):
                fewer = replace(recipe, steps=_without(recipe.steps, number))
                if self._still(fewer):
                    recipe, again = fewer, True
                    break
        return recipe

    def _simpler_values(self, recipe: Recipe) -> Recipe:
        again = True
        while again:
            again = False
            for number, step in enumerate(recipe.steps):
                for parameters in step.known.simpler(self.base, step.parameters):
                    simpler = replace(step, parameters=parameters)
                    steps = (*recipe.steps[:number], simpler, *recipe.steps[number + 1 :])
                    candidate = replace(recipe, steps=steps)
                    if self._edits(candidate) and self._still(candidate):
                        recipe, again = candidate, True
                        break
        return recipe

    def _fewer_sections(self, recipe: Recipe) -> Recipe:
        """Leave out as many sections as possible: all, then halves, quarters, … of the rest."""
        touched = self._edits(replace(recipe, without=()))
        idle = [part.path for part in self.base.parts if not _touches(touched, part.start, part.end)]
        needed: list[str] = []
        pieces = [idle]
        while pieces:
            piece = pieces.pop(0)
            candidate = replace(recipe, without=(*recipe.without, *piece))
            if piece and self._still(candidate):
                recipe = candidate
            elif len(piece) > 1:
                half = len(piece) // 2
                pieces += [piece[:half], piece[half:]]
            else:
                needed += piece
        return recipe

    def _edits(self, recipe: Recipe) -> list[Splice]:
        return recipe.splices(self.base)


def _without(steps: Sequence[Step], number: int) -> tuple[Step, ...]:
    return (*steps[:number], *steps[number + 1 :])


def _touches(splices: Sequence[Splice], start: int, end: int) -> bool:
    """Return True if a splice changes the range; an insertion right before it does not."""
    return any(splice.start < end and start < splice.end for splice in splices)


def worst_finding(worker: Worker, recipe: Recipe, kind: Kind | None = None) -> tuple[Found | None, bool]:
    """Return the worst finding of a recipe (of a kind), and if only the slower, close run shows it."""
    for sampled in (False, True):
        found = [one for one in worker.findings(recipe, sampled=sampled) if kind in (None, one.kind)]
        if found:
            return min(found, key=lambda one: list(Kind).index(one.kind)), sampled
    return None, True


def minimized(
    worker: Worker, recipe: Recipe, wanted: Found, tries: int, *, sampled: bool
) -> tuple[Recipe, Found, int]:
    """Return the smallest recipe, the finding as that recipe shows it, and the number of runs."""

    def reproduced(one: Recipe) -> Found | None:
        found = worker.findings(one, sampled=sampled)
        return next((other for other in found if other.key == wanted.key), None)

    shrinker = Shrinker(worker.subject(recipe).anatomy, lambda one: reproduced(one) is not None, tries)
    after = shrinker.shrink(recipe)
    return after, reproduced(after) or wanted, shrinker.runs
