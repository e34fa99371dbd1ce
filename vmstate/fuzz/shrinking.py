"""The smallest recipe that shows the same: fewest mutations, simplest values, then the smallest stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.faults import Kind
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.splices import Splice
from vmstate.fuzz.tally import Found
from vmstate.fuzz.worker import Worker

Shows = Callable[[Recipe], bool]


@dataclass
class Shrinker:
    """``shows``: whether a recipe still shows what is looked for; asked at most ``tries`` times.

    ``reduced`` may leave out sections that are not needed.
    """

    base: Anatomy
    shows: Shows
    tries: int = 500
    asked: int = 0
    _known: dict[str, bool] = field(default_factory=dict, repr=False)

    def shrink(self, recipe: Recipe) -> Recipe:
        """The smallest found; ``recipe`` itself if it does not show it."""
        if not self._still(recipe):
            return recipe
        recipe = self._fewer_steps(recipe)
        recipe = self._simpler_values(recipe)
        return self._fewer_sections(recipe)

    def _still(self, recipe: Recipe) -> bool:
        key = str(replace(recipe, seed=None))
        if key not in self._known:
            if self.asked >= self.tries:
                return False
            self.asked += 1
            self._known[key] = self.shows(recipe)
        return self._known[key]

    def _fewer_steps(self, recipe: Recipe) -> Recipe:
        """Each step alone first: mostly one is to blame; then one step less, as long as that can be."""
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
        """Leave out as many sections as can be: all, halves, quarters, … of what is left."""
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
    """What is inserted right in front of a section stays, even if the section goes."""
    return any(splice.start < end and start < splice.end for splice in splices)


def shown(worker: Worker, recipe: Recipe, kind: Kind | None = None) -> tuple[Found | None, bool]:
    """The worst that a recipe shows (of a kind), and whether it takes a close look, which takes its time."""
    for closely in (False, True):
        found = [one for one in worker.found(recipe, closely=closely) if kind in (None, one.kind)]
        if found:
            return min(found, key=lambda one: list(Kind).index(one.kind)), closely
    return None, True


def smallest(
    worker: Worker, recipe: Recipe, wanted: Found, tries: int, *, closely: bool
) -> tuple[Recipe, Found, int]:
    """The smallest recipe, the finding as that shows it, and how many runs it took."""

    def again(one: Recipe) -> Found | None:
        found = worker.found(one, closely=closely)
        return next((other for other in found if other.key == wanted.key), None)

    shrinker = Shrinker(worker.subject(recipe).anatomy, lambda one: again(one) is not None, tries)
    after = shrinker.shrink(recipe)
    return after, again(after) or wanted, shrinker.asked
