"""``vmstate bump``: one page that says if a release may ship."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from vmstate.bump import Answer, Question, Side, bump, side_of
from vmstate.bump.answer import Stuck, span
from vmstate.bump.drafts import drafted
from vmstate.cli.common_options import at_least_one
from vmstate.cli.compare import described
from vmstate.cli.issue_options import add_issue_options, report_of, weighed
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, note, progress
from vmstate.compatibility import Judged
from vmstate.dataclass import replace
from vmstate.errors import ConfigurationError, Severity, quantity

EXAMPLES = (
    ("two builds", "vmstate bump --old old/qemu-system-ppc64 --new new/qemu-system-ppc64"),
    (
        "a release that is not built yet",
        "vmstate bump --old pseries@11.1 --draft release.py --machine pseries-11.1 --no-replays",
    ),
)


_MANY = 4  # machine types that take so long that it is said before


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--old",
        metavar="PROGRAM",
        required=True,
        help="the qemu-system program to bump from, its record, or pseries@7.2",
    )
    parser.add_argument("--new", metavar="PROGRAM", help="the program of the new release, or its record")
    parser.add_argument(
        "--draft", metavar="FILE.py", help="a release that is not built yet: its DECLARATIONS, or a Proposal"
    )
    for side in ("old", "new"):
        parser.add_argument(
            f"--{side}-schema",
            metavar="SOURCE",
            default="",
            help=f"where the descriptions of --{side} are, if not in the file",
        )
    parser.add_argument(
        "--machine", metavar="PATTERN", action="append", default=[],
        help="only machine types of this name (* matches any text; default: all with a version)",
    )  # fmt: skip
    parser.add_argument(
        "--chain", metavar="A,B", default="", help="releases on the way there and back, simulated"
    )
    parser.add_argument("--no-replays", action="store_true", help="do not run the programs' machines")
    parser.add_argument("--no-simulation", action="store_true", help="do not simulate pseries machines")
    parser.add_argument(
        "--jobs", type=at_least_one, default=2, metavar="N", help="replays at the same time (default: 2)"
    )
    add_issue_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Run all parts; the status is 1 if the release may not ship."""
    if (options.new is None) == (options.draft is None):
        raise ConfigurationError("give --new PROGRAM or --draft FILE.py, one of them")
    question = Question(
        tuple(options.machine),
        replays=not options.no_replays,
        simulate=not options.no_simulation,
        chain=tuple(filter(None, options.chain.split(","))),
        jobs=max(1, options.jobs),
    )
    old = side_of(options.old, options.old_schema)
    new = side_of(options.new, options.new_schema) if options.new else drafted(options.draft, old)
    common = [one for one in new.machines if one in set(old.machines) and question.wants(one)]
    if question.replays and len(common) > _MANY and (old.program or new.program):
        note(
            f"{len(common)} machine types to start and to migrate, {question.jobs} at a time: some seconds "
            "each; --machine chooses some, --no-replays only simulates"
        )
    with progress("working") as tick:
        answer = bump(old, new, question, lambda _what, done: tick(done))
    judged = weighed(answer.issues, options)
    head = list(_head(answer, judged, Style.of(sys.stdout)))
    shown = judged if options.all else _page(judged)
    artifact = options.new or options.draft
    report = report_of(judged, options, head, artifact, _members(answer, judged), shown)
    if not options.github:
        report.lines = [*report.lines, *_foot(answer)]
    return report


def _page(judged: Judged) -> Judged:
    """Return what the page shows: errors, and what came of running machines."""
    weighed = (
        one for one in judged.weighed if one.severity is Severity.ERROR or one.issue.rule.startswith("bump.")
    )
    return replace(judged, weighed=tuple(weighed))


