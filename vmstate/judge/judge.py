"""The simulator held against real QEMUs: the same question to both, and what they do not agree on."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.judge.comparison import STALLED, Answer, Comparison
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.command_line import configuration as configured
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.replay import replay
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import load, migrate, save


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
        return Comparison(self._replayed(stream, side), Answer.of(verdict), question)

    def stream(self, source: Side, destination: Side) -> Comparison | None:
        """A stream that the simulator writes, to a real destination; None where one of them does not start.

        Raises ConfigurationError for a command line that is not modelled.
        """
        verdict = migrate(source.configuration(), destination.configuration())
        if verdict.outcome not in (Outcome.ACCEPT, Outcome.REJECT):
            return None
        stream = save(source.configuration())
        question = {"source": source.text, "destination": destination.text}
        simulated = replace(Answer.of(verdict), source_messages=())
        return Comparison(self._replayed(stream, destination), simulated, question)

    def pair(self, source: Side, destination: Side) -> Comparison:
        """A whole migration, real QEMU to real QEMU, and the same simulated."""
        verdict = migrate(source.configuration(), destination.configuration())
        question = {"source": source.text, "destination": destination.text}
        return Comparison(self._migrated(source, destination), Answer.of(verdict), question)

    def _migrated(self, source: Side, destination: Side) -> Answer:
        with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
            path = Path(directory) / "stream"
            try:
                said = capture(self.command(source), path, timeout=self._timeout)
            except (QemuRefused, QmpRefused) as refused:
                return Answer(Outcome.SOURCE_REFUSED, (), refused.messages)
            except QemuStalled as stalled:
                return Answer(STALLED, (), stalled.messages)
            loaded = self._replayed(path, destination)
            return Answer(loaded.outcome, loaded.messages, said)

    def _replayed(self, stream: bytes | memoryview | Path, side: Side) -> Answer:
        try:
            real = replay(stream, self.command(side), timeout=self._timeout)
        except QemuStalled as stalled:
            return Answer(STALLED, stalled.messages)
        return Answer(real.outcome, real.messages)
