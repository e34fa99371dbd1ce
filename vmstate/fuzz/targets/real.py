"""A real QEMU: one process for each stream."""

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
from vmstate.simulate.reloading import Beginning


class Real:
    """A real QEMU by its command line; a stream that takes more than ``timeout`` seconds is a hang."""

    def __init__(self, command: QemuCommand | str | Sequence[str], *, timeout: float = 10.0) -> None:
        self.command = command if isinstance(command, QemuCommand) else QemuCommand.parse(command)
        self._fast = FastReplay(self.command, timeout=timeout)
        self.release = self._fast.release
        self.name = f"QEMU {self.release}"

    def verify(self, base: bytes) -> None:
        """Check that the fast method gives the same answer for ``base`` as the careful one.

        Raises ConfigurationError if not, and the errors of :func:`vmstate.qemu.replay.replay`.
        """
        careful = replay(base, self.command)
        if careful.outcome == RealOutcome.DESTINATION_REFUSED:
            raise ConfigurationError(f"{self.name} does not start: {'; '.join(careful.messages)}")
        fast = self.run(memoryview(base))
        quick, slow = fast.answer, without_installation(careful.messages)
        if (quick.outcome, quick.messages) != (str(careful.outcome), slow):
            raise ConfigurationError(
                f"{self.name}: the fast method gives {quick.outcome}, the careful one {careful.outcome}"
            )

    def run(self, stream: memoryview, begins: Beginning | None = None) -> Run:
        """Load the stream in a new process."""
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
        """Remove the file."""
        self._fast.close()


def _outcome(ran: RunResult) -> str:
    if ran.returncode is None:
        return HANG
    if ran.returncode not in (0, 1):
        return str(RealOutcome.CRASH)
    return str(RealOutcome.ACCEPT if ran.returncode == 0 and ran.completed else RealOutcome.REJECT)
