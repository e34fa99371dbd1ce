"""A real QEMU: a process for each stream."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vmstate.errors import ConfigurationError
from vmstate.fuzz.faults import Run, ended
from vmstate.judge.comparison import HANG, Answer, without_installation
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuStalled
from vmstate.qemu.fast import FastReplay, RunResult
from vmstate.qemu.replay import RealOutcome, replay


class Real:
    """``command``: a real QEMU's command line.  ``timeout``: seconds a stream; more is a hang."""

    def __init__(self, command: QemuCommand | str | Sequence[str], *, timeout: float = 10.0) -> None:
        self.command = command if isinstance(command, QemuCommand) else QemuCommand.parse(command)
        self._fast = FastReplay(self.command, timeout=timeout)
        self.release = self._fast.release
        self.name = f"QEMU {self.release}"

    def verify(self, base: bytes) -> None:
        """See that the fast way says of ``base`` what the careful way says.

        Raises ConfigurationError if not, and what :func:`vmstate.qemu.replay.replay` raises.
        """
        careful = replay(base, self.command)
        if careful.outcome == RealOutcome.DESTINATION_REFUSED:
            raise ConfigurationError(f"{self.name} does not start: {'; '.join(careful.messages)}")
        fast = self.run(memoryview(base))
        quick, slow = fast.answer, without_installation(careful.messages)
        if (quick.outcome, quick.messages) != (str(careful.outcome), slow):
            raise ConfigurationError(
                f"{self.name} says {quick.outcome} in a hurry, {careful.outcome} when asked with care"
            )

    def run(self, stream: memoryview) -> Run:
        """Let a new process load it."""
        start = time.monotonic()
        ran = self._fast.run(stream)
        outcome = _outcome(ran)
        if ran.undecided:
            ran, outcome = self._careful(stream)
        faults = ended(ran.returncode, ran.messages)
        seconds = time.monotonic() - start
        answer = Answer(outcome, without_installation(ran.messages))
        return Run(self.name, answer, faults, seconds=seconds)

    def _careful(self, stream: memoryview) -> tuple[RunResult, str]:
        try:
            verdict = replay(stream, self.command, timeout=self._fast.timeout)
        except QemuStalled as stalled:
            return RunResult(None, stalled.messages), HANG
        return RunResult(verdict.returncode, verdict.messages), str(verdict.outcome)

    def close(self) -> None:
        """Remove its file."""
        self._fast.close()


def _outcome(ran: RunResult) -> str:
    if ran.returncode is None:
        return HANG
    if ran.returncode not in (0, 1):
        return str(RealOutcome.CRASH)
    return str(RealOutcome.ACCEPT if ran.returncode == 0 and ran.completed else RealOutcome.REJECT)
