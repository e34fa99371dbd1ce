"""``--batch FILE``: many migrations or loads, one a line, judged by one process or many."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator

from vmstate.cli.common_options import workers_of
from vmstate.cli.expecting import given, write_batch_junit
from vmstate.cli.report import Report
from vmstate.cli.terminal import note
from vmstate.dataclass import dataclass
from vmstate.expectations import Expectation, Tally
from vmstate.proposals.files import extended
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.batch import Answer, Line, Loads, Migrations

_CHUNK = 25  # lines that a process takes at a time


@dataclass(frozen=True)
class _Question:
    """The facts that a process needs to judge lines; ``files``: more declarations, as for ``--with``."""

    loads: bool
    files: tuple[str, ...]
    default: Expectation | None


def _judge(question: _Question) -> Callable[[Line], Answer | None]:
    """Return the judge of lines.  Raises ConfigurationError, OSError."""
    catalogue = extended(question.files, shipped=not question.loads)
    return (Loads if question.loads else Migrations)(catalogue, question.default)


def judge_batch(options: argparse.Namespace, suite: str) -> Report:
    """Judge each line of the file that ``--batch`` names; ``suite``: migrate or load."""
    question = _Question(suite == "load", tuple(options.with_file), given(options))
    lines = enumerate(_lines(options.batch), 1)
    judged = workers_of(options).ordered(_judge, question, lines, _CHUNK)
    answers = (answer for some in judged for answer in some if answer is not None)
    return _report(answers, options.junit, suite)


def _lines(path: str) -> Iterable[str]:
    """Return the lines of a batch file, read lazily.  Raises OSError if it does not exist.

    Bytes that are not UTF-8 become escapes that JSON does not have, so such a line is answered by an error.
    """
    if path == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="backslashreplace")
        return sys.stdin
    return open(path, encoding="utf-8", errors="backslashreplace")  # noqa: PTH123 - read lazily, to its end


def _report(answers: Iterator[Answer], junit: str | None, suite: str) -> Report:
    """Report each answer as a line of JSON as soon as it is known.

    The exit status is 2 if a line was not judged, else 1 if one is not as expected, or not accepted where
    nothing is expected.  How many were is said on the standard error.  ``junit``: the file for the results as
    JUnit XML.
    """
    report = Report(ok=True)

    def noted() -> Iterator[Answer]:
        kept: list[Answer] = []
        tally = Tally()
        for answer in answers:
            met = answer.get("as_expected")
            report.unusable |= "error" in answer and met is not True
            report.ok = report.ok and (
                answer.get("outcome") == Outcome.ACCEPT if met is None else met is True
            )
            tally.count(None if met is None else () if met else ("",))
            if junit is not None:
                kept.append(answer)
            yield answer
        if tally.expected or tally.unexpected:
            note(f"{tally}")
        if junit is not None:
            write_batch_junit(junit, suite, kept)

    report.lines = (json.dumps(answer, ensure_ascii=False) for answer in noted())
    report.result = lambda: {"answers": list(noted())}
    return report
