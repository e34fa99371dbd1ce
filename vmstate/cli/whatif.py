"""``vmstate whatif``: show what a proposal changes, over a set of configurations."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator
from typing import Any

from vmstate.cli.common_options import add_workers, workers_of
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, announce_pairs, progress
from vmstate.dataclass import replace
from vmstate.proposals.causes import Direction, Group, Kind, count, groups
from vmstate.proposals.chosen_set import ChosenSet, read_set
from vmstate.proposals.coverage import not_covered
from vmstate.proposals.whatif import Question, WhatIf, what_if

_COLOUR = {
    Kind.NO_LONGER_STARTS: "red",
    Kind.NO_LONGER_MIGRATES: "red",
    Kind.WARNS: "yellow",
    Kind.FIXED: "green",
}
_HEADINGS = {
    Kind.NO_LONGER_STARTS: "no longer starts",
    Kind.NO_LONGER_MIGRATES: "no longer migrates",
    Kind.STARTS_REJECTED: "now starts, but is rejected",
    Kind.FAILS_DIFFERENTLY: "fails differently",
    Kind.FIXED: "now migrates",
    Kind.PRINTS_LESS: "prints less",
    Kind.OTHER_KVM_CALLS: "makes different calls to KVM",
    Kind.OTHER_STREAM: "sends a different stream, with no other effect",
    Kind.NEW_OPTION: "does not migrate, with a new option",
}
_AGAINST = {
    Kind.NO_LONGER_STARTS: "starts only with {other}",
    Kind.NO_LONGER_MIGRATES: "migrates only with {other}",
    Kind.WARNS: "prints more with {name}",
    Kind.STARTS_REJECTED: "starts only with {name}, and is rejected",
    Kind.FAILS_DIFFERENTLY: "fails differently",
    Kind.FIXED: "migrates only with {name}",
    Kind.PRINTS_LESS: "prints more with {other}",
    Kind.OTHER_KVM_CALLS: "makes different calls to KVM",
    Kind.OTHER_STREAM: "sends a different stream, with no other effect",
    Kind.NEW_OPTION: "does not migrate, with an option that only one of them has",
}
_SMALLER = "--quick judges a sample"
_SHOWN = 12  # causes shown of each kind without --all


EXAMPLES = (
    ("a first look: a sample of the pairs", "vmstate whatif gtse-as-posted --quick"),
    ("narrow the set", "vmstate whatif mine.py --releases 7.2 --types pseries-7.2 --hosts tcg"),
    ("what differs from another patch", "vmstate whatif mine.py --against other.py --releases 7.2 --quick"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "exit status: 0 nothing is lost; 1 some pair no longer migrates or starts, or has a new warning; "
        "130 interrupted: the report covers what was done until then"
    )
    parser.add_argument(
        "proposal", metavar="PROPOSAL", help="FILE.py, FILE.py:NAME, or the name of a proposal of the package"
    )
    parser.add_argument("--against", metavar="OTHER.py", default="", help="compare with another proposal")
    parser.add_argument(
        "--later",
        action="store_true",
        help="also apply the proposal to later releases, as if it had been merged",
    )
    parser.add_argument(
        "--set", metavar="FILE.toml", help="the configurations to try; the options below override parts of it"
    )
    for name, what in (
        ("releases", "releases of the other side: 2.11,4.0-5.2,2.11.1,4.2+NAME"),
        ("types", "machine types"),
        ("hosts", "tcg and KVM hosts (names or .toml files)"),
        ("cpus", "processors under TCG"),
    ):
        parser.add_argument(f"--{name}", metavar="A,B", help=what)
    parser.add_argument("--guest", metavar="KERNEL", help="boot a guest on every source first: linux-6.1")
    parser.add_argument(
        "--option", metavar="TEXT", action="append", default=[],
        help="another variation of -machine, e.g. cap-cfpc=broken",
    )  # fmt: skip
    parser.add_argument("--with", dest="with_file", metavar="FILE", action="append", default=[],
                        help="a Python file with proposals that --releases names")  # fmt: skip
    add_workers(parser, None)
    parser.add_argument(
        "--quick", action="store_true", help="judge a sample of the set, always the same, for a first look"
    )
    parser.add_argument(
        "--all", action="store_true", help="show every cause, not only the largest of each kind"
    )


def run(options: argparse.Namespace) -> Report:
    """Judge all pairs of the set, and group the changes by cause."""
    question = Question(
        options.proposal, options.against, options.later, _chosen(options), tuple(options.with_file)
    )
    workers = workers_of(options)
    start = time.monotonic()
    with progress("judging pairs", 1000) as tick:
        answer = what_if(
            question,
            workers,
            lambda done, of: tick(1000 * done // of),
            sample=options.quick,
            begin=lambda pairs: announce_pairs(pairs, workers.processes, "" if options.quick else _SMALLER),
        )
    seconds = time.monotonic() - start
    found = groups(answer)
    return Report(
        lines=_WhatIfLines(answer, found, options, seconds).lines(),
        result=lambda: _result(answer, found, seconds),
        ok=not any(group.cause.kind.bad for group in found),
        interrupted=not answer.complete,
    )


def _chosen(options: argparse.Namespace) -> ChosenSet:
    chosen = read_set(options.set) if options.set else ChosenSet()
    for name in ("releases", "types", "hosts", "cpus"):
        text = getattr(options, name)
        if text is not None:
            values = tuple("" if value == "default" else value for value in text.split(","))
            narrower: dict[str, Any] = {name: values}
            chosen = replace(chosen, **narrower)
    if options.guest is not None:
        chosen = replace(chosen, guest=options.guest)
    return replace(chosen, options=(*chosen.options, *options.option))


def _result(answer: WhatIf, found: list[Group], seconds: float) -> object:
    done, of = answer.tasks
    return {
        "proposal": answer.opened.proposal.name,
        "against": answer.opened.other.name if answer.opened.other else None,
        "pairs": len(answer.rows),
        "tried": answer.tried,
        "changed": sum(group.pairs for group in found if group.cause.kind != Kind.OTHER_STREAM),
        "complete": answer.complete,
        "part_done": done / of if of else 1.0,
        "sample": answer.part,
        "seconds": round(seconds, 1),
        "groups": [group.as_json() for group in found],
        "not_covered": list(not_covered(answer)),
    }


class _WhatIfLines:
    """The report for people."""

    def __init__(
        self, answer: WhatIf, found: list[Group], options: argparse.Namespace, seconds: float
    ) -> None:
        self.answer = answer
        self.found = found
        self.options = options
        self.seconds = seconds
        self.style = Style.of(sys.stdout)

    def lines(self) -> Iterator[str]:
        yield from self._head()
        for kind in Kind:
            pairs, causes = count(self.found, kind)
            if not pairs:
                continue
            yield ""
            words = f"{self._words(kind)}: {_pairs(pairs)}, {causes} cause{'s' if causes > 1 else ''}"
            yield self.style.paint(_COLOUR.get(kind, "bold"), words)
            mine = [group for group in self.found if group.cause.kind == kind]
            shown = mine if self.options.all else mine[: 3 if kind == Kind.NEW_OPTION else _SHOWN]
            for number, group in enumerate(shown, 1):
                yield from self._group(number, group)
            if len(mine) > len(shown):
                yield f"  … and {len(mine) - len(shown)} more (--all)"
        yield ""
        yield "Not covered:"
        yield from (f"  - {text}" for text in not_covered(self.answer))

    def _head(self) -> Iterator[str]:
        opened = self.answer.opened
        program = opened.programs[0]
        against = f", against {opened.other.name}" if opened.other else ""
        yield self.style.paint("bold", f"{program.name(1)}{against}: {opened.proposal.says}")
        changed = sum(group.pairs for group in self.found if group.cause.kind != Kind.OTHER_STREAM)
        yield (
            f"{_pairs(len(self.answer.rows))} that start on both sides, of {self.answer.tried:,} tried in "
            f"{self.seconds:.0f} s; {changed:,} of them changed"
        )
        if self.answer.part < 1:
            part = f"{100 * self.answer.part:.2g} % of the set"
            yield self.style.paint("yellow", f"a sample: {part}; a change in the rest is not seen")
        if not self.answer.complete:
            done, of = self.answer.tasks
            yield self.style.paint("yellow", f"interrupted: {100 * done // of} % of the set was tried")

    def _words(self, kind: Kind) -> str:
        opened = self.answer.opened
        if opened.other is None:
            return _HEADINGS.get(kind, str(kind))
        return _AGAINST[kind].format(name=opened.proposal.name, other=opened.other.name)

    def _group(self, number: int, group: Group) -> Iterator[str]:
        cause = group.cause
        name = self.answer.opened.programs[0].name(1)
        way = f"between two {name}" if cause.direction == Direction.BOTH else f"{cause.direction} {name}"
        every = "all" if group.matching == group.pairs else f"of {group.matching:,}"
        lost = f", {group.migrated:,} of which migrated before" if cause.kind == Kind.NO_LONGER_STARTS else ""
        yield f"  {number}. {way}: {_pairs(group.pairs)}{lost}: {every} with"
        yield f"       {'; '.join(group.common) or 'anything in the set'}"
        check = f" ({cause.check})" if cause.check else ""
        yield f"     {group.change.before.outcome} → {group.change.after.outcome}{check}"
        yield from (f"     + {side}: {line}" for side, line in group.new)
        yield from (f"     - {side}: {line}" for side, line in group.gone)
        yield f"     {self._command(group)}"

    def _command(self, group: Group) -> str:
        """Return the command that shows the example, quoted for a shell."""
        files = [self.options.proposal, self.options.against, *self.options.with_file]
        words = ["vmstate", "migrate"]
        for file in dict.fromkeys(os.fspath(text).partition(".py:")[0] for text in files if ".py" in text):
            words += ["--with", shlex.quote(file if file.endswith(".py") else f"{file}.py")]
        guest = self.answer.opened.judge.chosen.guest
        words += ["--guest", shlex.quote(guest)] if guest else []
        return " ".join([*words, *(shlex.quote(side) for side in group.example)])


def _pairs(number: int) -> str:
    return f"{number:,} pair{'' if number == 1 else 's'}"
