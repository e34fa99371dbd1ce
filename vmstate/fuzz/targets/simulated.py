"""The simulated destination."""

from __future__ import annotations

import time
from dataclasses import replace

from vmstate.errors import ConfigurationError, VmstateError
from vmstate.fuzz.faults import Run, escaped
from vmstate.judge.comparison import Answer
from vmstate.pseries.startup.build import build
from vmstate.qemu.replay import RealOutcome
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import Side, configuration


class Simulated:
    """One machine, built once; every stream gets an instance of its own.

    ``traced``: note which checks ran.  Raises ConfigurationError for a command line that we do not model, or
    that does not start.
    """

    def __init__(self, command: Side, *, traced: bool = False) -> None:
        start = build(configuration(command))
        if start.machine is None:
            raise ConfigurationError(f"the destination does not start: {'; '.join(start.messages)}")
        self.name = f"simulated {start.machine.release}"
        self._machine = start.machine
        self._said = start.messages
        self._traced = traced

    def run(self, stream: memoryview) -> Run:
        """Load it."""
        start = time.perf_counter()
        try:
            verdict = Instance(self._machine, trace=self._traced).load(stream)
        except VmstateError as error:  # what we do not model, it says
            answer = Answer("unsupported", (str(error),))
            return Run(self.name, answer, seconds=time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 - whatever escapes is what a campaign looks for
            fault = escaped(error)
            error.__traceback__ = None  # its frames hold the stream
            answer = Answer("escaped", self._said)
            return Run(self.name, answer, (fault,), seconds=time.perf_counter() - start)
        answer = Answer.of(verdict)
        if verdict.aborted:
            answer = replace(answer, outcome=RealOutcome.CRASH)
        return Run(
            self.name,
            replace(answer, messages=(*self._said, *answer.messages)),
            rules=frozenset(one.rule for one in verdict.trace),
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None:
        """Nothing is held."""
