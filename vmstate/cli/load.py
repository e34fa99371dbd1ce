"""``vmstate load``: load a stream in a simulated destination."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from vmstate.cli.migrate import batch_lines, batch_report
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with, catalogue_of, command_line
from vmstate.containers import open_input
from vmstate.errors import ConfigurationError
from vmstate.front.verdict_text import explanation_lines, verdict_lines
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate import batch
from vmstate.simulate.migration import load


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
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
        help='load many: one {"stream": PATH, "destination": …} a line; "-" is the standard input',
    )


def run(options: argparse.Namespace) -> Report:
    """Judge one stream, or each line of a batch file."""
    if options.batch is not None:
        return batch_report(batch.loads(batch_lines(options.batch), catalogue_of(options)))
    if options.stream is None or options.on is None:
        raise ConfigurationError("a stream and --on 'COMMAND LINE' are required (or --batch FILE)")
    on_record = _record(options.on)
    if on_record is not None:
        return _on_record(options, *on_record)
    with open_input(options.stream) as opened:
        verdict = load(opened.data, command_line(options.on, options), trace=options.trace)
        findings = tuple(opened.findings)
    return Report(
        lines=_lines(verdict, options),
        result=lambda: _result(verdict, options),
        findings=findings,
        ok=verdict.outcome == Outcome.ACCEPT,
    )


def _record(text: str) -> tuple[str, str | None] | None:
    """Return the folder of a record and the machine type, if that is what ``--on`` names."""
    from vmstate.records import is_record

    if is_record(text):
        return text, None
    folder, colon, machine = text.rpartition(":")
    return (folder, machine) if colon and is_record(folder) else None


def _on_record(options: argparse.Namespace, folder: str, machine: str | None) -> Report:
    """Judge a stream by a record: what it sends, and no hooks."""
    from vmstate.front.opening import open_stream_file
    from vmstate.records import judge, read_record

    with open_stream_file(options.stream, whole=False) as opened:
        judgement = judge(opened.stream, read_record(folder), machine)
        findings = (*opened.findings, *judgement.findings)
    verdict = judgement.verdict
    return Report(
        lines=_record_lines(verdict, options),
        result=lambda: {"machine": judgement.machine, "hooks": "not run", **_result(verdict, options)},
        findings=findings,
        ok=verdict.outcome == Outcome.ACCEPT,
        unusable=verdict.outcome == Outcome.NOT_MODELLED,
    )


def _record_lines(verdict: Verdict, options: argparse.Namespace) -> Iterator[str]:
    first, *rest = _lines(verdict, options)
    yield "not refused by anything that was compared" if verdict.outcome == Outcome.ACCEPT else first
    yield from rest


def _lines(verdict: Verdict, options: argparse.Namespace) -> Iterator[str]:
    yield from verdict_lines(verdict, Style.of(sys.stdout).paint, trace=options.trace)
    if options.explain:
        yield from explanation_lines(verdict)


def _result(verdict: Verdict, options: argparse.Namespace) -> dict[str, object]:
    answer = verdict.as_json()
    if options.trace:
        answer["trace"] = [check.as_json() for check in verdict.trace]
    return answer
