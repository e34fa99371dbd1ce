"""The changes of a what-if by cause: direction, kind, the deciding check, the lines that show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmstate.dataclass import dataclass
from vmstate.proposals.chosen_set import Setting
from vmstate.proposals.pair_judge import AFTER, BEFORE, COLUMNS, PairVerdict, Rows, VerdictChange
from vmstate.proposals.shared_options import common_facts
from vmstate.proposals.whatif import WhatIf
from vmstate.savevm.verdict import Outcome


class Kind(StrEnum):
    """The change of a pair, the gravest first; the values are part of the JSON output.

    The last is for pairs that use an option of only one of the two programs; they have no verdict before.
    """

    NO_LONGER_STARTS = "starts no more"
    NO_LONGER_MIGRATES = "migrates no more"
    WARNS = "warns"
    STARTS_REJECTED = "starts now, and is rejected"
    FAILS_DIFFERENTLY = "fails in another way"
    FIXED = "migrates now"
    PRINTS_LESS = "says less"
    OTHER_KVM_CALLS = "tells KVM something else"
    OTHER_STREAM = "sends something else, with no other effect"
    NEW_OPTION = "with an option that is new: does not migrate"

    @property
    def bad(self) -> bool:
        """True if something that worked before no longer works, or is no longer silent."""
        return self in {Kind.NO_LONGER_STARTS, Kind.NO_LONGER_MIGRATES, Kind.WARNS}


class Direction(StrEnum):
    """The side that has the proposal."""

    FROM = "from"
    TO = "to"
    BOTH = "between"


#: A line of stderr, or an ioctl, with its origin: ("destination", "…"), ("source KVM", "…").
Line = tuple[str, str]
_REFUSED = {Outcome.SOURCE_REFUSED, Outcome.DESTINATION_REFUSED}
_STDERR = ("source", "destination")


class Cause(NamedTuple):
    """The cause that the pairs of a group share; ``lines`` are the new or missing lines that show it."""

    kind: Kind
    direction: Direction
    check: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Group:
    """The pairs that changed for one cause.

    ``migrated``: how many of them migrated before.  ``common``: the values of the set's dimensions that
    describe them; ``matching``: how many pairs of the set have these values, changed or not.  ``example``:
    command lines of both sides that show the change, ``unchanged``: those before it; ``change``: theirs.
    """

    cause: Cause
    pairs: int
    migrated: int
    matching: int
    common: tuple[str, ...]
    example: tuple[str, str]
    unchanged: tuple[str, str]
    change: VerdictChange

    @property
    def new(self) -> tuple[Line, ...]:
        """The lines that the example has in addition to those before."""
        return _lines_beyond(self.change.after, self.change.before)

    @property
    def gone(self) -> tuple[Line, ...]:
        """The lines that the example no longer has; none if a side does not even start."""
        if self.change.after.outcome in _REFUSED:
            return ()
        return _lines_beyond(self.change.before, self.change.after)

    def as_json(self) -> dict[str, object]:
        """Return the group as a JSON object."""
        return {
            "kind": str(self.cause.kind),
            "direction": str(self.cause.direction),
            "check": self.cause.check,
            "pairs": self.pairs,
            "migrated_before": self.migrated,
            "pairs_alike": self.matching,
            "common": list(self.common),
            "before": str(self.change.before.outcome),
            "after": str(self.change.after.outcome),
            "new_lines": [{"side": side, "line": line} for side, line in self.new],
            "gone_lines": [{"side": side, "line": line} for side, line in self.gone],
            "source": self.example[0],
            "destination": self.example[1],
            "source_before": self.unchanged[0],
            "destination_before": self.unchanged[1],
        }


def groups(answer: WhatIf) -> list[Group]:
    """Group the changed pairs by cause: the gravest kind first, then the largest group."""
    found: dict[Cause, list[Rows]] = {}
    pools = dict(_by_direction(answer))
    for direction, rows in pools.items():
        changed = rows[rows[:, -1] >= 0]
        own = _with_new_options(answer, changed)
        for number in np.unique(changed[:, -1]):
            for new_option in (False, True):
                some = changed[(changed[:, -1] == number) & (own == new_option)]
                cause = _cause(answer.changes[number], direction, new_option) if len(some) else None
                if cause is not None:
                    found.setdefault(cause, []).append(some)
    made = [_group(answer, cause, np.concatenate(parts), pools) for cause, parts in found.items()]
    order = {kind: place for place, kind in enumerate(Kind)}
    return sorted(made, key=lambda group: (order[group.cause.kind], -group.pairs, group.cause))


def _by_direction(answer: WhatIf) -> Iterator[tuple[Direction, Rows]]:
    affected = np.array([program.affected for program in answer.opened.programs], bool)
    source, destination = affected[answer.rows[:, 0]], affected[answer.rows[:, 1]]
    yield Direction.FROM, answer.rows[source & ~destination]
    yield Direction.TO, answer.rows[~source & destination]
    yield Direction.BOTH, answer.rows[source & destination]


def _with_new_options(answer: WhatIf, rows: Rows) -> NDArray[np.bool_]:
    """Return a mask of the pairs with an option that a side's program has only before, or only after."""
    judge = answer.opened.judge
    new = np.array(
        [
            [judge.option_differs(program, option) for option in range(len(judge.chosen.options))]
            for program in range(len(judge.programs))
        ],
        bool,
    )
    found: NDArray[np.bool_] = new[rows[:, 0], rows[:, 6]] | new[rows[:, 1], rows[:, 10]]
    return found


