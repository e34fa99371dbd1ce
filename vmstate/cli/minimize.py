"""``vmstate minimize``: reduce recipes to the smallest ones that show the same findings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vmstate.cli.campaigns import add_destination, recipes_and_plan
from vmstate.cli.common_options import at_least_one
from vmstate.cli.report import Report
from vmstate.cli.terminal import progress
from vmstate.dataclass import dataclass
from vmstate.fuzz.recipe import Recipe
from vmstate.fuzz.shrinking import minimized, worst_finding
from vmstate.fuzz.splices import applied
from vmstate.fuzz.tally import Found
from vmstate.fuzz.worker import Subject, Worker
from vmstate.outputs import save, save_text

EXAMPLES = (("all that a campaign has found", "vmstate minimize found"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "For each recipe, the smallest recipe that shows the same finding is printed."
    parser.add_argument(
        "recipes",
        nargs="+",
        metavar="RECIPE",
        help='a campaign\'s folder, or a file of recipes or findings; "-" is the standard input',
    )
    parser.add_argument(
        "--stream",
        action="append",
        default=[],
        help="a base stream of the recipes, if not in the campaign's folder",
    )
    parser.add_argument("--whole", action="store_true", help="keep all guest memory in the streams")
    add_destination(parser)
    parser.add_argument(
        "--tries",
        type=at_least_one,
        default=500,
        metavar="N",
        help="at most N runs a recipe (default: 500)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the recipes to this file, one a line")
    parser.add_argument(
        "--streams-to", metavar="FOLDER", help="also write each recipe's stream into that folder"
    )


@dataclass(frozen=True)
class _Shrunk:
    """A recipe before and after; ``found`` is the finding that it shows, None if it shows nothing."""

    before: Recipe
    after: Recipe
    found: Found | None
    tries: int
    bytes: int

    def as_json(self) -> dict[str, Any]:
        finding = None if self.found is None else self.found.as_json()
        return {
            "before": self.before.as_json(),
            "recipe": self.after.as_json(),
            "finding": finding,
            "tries": self.tries,
            "stream_bytes": self.bytes,
        }


def run(options: argparse.Namespace) -> Report:
    """Minimize each recipe."""
    recipes, plan = recipes_and_plan(options)
    shrunk: list[_Shrunk] = []
    worker = Worker(plan)
    try:
        with progress("shrinking", len(recipes)) as tick:
            for number, recipe in enumerate(recipes):
                shrunk.append(_shrunk(worker, recipe, options.tries))
                _keep(worker.subject(recipe), shrunk[-1], options.streams_to, number)
                tick(number + 1)
    finally:
        worker.close()
    if options.output is not None:
        save_text(options.output, "".join(f"{one.after}\n" for one in shrunk))
    fine = all(one.found is not None for one in shrunk)
    return Report(_lines(shrunk), lambda: {"recipes": [one.as_json() for one in shrunk]}, ok=fine)


def _shrunk(worker: Worker, recipe: Recipe, tries: int) -> _Shrunk:
    wanted, sampled = worst_finding(worker, recipe)
    if wanted is None:
        return _Shrunk(recipe, recipe, None, 1, _size(worker, recipe))
    after, found, runs = minimized(worker, recipe, wanted, tries, sampled=sampled)
    return _Shrunk(recipe, after, found, runs, _size(worker, after))


def _size(worker: Worker, recipe: Recipe) -> int:
    base = worker.subject(recipe).anatomy
    return len(applied(base.data, recipe.splices(base)))


def _keep(subject: Subject, one: _Shrunk, folder: str | None, number: int) -> None:
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    stream = applied(subject.anatomy.data, one.after.splices(subject.anatomy))
    save(Path(folder) / f"{number:04}-{one.after.stream}.mig", [stream])


def _lines(shrunk: Sequence[_Shrunk]) -> Iterator[str]:
    for one in shrunk:
        if one.found is None:
            yield f"shows nothing: {json.dumps(one.before.as_json())}"
            continue
        yield f"{one.found.kind}: {one.found.target}: {one.found.signature}"
        before = "mutation" if len(one.before.steps) == 1 else "mutations"
        yield f"  {len(one.before.steps)} {before} before, {len(one.after.steps)} now ({one.tries} tries):"
        yield from (f"  {step}" for step in one.after.steps)
        if one.after.without:
            sections = "1 section" if len(one.after.without) == 1 else f"{len(one.after.without)} sections"
            yield f"  without {sections} that it does not need: {one.bytes} bytes left"
        yield from (f"    {line}" for line in one.found.text.splitlines()[-6:])
        yield f"  {one.after}"
