"""Options that ``compare``, ``lint`` and ``bump`` share: policy, baseline, and files for other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from vmstate.cli.issue_text import as_json, github_lines, junit, sarif, summary, text_lines
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.compatibility import Issue, Judged, Policy, judged, read_policy
from vmstate.compatibility.policy import baseline_text, read_baseline
from vmstate.errors import ConfigurationError
from vmstate.outputs import save, save_text


def add_issue_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "exit status: 0 no issue of severity error, or each one is allowed or in the baseline; 1 there are "
        "such issues; 2 a side cannot be read"
    )
    parser.add_argument("--policy", metavar="FILE.toml", help="severities and allowances (docs/compare.md)")
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="fail only on issues that this file of --write-baseline does not have",
    )
    parser.add_argument("--write-baseline", metavar="FILE", help="write the issues of this run as a baseline")
    parser.add_argument(
        "--today", metavar="DATE", help="judge allowances as on this day (2027-06-30; default: today)"
    )
    parser.add_argument("--all", action="store_true", help="also show notes, allowed and known issues")
    parser.add_argument("--junit", metavar="OUT.xml", help="also write JUnit XML")
    parser.add_argument("--sarif", metavar="OUT.sarif", help="also write SARIF 2.1.0")
    parser.add_argument("--github", action="store_true", help="write workflow commands that GitHub annotates")


def weighed(issues: Sequence[Issue], options: argparse.Namespace) -> Judged:
    """Judge issues by the options.  Raises ConfigurationError, OSError for their files."""
    policy = read_policy(options.policy) if options.policy else Policy()
    baseline = read_baseline(options.baseline) if options.baseline else frozenset()
    try:
        today = date.fromisoformat(options.today) if options.today else datetime.now().astimezone().date()
    except ValueError:
        raise ConfigurationError(f"--today: {options.today!r} is not a date such as 2027-06-30") from None
    if options.write_baseline:
        save_text(options.write_baseline, baseline_text(issues))
    return judged(issues, policy, today, baseline)


def report_of(
    result: Judged,
    options: argparse.Namespace,
    head: Sequence[str],
    artifact: str,
    more: dict[str, object],
    shown: Judged | None = None,
) -> Report:
    """Return the report of judged issues.

    ``head``: the first lines; ``more``: members of the JSON result; ``shown``: issues for people, if fewer.
    """
    if options.junit:
        save(options.junit, [junit(artifact, result)])
    if options.sarif:
        save_text(options.sarif, sarif(result, artifact))
    lines = github_lines(result.weighed) if options.github else _lines(result, options, head, shown or result)
    return Report(lines, {**more, "issues": as_json(result)}, ok=not result.fails)


def _lines(result: Judged, options: argparse.Namespace, head: Sequence[str], shown: Judged) -> Iterator[str]:
    style = Style.of(sys.stdout)
    yield from head
    yield from text_lines(shown, style, everything=options.all)
    yield summary(result)