def _head(answer: Answer, judged: Judged, style: Style) -> Iterator[str]:
    old, new = answer.sides
    errors = judged.count(Severity.ERROR)
    word = style.paint("red", "No") if errors else style.paint("green", "Yes")
    allowed = sum(one.allowed is not None and one.severity is Severity.ERROR for one in judged.weighed)
    more = f": {quantity(errors, 'error')}" if errors else ""
    more += f" ({allowed} more allowed)" if allowed else ""
    yield style.paint("bold", f"May {new.name} ship after {old.name}? ") + word + more
    yield f"  old: {described(old.schema)}"
    yield f"  new: {described(new.schema)}"
    yield f"  machine types in both: {len(answer.common)}: {span(list(answer.common)) or 'none'}"
    text = f"  descriptions: {len(answer.comparison.pairs)} sections compared"
    if answer.elsewhere:
        text += (
            f"; {quantity(len(answer.elsewhere), 'issue')} of devices that these machine types cannot have"
        )
    yield text
    yield from (f"  {line}" for line in (_replay_line(answer), *_simulation_lines(answer)) if line)


def _replay_line(answer: Answer) -> str:
    ran = [one for one in answer.replays if one.started and not one.by_record]
    judged = [one for one in answer.replays if one.by_record]
    by_record = (
        f"; by the record: {len(judged)}, {sum(j.accepted for j in judged)} not refused" if judged else ""
    )
    if not ran:
        return f"real replays: none{by_record}"
    accepted = sum(one.accepted for one in ran)
    back = [one for one in ran if len(one.way) > 2]
    text = f"real replays: {len(ran)}, {accepted} accepted"
    if back:
        text += f"; {len(back)} of them there and back, {sum(one.accepted for one in back)} accepted"
    counts = answer.predictions
    if counts:
        text += f"; the simulator agrees with {counts.get('agree', 0)}, differs in {counts.get('differ', 0)}"
        text += f", does not judge {counts['not judged']}" if "not judged" in counts else ""
    return text + by_record


def _simulation_lines(answer: Answer) -> Iterator[str]:
    found = answer.simulations
    if found is None:
        return
    unknown = sum(found.not_judged.values())
    yield (
        f"simulated: {found.pairs} pairs, {found.accepted} accepted, {len(found.failed)} rejected, "
        f"{found.not_started} that the old release does not start either, {unknown} not judged"
    )
    yield f"chains: {found.chains} simulated, {len(found.stuck)} guests stuck"


def _foot(answer: Answer) -> Iterator[str]:
    """Yield the guests that cannot leave, and what frees them."""
    if answer.stuck:
        yield ""
        yield "Guests that cannot leave, and what frees them (proved by a simulation):"
    for one in answer.stuck:
        yield from _stuck_lines(one)


def _stuck_lines(one: Stuck) -> Iterator[str]:
    example = one.example
    messages = [line for line in example.verdict.messages if not line.startswith("warning: ")]
    where = f"{' → '.join(example.way)}: {span(list(one.machines))}, {example.setting}"
    yield f"  - {where}: {'; '.join(messages[:1])}"
    for remedy in one.frees:
        yield f"      on the {remedy.side}: {remedy.change}"
    if not one.frees:
        yield "      no single change frees it"


def _members(answer: Answer, judged: Judged) -> dict[str, object]:
    found = answer.simulations
    return {
        "ships": not judged.fails,
        "old": _side_json(answer.old),
        "new": _side_json(answer.new),
        "machines": list(answer.common),
        "replays": [
            {
                "way": list(one.way),
                "machine": one.machine,
                "variant": one.variant,
                "arguments": list(one.arguments),
                "outcome": one.outcome,
                "messages": list(one.messages),
            }
            for one in answer.replays
        ],
        "elsewhere": [{"rule": one.rule, "path": one.path} for one in answer.elsewhere],
        "predictions": dict(answer.predictions),
        "simulated": None
        if found is None
        else {
            "pairs": found.pairs,
            "accepted": found.accepted,
            "rejected": len(found.failed),
            "not_started": found.not_started,
            "not_judged": dict(found.not_judged),
            "chains": found.chains,
        },
        "stuck": [
            {
                "way": list(one.example.way),
                "machines": list(one.machines),
                "setting": one.example.setting,
                "messages": list(one.example.verdict.messages),
                "frees": [remedy.as_json() for remedy in one.frees],
            }
            for one in answer.stuck
        ],
    }


def _side_json(side: Side) -> dict[str, object]:
    return {"name": side.name, "source": side.source, "target": side.target, "schema": described(side.schema)}
