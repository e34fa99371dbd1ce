"""The report of a command: lines for people, or JSON for programs, and an exit status."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, TextIO

from vmstate.cli.terminal import Style, visible
from vmstate.dataclass import dataclass, field, replace
from vmstate.errors import Finding, NotModelled, Severity, StreamError, VmstateError, finding_of


class Status(IntEnum):
    """Exit statuses; part of the public contract."""

    FINE = 0
    FINDINGS = 1
    UNUSABLE = 2
    BUG = 3
    INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass
class Report:
    """The result of a command.

    ``lines`` are for people, and may be a generator; ``result`` is for programs: a value, or a function
    that returns it (called only for ``--json``).  ``ok`` is False for a reject; None means that the findings
    decide.  ``unusable``: there was no usable input.  ``output_taken``: a stream was written to the standard
    output, so the report goes to the standard error.  ``interrupted``: the result is incomplete.
    """

    lines: Iterable[str] = ()
    result: object | Callable[[], object] = None
    findings: Sequence[Finding] = field(default_factory=tuple)
    ok: bool | None = None
    unusable: bool = False
    output_taken: bool = False
    interrupted: bool = False

    @property
    def fine(self) -> bool:
        """True if there is no reject, no error and no warning."""
        if self.ok is not None:
            return self.ok and not self.unusable
        return not self.unusable and all(f.severity == Severity.INFO for f in self.findings)

    @property
    def status(self) -> Status:
        """The exit status."""
        if self.unusable:
            return Status.UNUSABLE
        if self.interrupted:
            return Status.INTERRUPTED
        return Status.FINE if self.fine else Status.FINDINGS


def failure(error: Exception) -> Report:
    """Return the report of a command that failed for lack of usable input."""
    rule = f"error.{type(error).__name__.lower()}"
    if isinstance(error, NotModelled):
        from vmstate.cli.not_judged import report_of  # imports the simulator, which few commands need

        return report_of(error)
    if isinstance(error, StreamError):
        finding = finding_of(error, rule)
    elif isinstance(error, OSError) and error.filename is not None:
        finding = Finding("error.file", Severity.ERROR, f"{error.filename}: {error.strerror}")
    else:
        finding = Finding(rule, Severity.ERROR, str(error))
    source = error.source if isinstance(error, VmstateError) else ""
    if source and not _names(finding.message, source):
        finding = replace(finding, message=f"{source}: {finding.message}")
    return Report(findings=(finding,), unusable=True)


def _names(message: str, source: str) -> bool:
    """Return True if a message says which file it is about; a file may be called like a word in it."""
    if message.startswith(source):
        return True
    return not source.isalnum() and bool(re.search(rf"(?<!\w){re.escape(source)}(?!\w)", message))


def print_report(command: str, report: Report, *, as_json: bool, quiet: bool = False) -> None:
    """Write the report to the standard output; errors of unusable input go to the standard error.

    ``quiet``: print no lines, and only warnings and errors of the findings; JSON has everything.
    """
    out = sys.stderr if report.output_taken else sys.stdout
    if as_json:
        _print_json(command, report, out)
        return
    coloured = Style.of(out).coloured
    for line in report.lines:  # also where they are not printed: some reports are made by their lines
        if not quiet:
            print(visible(line, coloured=coloured), file=out)
    if report.unusable:
        sys.stdout.flush()
        out = sys.stderr
    style = Style.of(out)
    for finding in report.findings:
        if not quiet or finding.severity != Severity.INFO:
            print(visible(style.finding(finding), coloured=style.coloured), file=out)


def _print_json(command: str, report: Report, out: TextIO) -> None:
    answer = {
        "command": command,
        "ok": report.fine,
        "findings": [finding.as_json() for finding in report.findings],
        "result": report.result() if callable(report.result) else report.result,
    }
    if out.isatty():
        json.dump(answer, out, default=jsonable, indent=2)  # in ASCII: a terminal obeys U+007F to U+009F
    else:
        out.writelines(_json_pieces(answer, json.JSONEncoder(default=jsonable, ensure_ascii=False)))
    print(file=out)


def _json_pieces(value: object, encoder: json.JSONEncoder) -> Iterator[str]:
    """Yield the JSON of a value; an iterator in it is an array whose elements are encoded one by one.

    What has no iterator is encoded at once, in C; ``json.dump`` would encode all of it in Python.
    """
    if isinstance(value, Iterator):
        yield "["
        for number, element in enumerate(value):
            yield f"{', ' if number else ''}{encoder.encode(element)}"
        yield "]"
    elif isinstance(value, dict) and any(map(_is_iterated, value.values())):
        yield "{"
        for number, (key, inner) in enumerate(value.items()):
            yield f"{', ' if number else ''}{encoder.encode(str(key))}: "
            yield from _json_pieces(inner, encoder)
        yield "}"
    else:
        yield encoder.encode(value)


def _is_iterated(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_is_iterated, value.values()))
    return isinstance(value, Iterator)


def jsonable(value: Any) -> object:
    """Convert a value that JSON lacks: one with ``as_json``, a dataclass, set, bytes (hex), numpy value."""
    from dataclasses import fields, is_dataclass  # costs more than most commands need of it

    if hasattr(value, "as_json"):
        return value.as_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"cannot convert {type(value).__name__} to JSON")
