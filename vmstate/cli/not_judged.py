"""The report where something is not modelled: "cannot judge", the lines that were printed before, why."""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.cli.report import Report
from vmstate.errors import Finding, NotModelled, Severity
from vmstate.front.verdict_text import verdict_lines
from vmstate.savevm.verdict import cannot_judge


def report_of(unknown: NotModelled) -> Report:
    """Return the report of a command that judges nothing else."""
    verdict = cannot_judge(unknown)
    return not_judged([unknown], verdict_lines(verdict), verdict)


def not_judged(reasons: Iterable[NotModelled], lines: Iterable[str], result: object) -> Report:
    """Return the report with all ``reasons``; the exit status is 2."""
    findings = tuple(
        Finding("error.notmodelled", Severity.ERROR, str(reason.args[0]), reason.place) for reason in reasons
    )
    return Report(lines, result, findings, unusable=True)
