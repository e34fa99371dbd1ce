"""A cell of a matrix: a verdict, reduced to the parts that differ between pairs, and its kind."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from vmstate.savevm.verdict import Check, Outcome, Verdict


class Kind(StrEnum):
    """The kinds of cells, the best first; ABSENT: a release does not have the machine type."""

    ACCEPT = "accept"
    WARN = "warn"  # accepted, but the destination prints something while it loads
    REJECT = "reject"
    CRASH = "crash"
    STALLED = "stalled"
    REFUSED = "refused"  # a side does not start
    NOT_MODELLED = "not-modelled"
    ABSENT = "absent"

    @property
    def sign(self) -> str:
        """The character that stands for it in a text."""
        return _SIGNS[self]


_SIGNS = {
    Kind.ACCEPT: "+",
    Kind.WARN: "w",
    Kind.REJECT: "R",
    Kind.CRASH: "C",
    Kind.STALLED: "S",
    Kind.REFUSED: "-",
    Kind.NOT_MODELLED: "?",
    Kind.ABSENT: " ",
}
_KINDS = {
    Outcome.REJECT: Kind.REJECT,
    Outcome.STALLED: Kind.STALLED,
    Outcome.SOURCE_REFUSED: Kind.REFUSED,
    Outcome.DESTINATION_REFUSED: Kind.REFUSED,
    Outcome.NOT_MODELLED: Kind.NOT_MODELLED,
}


class Decision(NamedTuple):
    """The check that decided, without its offset: the same check of many pairs is one decision."""

    rule: str
    section: str = ""
    path: str = ""
    incoming: str = ""
    local: str = ""
    message: str = ""

    @staticmethod
    def of(check: Check) -> Decision:
        """Return the decision of a check."""
        instance = f"[{check.instance}]" if check.section and check.instance is not None else ""
        incoming, local = ("" if one is None else str(one) for one in (check.incoming, check.local))
        section = f"{check.section or ''}{instance}"
        return Decision(check.rule, section, check.path or "", incoming, local, check.message)

    def __str__(self) -> str:
        place = ".".join(part for part in (self.section, self.path) if part)
        compared = f": incoming {self.incoming}, here {self.local}" if self.incoming or self.local else ""
        return f"{self.rule} {place}{compared}".strip()


class Cell(NamedTuple):
    """A verdict of a matrix; equal ones are one.

    ``started``: how many of the destination's ``messages`` it prints when it starts.
    """

    outcome: Outcome
    source_messages: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    started: int = 0
    decided_by: Decision | None = None
    aborted: bool = False

    @staticmethod
    def of(verdict: Verdict, source_messages: tuple[str, ...], started: int) -> Cell:
        """Return the cell of a verdict."""
        decided = None if verdict.decided_by is None else Decision.of(verdict.decided_by)
        messages = tuple(verdict.messages)
        return Cell(
            verdict.outcome, source_messages, messages, min(started, len(messages)), decided, verdict.aborted
        )

    @property
    def kind(self) -> Kind:
        """The kind."""
        if self.outcome == Outcome.ACCEPT:
            return Kind.WARN if len(self.messages) > self.started else Kind.ACCEPT
        return Kind.CRASH if self.aborted else _KINDS[self.outcome]

    def as_json(self) -> dict[str, object]:
        """Return the cell as a JSON object."""
        return {
            "kind": str(self.kind),
            "outcome": str(self.outcome),
            "source_messages": list(self.source_messages),
            "messages": list(self.messages),
            "messages_of_start": self.started,
            "decided_by": None if self.decided_by is None else self.decided_by._asdict(),
            **({"aborted": True} if self.aborted else {}),
        }