def _cause(change: VerdictChange, direction: Direction, new_option: bool) -> Cause | None:
    """Return the cause of a change, or None for a pair that has no verdict before and migrates."""
    before, after = change
    kind = Kind.NEW_OPTION if new_option else _kind(before, after)
    if kind == Kind.NEW_OPTION and after.outcome == Outcome.ACCEPT:
        return None
    decided = before if after.outcome == Outcome.ACCEPT else after
    quiet = kind in {Kind.OTHER_KVM_CALLS, Kind.OTHER_STREAM}
    check = "" if quiet else " ".join(filter(None, (decided.rule, decided.section, decided.path)))
    new, gone = _lines_beyond(after, before), _lines_beyond(before, after)
    match kind:
        case Kind.WARNS:
            shown = [line for line in new if line[0] in _STDERR]
        case Kind.PRINTS_LESS:
            shown = [line for line in gone if line[0] in _STDERR]
        case Kind.OTHER_KVM_CALLS | Kind.OTHER_STREAM:
            shown = [*new, *gone]
        case Kind.FIXED:
            shown = _errors(gone)
        case Kind.FAILS_DIFFERENTLY:
            shown = _errors((*new, *gone))
        case _:
            shown = _errors(new)
    return Cause(kind, direction, check, tuple(shown))


def _errors(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line[0] in _STDERR and not line[1].startswith("warning: ")]


def _kind(before: PairVerdict, after: PairVerdict) -> Kind:
    was, now = before.outcome, after.outcome
    if before._replace(ioctls=after.ioctls, sends=after.sends) == after:
        return Kind.OTHER_STREAM if before.ioctls == after.ioctls else Kind.OTHER_KVM_CALLS
    if now in _REFUSED and was not in _REFUSED:
        return Kind.NO_LONGER_STARTS
    if was == Outcome.ACCEPT:
        if now == Outcome.ACCEPT:
            printed = any(side in _STDERR for side, _ in _lines_beyond(after, before))
            return Kind.WARNS if printed else Kind.PRINTS_LESS
        return Kind.NO_LONGER_MIGRATES
    if now == Outcome.ACCEPT:
        return Kind.FIXED
    return Kind.STARTS_REJECTED if was in _REFUSED and now == Outcome.REJECT else Kind.FAILS_DIFFERENTLY


def _output(answer: PairVerdict) -> list[Line]:
    return [
        *(("source sends", text) for text in answer.sends),
        *(("source", line) for line in answer.source_messages),
        *(("destination", line) for line in answer.messages),
        *(("source KVM", line) for line in answer.ioctls[0]),
        *(("destination KVM", line) for line in answer.ioctls[1]),
    ]


def _lines_beyond(one: PairVerdict, other: PairVerdict) -> tuple[Line, ...]:
    """Return the lines of ``one`` that ``other`` does not have, in order."""
    left = Counter(_output(other))
    more: list[Line] = []
    for line in _output(one):
        if left[line]:
            left[line] -= 1
        else:
            more.append(line)
    return tuple(more)


def _group(answer: WhatIf, cause: Cause, rows: Rows, pools: dict[Direction, Rows]) -> Group:
    judge = answer.opened.judge
    programs = answer.opened.programs
    common, matching = common_facts(judge.chosen, programs, rows, pools[cause.direction])
    accepted = np.array([change.before.outcome == Outcome.ACCEPT for change in answer.changes], bool)
    migrated = accepted[rows[:, -1]]
    row = _simplest(rows[migrated] if migrated.any() else rows)
    source, destination, type_, *rest, number = (int(value) for value in row)
    settings = Setting(type_, *rest[:4]), Setting(type_, *rest[4:])
    after, before = (
        (
            judge.command_line(source, when, settings[0]),
            judge.command_line(destination, when, settings[1]),
        )
        for when in (AFTER, BEFORE)
    )
    return Group(
        cause, len(rows), int(migrated.sum()), matching, common, after, before, answer.changes[number]
    )


_SETTINGS = slice(3, len(COLUMNS) - 1)


def _simplest(rows: Rows) -> Rows:
    """Return the row with the fewest options, then the first platforms, newest type, closest programs."""
    options = np.count_nonzero(rows[:, _SETTINGS], axis=1)
    named = rows[:, 2] == 0  # "pseries" means another type in each release
    apart = np.abs(rows[:, 0] - rows[:, 1])
    late = rows[:, 3] + rows[:, 7]  # platforms as they are listed, TCG first
    found: Rows = rows[np.lexsort((apart, rows[:, 2], late, options, named))[0]]
    return found


def count(found: Iterable[Group], kind: Kind) -> tuple[int, int]:
    """Return the number of pairs and of causes of a kind."""
    sizes = [group.pairs for group in found if group.cause.kind == kind]
    return sum(sizes), len(sizes)
