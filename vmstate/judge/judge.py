"""The simulator compared with real QEMUs: the same question to both."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vmstate.dataclass import dataclass, replace
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
    """One machine of a question: its release, and the arguments of its program."""

    release: Release
    arguments: tuple[str, ...]

    @staticmethod
    def of(release: Release, arguments: Sequence[str]) -> Side:
        """Make a side from any sequence of arguments."""
        return Side(release, tuple(arguments))

    @property
    def text(self) -> str:
        """The command line in the form of ``vmstate migrate``."""
        return shlex.join([f"qemu-{self.release}", *self.arguments])

    def configuration(self) -> Configuration:
        """Return the configuration for the simulator.  Raises ConfigurationError if it is not modelled."""
        return configured(self.release, self.arguments)


class Judge:
    """Compares the predictions of the simulator with the QEMUs ``binaries``, by release."""

    def __init__(self, binaries: Mapping[Release, Binary], *, timeout: float = 60.0) -> None:
        self._binaries = binaries
        self._timeout = timeout

    def command(self, side: Side) -> QemuCommand:
        """Return the side's real command line.  Raises ConfigurationError if its QEMU is not available."""
        binary = self._binaries.get(side.release)
        if binary is None:
            there = ", ".join(map(str, self._binaries)) or "none"
            raise ConfigurationError(f"QEMU {side.release} is not available; available: {there}")
        return QemuCommand.parse([binary.path, *side.arguments])

    def load(self, stream: bytes | memoryview, side: Side, question: Mapping[str, object]) -> Comparison:
        """Load an existing stream in a real and a simulated destination."""
        verdict = load(stream, side.configuration())
        return Comparison(self._replayed(stream, side), Answer.of(verdict), question)

    def stream(self, source: Side, destination: Side) -> Comparison | None:
        """Load a stream that the simulator writes in a real destination; None if a side does not start.

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
        """Do a whole migration, from a real QEMU to a real QEMU, and the same simulated."""
        verdict = migrate(source.configuration(), destination.configuration())
        question = {"source": source.text, "destination": destination.text}
        return Comparison(self._migrated(source, destination), Answer.of(verdict), question)

    def _migrated(self, source: Side, destination: Side) -> Answer:
        with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
            path = Path(directory) / "stream"
            try:
                messages = capture(self.command(source), path, timeout=self._timeout)
            except (QemuRefused, QmpRefused) as refused:
                return Answer(Outcome.SOURCE_REFUSED, (), refused.messages)
            except QemuStalled as stalled:
                return Answer(STALLED, (), stalled.messages)
            loaded = self._replayed(path, destination)
            return Answer(loaded.outcome, loaded.messages, messages)

    def _replayed(self, stream: bytes | memoryview | Path, side: Side) -> Answer:
        try:
            real = replay(stream, self.command(side), timeout=self._timeout)
        except QemuStalled as stalled:
            return Answer(STALLED, stalled.messages)
        return Answer(real.outcome, real.messages)
