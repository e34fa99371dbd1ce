"""``vmstate lint``: declarations that are known to end in trouble."""

from __future__ import annotations

import argparse

from vmstate.cli.compare import SOURCE, described
from vmstate.cli.issue_options import add_issue_options, report_of, weighed
from vmstate.cli.report import Report
from vmstate.compatibility import lint
from vmstate.front.schemas import schema_of

EXAMPLES = (
    ("a release", "vmstate lint pseries@11.1"),
    ("a program", "vmstate lint build/qemu-system-ppc64"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
    add_issue_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Lint; the status is 1 if an issue of severity error is neither allowed nor known."""
    schema = schema_of(options.source)
    result = weighed(lint(schema), options)
    return report_of(result, options, [described(schema)], options.source, {"source": described(schema)})
