"""``--expect`` and ``--junit``: expectations in commands, and the words for how they were met."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vmstate.expectations import WORDS, Ended, Expectation, read
from vmstate.front.paint import Paint, plain
from vmstate.outputs import save
from vmstate.savevm.verdict import Verdict

if TYPE_CHECKING:
    from vmstate.junit import Case


def add_expect(parser: argparse.ArgumentParser, of: str) -> None:
    """Declare the options; ``of`` says of what something is expected."""
    parser.add_argument(
        "--expect",
        metavar="WORD[: TEXT]",
        help=f"what should come of {of}: {', '.join(WORDS)}; with a part of a line that must be printed: "
        "'reject: cap-htm higher level'; @FILE: from a file.  The exit status then says whether it did "
        "(docs/expectations.md)",
    )


def add_junit(parser: argparse.ArgumentParser, of: str) -> None:
    """Declare the option; ``of`` names the results."""
    parser.add_argument("--junit", metavar="OUT.xml", help=f"also write {of} as JUnit XML")


def given(options: argparse.Namespace) -> Expectation | None:
    """Return the expectation of the options.  Raises ConfigurationError, OSError."""
    text: str | None = options.expect
    if text is None:
        return None
    return read(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)


def unexpected(expectation: Expectation | None, verdict: Verdict) -> list[str]:
    """Return what is not as expected; nothing without an expectation."""
    return [] if expectation is None else list(expectation.differences(Ended.of(verdict)))


def expectation_lines(
    expectation: Expectation | None, differences: Sequence[str] | None, paint: Paint = plain
) -> Iterator[str]:
    """Yield whether it came as expected, and the differences; nothing without an expectation."""
    if expectation is None:
        return
    if differences:
        yield paint("red", "NOT as expected")
        yield from (f"  {one}" for one in differences)
    else:
        yield paint("green", f"as expected: {expectation}")


def write_batch_junit(path: str, suite: str, answers: Sequence[dict[str, object]]) -> None:
    """Write the answers of a batch; one that is not as expected is a failure."""
    from vmstate.junit import Suite, junit

    cases = tuple(_case(number, answer) for number, answer in enumerate(answers, 1))
    save(path, [junit([Suite(suite, cases)])])


def _case(number: int, answer: dict[str, object]) -> Case:
    from vmstate.junit import Case, Failure

    lines: list[str] = [str(answer.get("outcome", "no verdict"))]
    for key in ("source_messages", "messages"):
        said = answer.get(key, ())
        lines += [f"  {line}" for line in (said if isinstance(said, list) else ())]
    output = "\n".join(lines)
    wrong = answer.get("unexpected", ())
    failures = tuple(
        Failure("not as expected", str(one), output) for one in (wrong if isinstance(wrong, list) else ())
    )
    error = "" if answer.get("as_expected") else str(answer.get("error", ""))
    return Case(str(answer.get("name", f"row {number}")), failures, error, output=output)
