"""The simulator held against real QEMUs: the same question to both, and what they do not agree on."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.command_line import configuration as configured
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.replay import RealOutcome, replay
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.migration import load, migrate, save

#: Lines of a program about its own shared modules: they tell how it was installed, not what it judged.
_INSTALLATION = re.compile(r"failed to (?:initialize|open) module: |Only modules from the same build can be")


@dataclass(frozen=True)
class Side:
    """A machine asked about: its release and the words after the program's name."""

    release: Release
    arguments: tuple[str, ...]

    @staticmethod
    def of(release: Release, arguments: Sequence[str]) -> Side:
        """A side from any sequence of words."""
        return Side(release, tuple(arguments))

    @property
    def text(self) -> str:
        """The command line as ``vmstate migrate`` takes it."""
        return shlex.join([f"qemu-{self.release}", *self.arguments])

    def configuration(self) -> Configuration:
        """For the simulator.  Raises ConfigurationError for what is not modelled."""
        return configured(self.release, self.arguments)


@dataclass(frozen=True)
class Answer:
    """An outcome, as a simulated verdict spells it (or ``crash``, ``stalled``), and lines of stderr."""

    outcome: str
    messages: tuple[str, ...] = ()
    source_messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """One question with both answers; ``rule`` is what decided in the simulation."""

    question: Mapping[str, object]
    real: Answer
    simulated: Answer
    rule: str | None = None

    @property
    def same_outcome(self) -> bool:
        """A QEMU that crashes or aborts has not accepted: a predicted reject is right about it."""
        real = "reject" if self.real.outcome == RealOutcome.CRASH else self.real.outcome
        return real == self.simulated.outcome

    @property
    def same(self) -> bool:
        """Whether outcome and every line agree."""
        return self.same_outcome and _lines(self.real) == _lines(self.simulated)

    def as_json(self) -> dict[str, object]:
        """The question and both answers, for a line of JSON."""
        sides = {"real": self.real, "simulated": self.simulated}
        answers = {
            name: {
                "outcome": str(answer.outcome),
                "source_messages": list(answer.source_messages),
                "messages": list(answer.messages),
            }
            for name, answer in sides.items()
        }
        return {**self.question, **answers, "rule": self.rule}


def _lines(answer: Answer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return without_installation(answer.source_messages), without_installation(answer.messages)


def without_installation(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines without those that a program prints about its own shared modules."""
    return tuple(line for line in lines if _INSTALLATION.match(line) is None)


class Judge:
    """Asks the QEMUs ``binaries``, by release, what the simulator predicts."""

    def __init__(self, binaries: Mapping[Release, Binary], *, timeout: float = 60.0) -> None:
        self._binaries = binaries
        self._timeout = timeout

    def command(self, side: Side) -> QemuCommand:
        """The side's real command line.  Raises ConfigurationError if its QEMU is not here."""
        binary = self._binaries.get(side.release)
        if binary is None:
            there = ", ".join(map(str, self._binaries)) or "none"
            raise ConfigurationError(f"no QEMU {side.release} here; there is: {there}")
        return QemuCommand.parse([binary.path, *side.arguments])

    def load(self, stream: bytes | memoryview, side: Side, question: Mapping[str, object]) -> Comparison:
        """A stream that is there, to a real and to a simulated destination."""
        verdict = load(stream, side.configuration())
        return Comparison(question, self._replayed(stream, side), answer_of(verdict), rule_of(verdict))

    def stream(self, source: Side, destination: Side) -> Comparison | None:
        """A stream that the simulator writes, to a real destination; None where one of them does not start.

        Raises ConfigurationError for a command line that is not modelled.
        """
        verdict = migrate(source.configuration(), destination.configuration())
        if verdict.outcome not in (Outcome.ACCEPT, Outcome.REJECT):
            return None
        stream = save(source.configuration())
        question = {"source": source.text, "destination": destination.text}
        return Comparison(
            question, self._replayed(stream, destination), Answer(*_loaded(verdict)), rule_of(verdict)
        )

    def pair(self, source: Side, destination: Side) -> Comparison:
        """A whole migration, real QEMU to real QEMU, and the same simulated."""
        verdict = migrate(source.configuration(), destination.configuration())
        question = {"source": source.text, "destination": destination.text}
        return Comparison(question, self._migrated(source, destination), answer_of(verdict), rule_of(verdict))

    def _migrated(self, source: Side, destination: Side) -> Answer:
        with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
            path = Path(directory) / "stream"
            try:
                said = capture(self.command(source), path, timeout=self._timeout)
            except (QemuRefused, QmpRefused) as refused:
                return Answer(Outcome.SOURCE_REFUSED, (), refused.messages)
            except QemuStalled as stalled:
                return Answer("stalled", (), stalled.messages)
            loaded = self._replayed(path, destination)
            return Answer(loaded.outcome, loaded.messages, said)

    def _replayed(self, stream: bytes | memoryview | Path, side: Side) -> Answer:
        try:
            real = replay(stream, self.command(side), timeout=self._timeout)
        except QemuStalled as stalled:
            return Answer("stalled", stalled.messages)
        return Answer(real.outcome, real.messages)


def _loaded(verdict: Verdict) -> tuple[str, tuple[str, ...]]:
    return verdict.outcome, tuple(verdict.messages)


def answer_of(verdict: Verdict) -> Answer:
    """A simulated verdict as an answer."""
    return Answer(*_loaded(verdict), tuple(verdict.source_messages))


def rule_of(verdict: Verdict) -> str | None:
    """What decided a simulated verdict."""
    return verdict.decided_by.rule if verdict.decided_by is not None else None
