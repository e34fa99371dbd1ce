"""``vmstate fuzz``: run a campaign of changed streams against a destination, or single recipes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vmstate.cli.campaigns import add_destination, plan_of
from vmstate.cli.common_options import add_workers, not_negative, workers_of
from vmstate.cli.report import Report
from vmstate.cli.terminal import LINES_EVERY, SETTLED, Style, duration, is_quiet, note
from vmstate.dataclass import replace
from vmstate.errors import Finding, Severity
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.campaign import Campaign, Limits
from vmstate.fuzz.faults import Kind
from vmstate.fuzz.mutations import MUTATIONS
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.recipe import read_recipes
from vmstate.fuzz.regions import Regions
from vmstate.fuzz.summary import agreement_lines, agreements, coverage, coverage_lines, finding_lines
from vmstate.fuzz.tally import Found, Tally
from vmstate.fuzz.worker import Worker, run_batch
from vmstate.judge.disagreements import read_disagreements

_RUNS = 1000


EXAMPLES = (
    ("only read: structure and descriptions", "vmstate fuzz guest.mig --runs 50"),
    (
        "a simulated destination",
        "vmstate fuzz guest.mig --runs 100 --on 'qemu-7.2 -nodefaults -machine pseries-7.2 -m 256'",
    ),
    ("your own device", "vmstate fuzz --device ring.py --runs 500 -o found"),
    ("which mutations there are", "vmstate fuzz --list"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "To test the robustness of your own QEMU, or of a device that you are writing; see docs/fuzzing.md."
    )
    parser.add_argument("streams", nargs="*", metavar="STREAM", help="streams to change")
    add_destination(parser)
    parser.add_argument("--whole", action="store_true", help="keep all guest memory in the streams")
    parser.add_argument("--runs", type=not_negative, metavar="N", help=f"streams in all (default: {_RUNS})")
    parser.add_argument("--seconds", type=float, metavar="S", help="end the campaign after S seconds")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="X", help="seed of the first stream (default: 0)"
    )
    add_workers(parser, 1)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KIND|MUTATION",
        help="use only these mutations (may be repeated)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help="keep the campaign there; the same command continues it"
    )
    parser.add_argument(
        "--recipe",
        metavar="FILE",
        help='run the recipes of this file instead, one a line; "-" is the standard input',
    )
    parser.add_argument(
        "--known", metavar="FILE", help="known disagreements with their reasons (a TOML file)"
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=1000,
        metavar="N",
        help="show and verify one stream in N (default: 1000)",
    )
    parser.add_argument("--list", action="store_true", help="list the mutations and exit")


def run(options: argparse.Namespace) -> Report:
    """List mutations, run recipes, or run a campaign."""
    if options.list:
        return _listed()
    plan = plan_of(options, [Base.read(path, whole=options.whole) for path in options.streams])
    plan = replace(plan, only=tuple(options.only), seed=options.seed, sample=options.sample)
    plan.mutations()
    if options.recipe is not None:
        return _recipes(options, plan)
    runs = options.runs
    if runs is None and options.seconds is None:
        runs = _RUNS
    known = tuple(read_disagreements(options.known)) if options.known else ()
    meter = _Meter(runs)
    folder = None if options.output is None else Path(options.output)
    campaign = Campaign(plan, Limits(runs, options.seconds), folder, known, meter.show)
    with workers_of(options).pool(run_batch.__module__) as pool:
        tally = campaign.run(pool.executor, pool.workers)
    meter.clear()
    return _report(options, plan, tally, interrupted=campaign.interrupted)


def _listed() -> Report:
    width = max(map(len, MUTATIONS))
    known = sorted(MUTATIONS.values(), key=lambda mutation: (mutation.kind, mutation.name))
    return Report(
        (f"{one.kind:12} {one.name:<{width}}  {one.about}" for one in known),
        {"mutations": [{"name": one.name, "kind": one.kind, "about": one.about} for one in known]},
    )


class _Meter:
    """The progress on the standard error: rate, findings, time left, and each new finding."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic() + LINES_EVERY
        self._start: float | None = None
        self._before = 0

    def show(self, tally: Tally, new: list[Found]) -> None:
        """Show the progress."""
        if self._start is None:
            self._start, self._before = time.monotonic(), tally.runs
        for found in new:
            if found.known is None:
                self.clear()
                note(f"new {found.kind}: {found.target}: {found.signature}")
        now = time.monotonic()
        if is_quiet() or (not self._terminal and now < self._next):
            return
        self._next = now + LINES_EVERY
        seconds = now - self._start
        rate = f"{(tally.runs - self._before) / seconds:,.0f}/s" if seconds > 0.5 else ""
        of = f" of {self._total:,}" if self._total else ""
        line = f"{tally.runs:,}{of} streams {rate}, {len(tally.found)} findings, {len(tally.fields)} places"
        done = tally.runs - self._before
        if self._total and done and seconds > SETTLED:
            line += f", {duration(seconds * max(0, self._total - tally.runs) / done)} left"
        if self._terminal:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Clear the line."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _recipes(options: argparse.Namespace, plan: Plan) -> Report:
    recipes = read_recipes(options.recipe)
    results = []
    lines: list[str] = []
    worker = Worker(plan)
    fine = True
    try:
        for recipe in recipes:
            runs, found = worker.runs(recipe), worker.findings(recipe)
            fine = fine and not found
            lines += [f"{step}" for step in recipe.steps]
            for one in runs:
                lines += one.lines()
            lines += [f"{one.kind}: {one.signature}" for one in found]
            results.append(
                {
                    "recipe": recipe.as_json(),
                    "answers": {one.target: one.as_json() for one in runs},
                    "findings": [one.as_json() for one in found],
                }
            )
    finally:
        worker.close()
    return Report(lines, {"recipes": results}, ok=fine)


