"""The answers of a real and a simulated QEMU to one question, and whether they agree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vmstate.dataclass import dataclass, field
from vmstate.qemu.replay import RealOutcome
from vmstate.savevm.verdict import Outcome, Verdict

STALLED = "stalled"
HANG = "hang"  # the same, for a process that exceeded its time limit

#: Lines about a program's own shared modules, which depend on its installation, not on the stream.
_INSTALLATION = re.compile(r"failed to (?:initialize|open) module: |Only modules from the same build can be")


@dataclass(frozen=True)
class Answer:
    """The outcome and the lines on stderr of a QEMU, real or simulated.

    ``outcome`` is spelled as in a simulated verdict, or is ``crash``, ``stalled`` or ``hang``.  ``rule`` is
    the check that decided and ``section`` where it did, if the QEMU is simulated.
    """

    outcome: str
    messages: tuple[str, ...] = ()
    source_messages: tuple[str, ...] = ()
    rule: str | None = None
    section: str | None = None

    @staticmethod
    def of(verdict: Verdict) -> Answer:
        """Return a simulated verdict as an answer."""
        check = verdict.decided_by
        return Answer(
            verdict.outcome,
            tuple(verdict.messages),
            tuple(verdict.source_messages),
            None if check is None else check.rule,
            None if check is None else check.section,
        )


@dataclass(frozen=True)
class Comparison:
    """A real and a simulated answer to one question.

    ``crash_predicted``: a crash counts as agreed only if the simulator predicts that QEMU itself ends; its
    lines are then not compared, as they name a line of the source of that build.  Otherwise a crash is
    compared as a reject, because such a QEMU has not accepted.
    """

    real: Answer
    simulated: Answer
    question: Mapping[str, object] = field(default_factory=dict)
    crash_predicted: bool = False

    @property
    def same_outcome(self) -> bool:
        """True if the outcomes agree."""
        real = STALLED if self.real.outcome == HANG else self.real.outcome
        if real == RealOutcome.CRASH and not self.crash_predicted:
            real = Outcome.REJECT
        return real == self.simulated.outcome

    @property
    def same(self) -> bool:
        """True if the outcomes and all lines agree."""
        if not self.same_outcome:
            return False
        if self.crash_predicted and self.real.outcome == RealOutcome.CRASH:
            return True
        return _lines(self.real) == _lines(self.simulated)

    def as_json(self) -> dict[str, object]:
        """Return the question and both answers as a JSON object."""
        sides = {"real": self.real, "simulated": self.simulated}
        answers = {
            name: {
                "outcome": str(answer.outcome),
                "source_messages": list(answer.source_messages),
                "messages": list(answer.messages),
            }
            for name, answer in sides.items()
        }
        return {**self.question, **answers, "rule": self.simulated.rule}


def _lines(answer: Answer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return without_installation(answer.source_messages), without_installation(answer.messages)


def without_installation(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the lines without those that a program prints about its own shared modules."""
    return tuple(line for line in lines if _INSTALLATION.match(line) is None)
