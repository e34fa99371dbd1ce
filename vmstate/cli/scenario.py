"""``vmstate scenario``: run the scenarios of the package, or your own, and show or write their pages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, progress
from vmstate.errors import ConfigurationError
from vmstate.outputs import save_text
from vmstate.scenarios.files import read_scenario, scenario_file, shipped_scenarios
from vmstate.scenarios.judging import Judged, run_scenario
from vmstate.scenarios.model import Scenario
from vmstate.scenarios.page import render

Results = list[tuple[Scenario, list[Judged]]]


EXAMPLES = (
    ("all titles", "vmstate scenario --list"),
    ("run one, and print its page", "vmstate scenario a20-pvr-or-compat-mode --page"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a scenario of the package, or a .toml file (default: all of the package)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the scenarios and exit")
    what.add_argument("--page", action="store_true", help="print the pages of the scenarios (Markdown)")
    what.add_argument("--write", action="store_true", help="write each page next to its .toml file")


def run(options: argparse.Namespace) -> Report:
    """Run, list or render scenarios."""
    paths = [scenario_file(name) for name in options.names] or shipped_scenarios()
    if not paths:
        raise ConfigurationError("no scenarios found")
    scenarios = [(path, read_scenario(path)) for path in paths]
    if options.list:
        return _listed([scenario for _, scenario in scenarios])
    results: Results = []
    with progress("running", len(scenarios)) as tick:
        for number, (_, scenario) in enumerate(scenarios):
            results.append((scenario, run_scenario(scenario)))
            tick(number + 1)
    passed = all(one.passed for _, judged in results for one in judged)
    unjudged = any(one.found.not_modelled for _, judged in results for one in judged)
    if options.page:
        lines: Iterator[str] = (render(*result).rstrip("\n") for result in results)
    elif options.write:
        lines = _written([path for path, _ in scenarios], results)
    else:
        lines = _table(results, Style.of(sys.stdout))
    return Report(
        lines, lambda: {"scenarios": [_as_json(*result) for result in results]}, ok=passed, unusable=unjudged
    )


def _listed(scenarios: Sequence[Scenario]) -> Report:
    width = max(len(scenario.name) for scenario in scenarios)
    return Report(
        (f"{scenario.name:<{width}}  {scenario.title}" for scenario in scenarios),
        {"scenarios": [{"name": one.name, "title": one.title, "cases": len(one.cases)} for one in scenarios]},
    )


def _written(paths: Sequence[Path], results: Results) -> Iterator[str]:
    for path, result in zip(paths, results, strict=True):
        page = path.with_suffix(".md")
        text = render(*result)
        old = page.read_text(encoding="utf-8") if page.exists() else None
        save_text(page, text)
        yield f"{page}: {'unchanged' if old == text else 'written'}"


def _table(results: Results, style: Style) -> Iterator[str]:
    width = max(len("scenario"), *(len(scenario.name) for scenario, _ in results))
    yield f"{'scenario':<{width}}  cases  passed"
    for scenario, judged in results:
        passed = sum(one.passed for one in judged)
        line = f"{scenario.name:<{width}}  {len(judged):5}  {passed:6}"
        yield line if passed == len(judged) else style.paint("red", line)
    for scenario, judged in results:
        for one in judged:
            if not one.passed:
                yield ""
                yield style.paint("bold", f"{scenario.name}: {one.case.name}")
                yield from (f"  {text}" for text in one.case.command_lines)
                yield from (f"    {line}" for line in one.wrong)


def _as_json(scenario: Scenario, judged: Sequence[Judged]) -> dict[str, object]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "cases": [
            {
                "name": one.case.name,
                "command_lines": one.case.command_lines,
                "passed": one.passed,
                "outcome": one.found.ending,
                "source_messages": one.found.source_messages,
                "messages": one.found.messages,
                "wrong": one.wrong,
            }
            for one in judged
        ],
    }
