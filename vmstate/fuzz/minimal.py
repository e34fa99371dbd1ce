"""A campaign's finding, and the smallest recipe that its worker still finds it by."""

from __future__ import annotations

from vmstate.fuzz.faults import Kind
from vmstate.fuzz.recipe import Recipe
from vmstate.fuzz.shrinking import Shrinker
from vmstate.fuzz.tally import Found
from vmstate.fuzz.worker import Worker


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
