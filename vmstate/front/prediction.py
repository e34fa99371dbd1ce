"""A migration predicted: the outcome, the messages, the check that decided, and why."""

from __future__ import annotations

from vmstate.containers import open_input
from vmstate.dataclass import dataclass, field
from vmstate.front.known import configuration
from vmstate.front.opening import Source
from vmstate.front.stream_file import StreamFile
from vmstate.front.verdict_text import explanation_lines, remedy_lines, verdict_lines
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.startup.command_line import Configuration
from vmstate.savevm.verdict import Check, Outcome, Verdict
from vmstate.simulate import migration
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.remedies import Remedy, remedies


@dataclass(frozen=True)
class Prediction:
    """The predicted end of a migration, or of loading a stream.

    ``source`` and ``destination`` are the command lines as they were read; ``source`` is None for a stream.
    """

    verdict: Verdict = field(repr=False)
    destination: Configuration = field(repr=False)
    source: Configuration | None = field(default=None, repr=False)
    guest: Guest | None = field(default=None, repr=False)

    @property
    def accepted(self) -> bool:
        """True if the destination loads the stream and goes on."""
        return self.verdict.outcome == Outcome.ACCEPT

    @property
    def outcome(self) -> Outcome:
        """The outcome: accept, reject, stalled, source-refused or destination-refused."""
        return self.verdict.outcome

    @property
    def messages(self) -> list[str]:
        """The lines that the destination prints on its standard error, those of its start first."""
        return self.verdict.messages

    @property
    def source_messages(self) -> list[str]:
        """The lines that the source prints on its standard error."""
        return self.verdict.source_messages

    @property
    def decided_by(self) -> Check | None:
        """The check that decided: its rule, its place in the stream, both values; None if none failed."""
        return self.verdict.decided_by

    @property
    def trace(self) -> list[Check]:
        """All checks in order; empty without ``trace=True``."""
        return self.verdict.trace

    def remedies(self) -> list[Remedy]:
        """Return single changes that make the migration succeed, smallest first, each tried in a simulation.

        There are none for an accepted migration, or for a stream, whose source is not known.
        """
        if self.accepted or self.source is None:
            return []
        guest = self.guest
        if guest is None:
            return remedies(self.source, self.destination)
        return remedies(self.source, self.destination, judge=lambda a, b: migrate_guest(a, b, guest))

    def explain(self) -> str:
        """Return the text of ``vmstate explain``: outcome, messages, their meaning, and the remedies."""
        lines = [*verdict_lines(self.verdict, trace=bool(self.trace)), *explanation_lines(self.verdict)]
        if not self.accepted and self.source is not None:
            lines += remedy_lines(self.remedies())
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the object that the commands write with ``--json``; the trace only if there is one."""
        answer: dict[str, object] = {**self.verdict.as_json()}
        if self.trace:
            answer["trace"] = [check.as_json() for check in self.trace]
        return answer

    def __str__(self) -> str:
        return "\n".join(verdict_lines(self.verdict))

    def __repr__(self) -> str:
        return f"<Prediction {self.outcome}: {self.messages[-1] if self.messages else 'no messages'}>"


def load(stream: StreamFile | Source, on: str | Configuration, *, trace: bool = False) -> Prediction:
    """Predict what a destination makes of a stream, which may come in any containers.

    ``on``: the destination's command line, ``"qemu-7.2 -machine pseries-7.2 -m 256"``.  Raises
    ConfigurationError for a wrong command line, NotModelled for one (or a stream) that is not modelled,
    StreamError if the stream cannot be read.
    """
    destination = configuration(on)
    if isinstance(stream, StreamFile):
        return Prediction(migration.load(stream.data, destination, trace=trace), destination)
    with open_input(stream) as opened:
        return Prediction(migration.load(opened.data, destination, trace=trace), destination)


def migrate(
    source: str | Configuration,
    destination: str | Configuration,
    *,
    guest: str | Guest | None = None,
    trace: bool = False,
) -> Prediction:
    """Predict a migration from one command line to another.

    ``guest``: a kernel that has booted on the source (``"linux-6.1"``, ``"linux-6.12 disable_radix"``, or the
    path of a TOML file).  Raises ConfigurationError for a wrong command line or guest,
    NotModelled where the answer is not known.
    """
    sides = configuration(source), configuration(destination)
    booted = named_guest(guest) if isinstance(guest, str) else guest
    if booted is None:
        verdict = migration.migrate(*sides, trace=trace)
    else:
        verdict = migrate_guest(*sides, booted, trace=trace)
    return Prediction(verdict, sides[1], sides[0], booted)
