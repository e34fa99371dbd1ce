"""The changes of a what-if by cause: direction, outcome, the check that decided, the lines that are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from vmstate.proposals.chosen_set import Setting
from vmstate.proposals.common import common_facts
from vmstate.proposals.comparison import AFTER, BEFORE, COLUMNS, Answer, Change, Rows
from vmstate.proposals.whatif import WhatIf
from vmstate.simulate.verdict import Outcome


class Kind(StrEnum):
    """What became of a pair, gravest first."""

    STARTS_NO_MORE = "starts no more"
    BROKEN = "migrates no more"
    WARNS = "warns"
    STARTS_REJECTED = "starts now, and is rejected"
    OTHERWISE = "fails in another way"
    MENDED = "migrates now"
    QUIETER = "says less"
    TELLS_KVM = "tells KVM something else"

    @property
    def bad(self) -> bool:
        """Whether somebody loses by it."""
        return self in {Kind.STARTS_NO_MORE, Kind.BROKEN, Kind.WARNS}


class Direction(StrEnum):
    """Which side has the proposal."""

    FROM = "from"
    TO = "to"
    BOTH = "between"


#: A line of stderr, or an ioctl, and whose it is: ("destination", "…"), ("source KVM", "…").
Line = tuple[str, str]
_REFUSED = {Outcome.SOURCE_REFUSED, Outcome.DESTINATION_REFUSED}


class Cause(NamedTuple):
    """What a group of changed pairs has in common.  ``new`` and ``gone`` are lines, in order."""

    kind: Kind
    direction: Direction
    before: Outcome
    after: Outcome
    check: str
    new: tuple[Line, ...]
    gone: tuple[Line, ...]


@dataclass(frozen=True)
class Group:
    """The pairs that changed for one cause.

    ``common``: what narrows them down, of the dimensions of the set.  ``alike``: how many pairs of the set
    are narrowed down so, changed or not.  ``example``: command lines of both sides that show it;
    ``unchanged_example``: the same without the proposal.
    """

    cause: Cause
    pairs: int
    alike: int
    common: tuple[str, ...]
    example: tuple[str, str]
    unchanged_example: tuple[str, str]

    def as_json(self) -> dict[str, object]:
        """The group as a JSON object."""
        cause = self.cause
        return {
            "kind": str(cause.kind),
            "direction": str(cause.direction),
            "before": str(cause.before),
            "after": str(cause.after),
            "check": cause.check,
            "new_lines": [{"side": side, "line": line} for side, line in cause.new],
            "gone_lines": [{"side": side, "line": line} for side, line in cause.gone],
            "pairs": self.pairs,
            "pairs_alike": self.alike,
            "common": list(self.common),
            "source": self.example[0],
            "destination": self.example[1],
            "source_without": self.unchanged_example[0],
            "destination_without": self.unchanged_example[1],
        }


def groups(answer: WhatIf) -> list[Group]:
    """The changed pairs by cause: gravest kind first, then the largest group."""
    programs = answer.opened.programs
    affected = np.array([program.affected for program in programs], bool)
    source_has, destination_has = affected[answer.rows[:, 0]], affected[answer.rows[:, 1]]
    found: dict[Cause, list[Rows]] = {}
    ways = {
        Direction.FROM: source_has & ~destination_has,
        Direction.TO: ~source_has & destination_has,
        Direction.BOTH: source_has & destination_has,
    }
    pools = {direction: answer.rows[chosen] for direction, chosen in ways.items()}
    for direction, rows in pools.items():
        changed = rows[rows[:, -1] >= 0]
        for number in np.unique(changed[:, -1]):
            cause = _cause(answer.changes[number], direction)
            found.setdefault(cause, []).append(changed[changed[:, -1] == number])
    made = [
        _group(answer, cause, np.concatenate(parts), pools[cause.direction]) for cause, parts in found.items()
    ]
    order = {kind: place for place, kind in enumerate(Kind)}
    return sorted(made, key=lambda group: (order[group.cause.kind], -group.pairs, group.cause))


def _cause(change: Change, direction: Direction) -> Cause:
    before, after = change
    new, gone = _lines_beyond(after, before), _lines_beyond(before, after)
    decided = before if after.outcome == Outcome.ACCEPT else after
    check = " ".join(filter(None, (decided.rule, decided.section, decided.path)))
    return Cause(_kind(before, after), direction, before.outcome, after.outcome, check, new, gone)


def _kind(before: Answer, after: Answer) -> Kind:
    was, now = before.outcome, after.outcome
    if now in _REFUSED and was not in _REFUSED:
        return Kind.STARTS_NO_MORE
    if was == Outcome.ACCEPT:
        if now == Outcome.ACCEPT:
            same = before._replace(ioctls=after.ioctls) == after
            said = _lines_beyond(after._replace(ioctls=before.ioctls), before)
            return Kind.TELLS_KVM if same else Kind.WARNS if said else Kind.QUIETER
        return Kind.BROKEN
    if now == Outcome.ACCEPT:
        return Kind.MENDED
    return Kind.STARTS_REJECTED if was in _REFUSED and now == Outcome.REJECT else Kind.OTHERWISE


def _said(answer: Answer) -> list[Line]:
    return [
        *(("source", line) for line in answer.source_messages),
        *(("destination", line) for line in answer.messages),
        *(("source KVM", line) for line in answer.ioctls[0]),
        *(("destination KVM", line) for line in answer.ioctls[1]),
    ]


def _lines_beyond(one: Answer, other: Answer) -> tuple[Line, ...]:
    """The lines that ``one`` has more than ``other``, in its order."""
    left = Counter(_said(other))
    more: list[Line] = []
    for line in _said(one):
        if left[line]:
            left[line] -= 1
        else:
            more.append(line)
    return tuple(more)


def _group(answer: WhatIf, cause: Cause, rows: Rows, pool: Rows) -> Group:
    comparison = answer.opened.comparison
    common, alike = common_facts(comparison.chosen, answer.opened.programs, rows, pool)
    row = rows[_simplest(rows)]
    source, destination, type_, *rest = (int(value) for value in row[:-1])
    settings = Setting(type_, *rest[:4]), Setting(type_, *rest[4:])
    lines = [
        (
            comparison.command_line(source, when, settings[0]),
            comparison.command_line(destination, when, settings[1]),
        )
        for when in (AFTER, BEFORE)
    ]
    return Group(cause, len(rows), alike, common, lines[0], lines[1])


_SETTINGS = slice(3, len(COLUMNS) - 1)


def _simplest(rows: Rows) -> int:
    """The row with the fewest options, then the newest type, then programs close to each other."""
    options = np.count_nonzero(rows[:, _SETTINGS], axis=1)
    named = rows[:, 2] == 0  # "pseries" is a type that means another in each release
    apart = np.abs(rows[:, 0] - rows[:, 1])
    return int(np.lexsort((apart, rows[:, 2], options, named))[0])


def count(found: Iterable[Group], kind: Kind) -> tuple[int, int]:
    """How many pairs and how many causes there are of a kind."""
    sizes = [group.pairs for group in found if group.cause.kind == kind]
    return sum(sizes), len(sizes)
