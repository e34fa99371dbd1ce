"""The verdict on a migration: outcome, lines, the check that decided, and all checks on the way."""

from __future__ import annotations

from enum import StrEnum

from vmstate.dataclass import dataclass, field
from vmstate.errors import NotModelled
from vmstate.pattern import pattern

_SHOWN_NUMBER = pattern(r"(-?(?:0[xX][0-9a-fA-F]+|0|[1-9]\d*))(?: \(.*\))?")


class Outcome(StrEnum):
    """The end of a migration, in the words of the batch interface."""

    ACCEPT = "accept"
    REJECT = "reject"
    STALLED = "stalled"  # everything was loaded, but QEMU then waits forever (COLO)
    SOURCE_REFUSED = "source-refused"
    DESTINATION_REFUSED = "destination-refused"
    NOT_MODELLED = "not modelled"  # neither: what QEMU does next is not known


@dataclass(frozen=True, slots=True)
class Check:
    """One check that ran: its rule, its result, its place, and both sides' values."""

    rule: str
    passed: bool
    message: str = ""
    section: str | None = None
    instance: int | None = None
    offset: int | None = None
    path: str | None = None
    incoming: object = None
    local: object = None

    def as_json(self) -> dict[str, object]:
        """Return the check as a JSON object; empty values are left out, numbers are numbers.

        A number that is shown in another way (``0x004e1202 (power9_v2.2)``) has that text beside it, as
        ``incoming_text`` or ``local_text``.
        """
        facts: dict[str, object] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if value in (None, "") or name == "passed":
                continue
            facts[name] = value if isinstance(value, int | str) else str(value)
            number = _SHOWN_NUMBER.fullmatch(value) if isinstance(value, str) else None
            if number is not None and name in ("incoming", "local"):
                facts |= {name: int(number[1], 0), f"{name}_text": value}
        return {**facts, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class Answer:
    """QEMU's answer to an event of a history: why it refused, empty if it did as it was asked."""

    event: str
    refusal: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the answer as a JSON object."""
        return {"event": self.event, "refusal": self.refusal}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a migration or a load.

    ``messages``: the destination's stderr lines, start-up first; ``source_messages``: the source's.
    ``aborted``: the destination itself ends, by an assertion or a crash, while it starts or loads; the
    outcome is then a reject.
    ``answers``: those to the events before the migration.  ``known_bugs``: the ids of known bugs of QEMU
    whose line, section and releases these are.
    """

    outcome: Outcome
    messages: list[str] = field(default_factory=list)
    source_messages: list[str] = field(default_factory=list)
    decided_by: Check | None = None
    errno: int = 0
    trace: list[Check] = field(default_factory=list)
    aborted: bool = False
    answers: list[Answer] = field(default_factory=list)
    known_bugs: list[str] = field(default_factory=list, compare=False)

    def as_json(self) -> dict[str, object]:
        """Return the object that the batch commands write, one per line."""
        answers = [answer.as_json() for answer in self.answers]
        answer: dict[str, object] = {
            "outcome": str(self.outcome),
            "source_messages": self.source_messages,
            "messages": self.messages,
            "decided_by": self.decided_by.as_json() if self.decided_by is not None else None,
            **({"answers": answers} if answers else {}),
            **({"known_bugs": self.known_bugs} if self.known_bugs else {}),
        }
        return {**answer, "aborted": True} if self.aborted else answer


def cannot_judge(unknown: NotModelled) -> Verdict:
    """Return the verdict where what comes next is not modelled, with the lines that were printed before."""
    place = unknown.place
    check = Check(
        "not-modelled", False, str(unknown.args[0]), place.section, place.instance, place.offset, place.path
    )
    return Verdict(Outcome.NOT_MODELLED, unknown.messages, unknown.source_messages, check)
