"""``vmstate load``: load a stream in a simulated destination."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from vmstate.cli.common_options import add_limit, add_workers
from vmstate.cli.expecting import add_expect, add_junit, expectation_lines, given, unexpected
from vmstate.cli.given_record import given_record
from vmstate.cli.not_judged import not_judged
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with, command_line
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.expectations import Expectation, beside
from vmstate.front.verdict_text import explanation_lines, verdict_lines
from vmstate.savevm.verdict import Outcome, Verdict, cannot_judge
from vmstate.simulate.migration import load
from vmstate.stream.opening import open_source

EXAMPLES = (
    (
        "would this destination accept it",
        "vmstate load guest.mig --on 'qemu-7.2 -nodefaults -machine pseries-7.2 -m 256'",
    ),
    (
        "and if not, which check decided",
        "vmstate load guest.mig --explain --trace --on 'qemu-7.2 -nodefaults -machine pseries-7.2 -m 256'",
    ),
    ("a question of a test", "vmstate load guest.mig --on 'qemu-7.2 -m 512' --expect reject"),
    ("many", "vmstate load --batch rows.jsonl"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = "%(prog)s [OPTION …] --on COMMAND STREAM\n%(prog)s [OPTION …] --batch FILE"
    parser.add_argument("stream", nargs="?", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "--on",
        metavar="COMMAND",
        help="the destination, e.g. 'qemu-7.2 -nodefaults -machine pseries-7.2 -m 256'; or the folder of a "
        "record, DIR or DIR:TYPE, for a machine of any kind (no hooks are run)",
    )
    add_with(parser)
    parser.add_argument("--trace", action="store_true", help="show every check that ran, in order")
    parser.add_argument("--explain", action="store_true", help="explain the lines that QEMU would print")
    parser.add_argument(
        "--batch",
        metavar="FILE",
        help='load many: one {"stream": PATH, "destination": …, "expect": …} a line; "-" is the standard '
        "input",
    )
    add_limit(parser)
    add_workers(parser, 1)
    add_expect(parser, "the load, or of each row of a batch that does not say it")
    add_junit(parser, "the results of --batch")


def run(options: argparse.Namespace) -> Report:
    """Judge one stream, or each line of a batch file."""
    expectation = given(options)
    if options.batch is not None:
        from vmstate.cli.batches import judge_batch

        return judge_batch(options, "load")
    if options.stream is None or options.on is None:
        raise ConfigurationError("a stream and --on 'COMMAND LINE' are required (or --batch FILE)")
    if expectation is None and options.stream != "-":
        expectation = beside(Path(options.stream))
    on_record = given_record(options.on)
    if on_record is not None:
        return _on_record(options, *on_record, expectation)
    unknown: list[NotModelled] = []
    with open_source(options.stream, limit=options.limit) as opened:
        destination = command_line(options.on, options)
        try:
            verdict = load(opened.data, destination, trace=options.trace)
        except NotModelled as reason:
            unknown.append(reason)
            verdict = cannot_judge(reason)
        findings = tuple(opened.findings)
    lines = _lines(verdict, options, expectation)
    wrong = unexpected(expectation, verdict)
    if unknown and (expectation is None or wrong):
        return not_judged(unknown, lines, _result(verdict, options, expectation))
    accepted = verdict.outcome == Outcome.ACCEPT
    return Report(
        lines=lines,
        result=lambda: _result(verdict, options, expectation),
        findings=findings,
        ok=accepted if expectation is None else not wrong,
    )


def _on_record(
    options: argparse.Namespace, folder: str, machine: str | None, expectation: Expectation | None
) -> Report:
    """Judge a stream by a record: what it sends, and no hooks."""
    from vmstate.front.opening import open_stream_file
    from vmstate.records import judge, read_record

    with open_stream_file(options.stream, whole=False) as opened:
        judgement = judge(opened.stream, read_record(folder), machine)
        findings = (*opened.findings, *judgement.findings)
    verdict = judgement.verdict
    wrong = unexpected(expectation, verdict)
    about = {"machine": judgement.machine, "hooks": "not run"}
    return Report(
        lines=_record_lines(verdict, options, expectation),
        result=lambda: {**about, **_result(verdict, options, expectation)},
        findings=findings,
        ok=verdict.outcome == Outcome.ACCEPT if expectation is None else not wrong,
        unusable=verdict.outcome == Outcome.NOT_MODELLED and (expectation is None or bool(wrong)),
    )


def _record_lines(
    verdict: Verdict, options: argparse.Namespace, expectation: Expectation | None
) -> Iterator[str]:
    first, *rest = _lines(verdict, options, expectation)
    yield "not refused by anything that was compared" if verdict.outcome == Outcome.ACCEPT else first
    yield from rest


def _lines(verdict: Verdict, options: argparse.Namespace, expectation: Expectation | None) -> Iterator[str]:
    paint = Style.of(sys.stdout).paint
    yield from verdict_lines(verdict, paint, trace=options.trace)
    if options.explain:
        yield from explanation_lines(verdict)
    yield from expectation_lines(expectation, unexpected(expectation, verdict), paint)


def _result(
    verdict: Verdict, options: argparse.Namespace, expectation: Expectation | None
) -> dict[str, object]:
    from vmstate.simulate.batch import compared

    answer = {**verdict.as_json(), **compared(verdict, expectation)}
    if options.trace:
        answer["trace"] = [check.as_json() for check in verdict.trace]
    return answer
