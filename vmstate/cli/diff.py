"""``vmstate diff``: compare two streams."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, progress
from vmstate.compare.difference import Difference
from vmstate.dataclass import replace
from vmstate.front.checks import diff
from vmstate.front.opening import open_stream_file
from vmstate.outputs import save_text
from vmstate.pages.diff_page import diff_page

EXAMPLES = (
    ("what differs, by section and field", "vmstate diff guest.mig other.mig"),
    ("leave out the clock", "vmstate diff guest.mig other.mig --ignore timer --ignore spapr.tb"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("left", metavar="A", help='a stream; "-" is the standard input')
    parser.add_argument("right", metavar="B", help="another")
    parser.add_argument(
        "--ignore",
        metavar="PATH",
        action="append",
        default=[],
        help="ignore this and everything inside: timer, ram, cpu.env.gpr, spapr/cap/* (* matches any text)",
    )
    parser.add_argument("--html", metavar="OUT.html", help="also write a page with the differences")
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Compare two streams; the status is 1 if they differ."""
    left, right = (open_stream_file(one, limit=options.limit) for one in (options.left, options.right))
    ram = left.stream.ram
    with progress("comparing", sum(block.length for block in ram.blocks) if ram else None) as tick:
        differences = diff(left, right, options.ignore, tick)
    if options.html is not None:
        save_text(options.html, diff_page(left, right, differences))
    findings = [
        replace(finding, message=f"{given.name}: {finding.message}")
        for given in (left, right)
        for finding in given.findings
    ]
    result = {"same": not differences, "differences": [one.as_json() for one in differences]}
    return Report(_lines(differences), result, findings, ok=not differences)


def _lines(differences: list[Difference]) -> Iterator[str]:
    style = Style.of(sys.stdout)
    for one in differences:
        path, sign, text = str(one).partition(": ")
        yield f"{style.paint('bold', path)}{sign}{text}"
