"""``vmstate explain``: explain a line of QEMU, or why a migration is refused and what would help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with, command_line
from vmstate.front.verdict_text import explanation_lines, remedy_lines, verdict_lines
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.explanations import Explanation, explain_line
from vmstate.simulate.migration import migrate
from vmstate.simulate.remedies import Remedy, remedies


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "what", help="a line of QEMU's stderr; or, with DESTINATION, the source's command line"
    )
    parser.add_argument("destination", nargs="?", help="the destination's command line")
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """Explain a line, or a migration."""
    if options.destination is None:
        found = explain_line(options.what)
        return Report(
            lines=_explanations(found), result={"explanations": [e.as_json() for e in found]}, ok=bool(found)
        )
    sides = command_line(options.what, options), command_line(options.destination, options)
    verdict = migrate(*sides, trace=True)
    accepted = verdict.outcome == Outcome.ACCEPT
    found_remedies = [] if accepted else remedies(*sides)
    return Report(
        lines=_lines(verdict, found_remedies),
        result={**verdict.as_json(), "remedies": [r.as_json() for r in found_remedies]},
        ok=accepted,
    )


def _explanations(found: Sequence[Explanation]) -> Iterator[str]:
    if not found:
        yield "no known release prints this line"
    for explanation in found:
        yield f"{explanation.rule}: {explanation.meaning}"
        yield f"  printed by {explanation.place}, {explanation.releases()}"
        yield f"  {explanation.advice}"


def _lines(verdict: Verdict, found: Sequence[Remedy]) -> Iterator[str]:
    yield from verdict_lines(verdict, Style.of(sys.stdout).paint)
    yield from explanation_lines(verdict)
    if verdict.outcome != Outcome.ACCEPT:
        yield from remedy_lines(found)
