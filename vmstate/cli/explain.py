"""``vmstate explain``: explain lines of QEMU, a log, or why a migration is refused and what would help."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.errors import ConfigurationError
from vmstate.explain.known_bugs import KnownBug, known_bugs
from vmstate.explain.lines import Explained
from vmstate.explain.log import Log, explain_log

if TYPE_CHECKING:
    from vmstate.savevm.verdict import Verdict
    from vmstate.simulate.remedies import Remedy

#: A command line begins with a program, perhaps after its host: `p9-hv: qemu-7.2 -m 256`.
_COMMAND = re.compile(r"(?:[\w./+-]+: )?(?:\S*/)?(?:qemu|kvm)[^\s:]*(?:\s|$)")
_MOST_READ = 1 << 28  # bytes of a log
_MOST_TEXT = 400  # characters of a line that is shown


EXAMPLES = (
    ("a line of QEMU", "vmstate explain 'load of migration failed: Invalid argument'"),
    ("a log: what failed first leads", "vmstate explain < guest.log"),
    ("why a migration is refused", "vmstate explain 'qemu-7.2' 'qemu-7.2 -machine pseries-7.2,cap-vsx=off'"),
    ("known bugs about something", "vmstate explain --bugs virtio"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from vmstate.cli.with_option import add_with  # the simulator is imported only for a migration

    parser.add_argument(
        "what",
        nargs="*",
        metavar="LINE",
        help="a line of QEMU's stderr, or several, in their order; or two command lines: of a source and of "
        'a destination; without any, or with "-", the log is read from the standard input',
    )
    parser.add_argument(
        "--bugs", action="store_true", help="list the known bugs, or those that have all words"
    )
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """Explain lines, a log, or a migration."""
    what: list[str] = options.what
    if options.bugs:
        return _bugs(what)
    if len(what) == 2 and all(map(_COMMAND.match, what)):
        return _migration(what, options)
    log = explain_log(_read() if what in ([], ["-"]) else what)
    return Report(lines=_log_lines(log), result=lambda: _as_json(log), ok=log.lead is not None)


def _read() -> Iterable[str]:
    if sys.stdin.isatty():
        raise ConfigurationError(
            "a line of QEMU, two command lines, or a log on the standard input is needed"
        )
    stream = sys.stdin
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="replace")
    left = _MOST_READ
    while left > 0 and (line := stream.readline(min(left, 1 << 22))):
        left -= len(line)
        yield line


# ---- the known bugs


def _bugs(words: list[str]) -> Report:
    found = [bug for bug in known_bugs() if all(word.lower() in str(bug).lower() for word in words)]
    lines = (line for bug in found for line in bug.text())
    return Report(lines=lines, result={"known_bugs": [bug.as_json() for bug in found]}, ok=bool(found))


# ---- a log


def _log_lines(log: Log) -> Iterator[str]:
    if log.lead is None:
        yield "no known release prints this line" if log.unknown <= 1 else "no line is of a known release"
        return
    many = len(log.lines) > 1
    paint = Style.of(sys.stdout).paint
    if many or log.unknown:
        yield paint("bold", _cut(log.lead.text))
    yield from _explained_lines(log.lead, "  " if many or log.unknown else "")
    yield from _bug_lines(log.bugs)
    consequences = log.consequences()
    if consequences:
        yield "what followed from it:"
        yield from (f"  {_cut(one.text)}  ({one.known[0].explanation.rule})" for one in consequences)
    others = log.others()
    if others:
        yield "other lines:"
        yield from (f"  {_cut(one.text)}  ({one.known[0].explanation.rule})" for one in others)
    if log.left_out:
        yield f"{log.left_out} more known lines are not shown"
    if log.unknown:
        yield f"{log.unknown} {'lines are' if log.unknown > 1 else 'line is'} not of a known release"


def _explained_lines(line: Explained, indent: str) -> Iterator[str]:
    for known in line.known:
        one = known.explanation
        yield f"{indent}{one.rule}: {one.meaning}"
        yield from (f"{indent}  {fact}" for fact in known.carries())
        yield f"{indent}  printed by {one.place}, {one.releases()}"
        yield f"{indent}  {one.advice}"
        if one.look_at:
            yield f"{indent}  look at: {one.look_at}"


def _bug_lines(bugs: Iterable[KnownBug]) -> Iterator[str]:
    for at, bug in enumerate(bugs):
        if at == 0:
            yield "known bugs with such a line:"
        yield from (f"  {line}" for line in bug.text())


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _as_json(log: Log) -> dict[str, object]:
    """Return the log as JSON; ``explanations`` are those of the line that leads."""
    lead = log.lead
    return {
        "explanations": [] if lead is None else [known.explanation.as_json() for known in lead.known],
        "carries": [] if lead is None else [fact for known in lead.known for fact in known.carries()],
        "lead": None if lead is None else lead.text,
        "lines": [
            {
                "line": one.text,
                "role": str(one.role),
                "rules": [known.explanation.rule for known in one.known],
                "carries": [fact for known in one.known for fact in known.carries()],
            }
            for one in log.lines
        ],
        "known_bugs": [bug.as_json() for bug in log.bugs],
        "unknown_lines": log.unknown,
    }


# ---- a migration


def _migration(what: list[str], options: argparse.Namespace) -> Report:
    from vmstate.cli.with_option import command_line
    from vmstate.savevm.verdict import Outcome
    from vmstate.simulate.migration import migrate
    from vmstate.simulate.remedies import remedies

    source, destination = (command_line(text, options) for text in what)
    verdict = migrate(source, destination, trace=True)
    accepted = verdict.outcome == Outcome.ACCEPT
    found = [] if accepted else remedies(source, destination, verdict=verdict)
    return Report(
        lines=_migration_lines(verdict, found),
        result={**verdict.as_json(), "remedies": [remedy.as_json() for remedy in found]},
        ok=accepted,
    )


def _migration_lines(verdict: Verdict, found: list[Remedy]) -> Iterator[str]:
    from vmstate.front.verdict_text import explanation_lines, remedy_lines, verdict_lines
    from vmstate.savevm.verdict import Outcome

    yield from verdict_lines(verdict, Style.of(sys.stdout).paint)
    yield from explanation_lines(verdict)
    if verdict.outcome != Outcome.ACCEPT:
        yield from remedy_lines(found)
