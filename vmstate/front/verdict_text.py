"""Verdicts as text: outcome, lines, the check that decided, the trace, the remedies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vmstate.front.paint import Paint, plain
from vmstate.savevm.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from vmstate.simulate.remedies import Remedy

_OUTCOMES = {
    Outcome.ACCEPT: "accepted",
    Outcome.REJECT: "rejected",
    Outcome.STALLED: "loaded, but the destination waits for ever",
    Outcome.SOURCE_REFUSED: "the source does not start",
    Outcome.DESTINATION_REFUSED: "the destination does not start",
    Outcome.NOT_MODELLED: "cannot judge",
}


def verdict_lines(verdict: Verdict, paint: Paint = plain, *, trace: bool = False) -> Iterator[str]:
    """Yield the outcome, the messages of each side, the deciding check and, with ``trace``, all checks."""
    yield paint("green" if verdict.outcome == Outcome.ACCEPT else "red", _OUTCOMES[verdict.outcome])
    for answer in verdict.answers:
        yield f"  {answer.event}: {answer.refusal or 'done'}"
    for title, messages in (("source", verdict.source_messages), ("destination", verdict.messages)):
        for message in messages:
            yield f"  {title}: {message}"
    if verdict.decided_by is not None:
        yield f"  decided by {check_line(verdict.decided_by)}"
    yield from _bug_lines(verdict.known_bugs)
    if trace:
        yield from (f"    {'ok ' if check.passed else 'NO '} {check_line(check)}" for check in verdict.trace)


def _bug_lines(ids: Sequence[str]) -> Iterator[str]:
    if ids:
        from vmstate.explain.known_bugs import known_bugs

        for bug in known_bugs():
            if bug.id in ids:
                yield f"  known bug {bug.id}: {bug.title}"
                fix = f"fixed in {bug.fixed_in}" if bug.fixed_in else bug.workaround.rstrip(".")
                yield f"    {bug.releases()}; {fix}; {bug.sources[0]}"


def check_line(check: Check) -> str:
    """Return one check as a line: rule, place, both values."""
    where = check.section or ""
    if check.instance is not None and where:
        where += f"[{check.instance:#x}]" if check.instance > 9 else f"[{check.instance}]"
    if check.path:
        where += f".{check.path}"
    at = f" at offset {check.offset:#x}" if check.offset is not None else ""
    compared = ""
    if check.incoming is not None or check.local is not None:
        compared = f": incoming {check.incoming}, here {check.local}"
    message = f" — {check.message}" if check.message else ""
    return f"{check.rule} {where}{at}{compared}{message}".strip()


def explanation_lines(verdict: Verdict) -> Iterator[str]:
    """Yield the meaning of each line, once for each kind of line."""
    from vmstate.explain.lines import explained_line

    seen: set[str] = set()
    for message in (*verdict.source_messages, *verdict.messages):
        for known in explained_line(message)[:1]:
            explanation = known.explanation
            if explanation.rule not in seen:
                seen.add(explanation.rule)
                yield f"  {message}"
                yield f"      {explanation.meaning}"
                yield from (f"      {fact}" for fact in known.carries())
                yield f"      printed by {explanation.place}, {explanation.releases()}"
                yield f"      {explanation.advice}"


def remedy_lines(found: Sequence[Remedy]) -> Iterator[str]:
    """Yield the remedies, the destination's first, smallest first; each was tried in a simulated run."""
    yield "changes that would make it work, each by itself:" if found else "no single change helps"
    for remedy in found:
        number = len(remedy.warnings)
        warned = f" (with {number} warning{'s' if number > 1 else ''})" if number else ""
        when = "after a restart of the guest, " if remedy.restart else ""
        yield f"  {when}on the {remedy.side}: {remedy.change}{warned}"