def _report(options: argparse.Namespace, plan: Plan, tally: Tally, *, interrupted: bool) -> Report:
    places = _places(plan)
    serious = [found for found in tally.found.values() if found.known is None and found.kind != Kind.LINES]
    result = lambda: {  # noqa: E731 - computed only for --json
        **tally.as_json(),
        "interrupted": interrupted,
        "found": [
            {**found.as_json(), "count": tally.signatures[found.key]} for found in tally.found.values()
        ],
        "agreement": {row.what: row.as_json() for row in agreements(tally)},
        "agreement_by_mutation": {row.what: row.as_json() for row in agreements(tally, "name")},
        "coverage": coverage(tally, places),
    }
    findings: tuple[Finding, ...] = ()
    if interrupted and options.output is not None:
        again = f"interrupted; the same command continues from {options.output}"
        findings = (Finding("fuzz.interrupted", Severity.INFO, again),)
    return Report(_lines(tally, places), result, findings, ok=not serious)


def _places(plan: Plan) -> set[str]:
    return set().union(*(Regions(Anatomy(base.data(), base.name)).all for base in plan.bases))


def _lines(tally: Tally, places: set[str]) -> Iterator[str]:
    style = Style.of(sys.stdout)
    rate = tally.runs / tally.seconds if tally.seconds else 0.0
    yield f"{tally.runs:,} streams, {rate:,.0f} a second per process; peak {tally.peak >> 20} MiB"
    for outcome, count in tally.outcomes.most_common():
        yield f"{count:9}  {outcome}"
    yield ""
    yield style.paint("bold", f"findings by signature: {len(tally.found)}")
    yield from finding_lines(tally)
    rows = list(agreement_lines(tally))
    if rows:
        yield ""
        yield style.paint("bold", "agreement of real and simulated")
        yield from rows
    yield ""
    yield style.paint("bold", "coverage")
    yield from coverage_lines(tally, places)
