"""The simulated destination."""

from __future__ import annotations

import time

from vmstate.dataclass import replace
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.fuzz.faults import Run, escaped
from vmstate.judge.comparison import Answer
from vmstate.pseries.startup.build import build
from vmstate.qemu.replay import RealOutcome
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import Side, configuration
from vmstate.simulate.reloading import Beginning, Destination


class Simulated:
    """One machine, started once, for all streams.

    ``traced``: record which checks ran.  Raises ConfigurationError for a command line that is not modelled,
    or does not start.
    """

    def __init__(self, command: Side, *, traced: bool = False) -> None:
        start = build(configuration(command))
        if start.machine is None:
            raise ConfigurationError(f"the destination does not start: {'; '.join(start.messages)}")
        self.name = f"simulated {start.machine.release}"
        self._startup = start.messages
        self._destination = Destination(start.machine, trace=traced)

    def run(self, stream: memoryview, begins: Beginning | None = None) -> Run:
        """Load the stream."""
        start = time.perf_counter()
        try:
            verdict = self._destination.load(stream, begins)
        except NotModelled as unknown:
            answer = Answer(Outcome.NOT_MODELLED, (*self._startup, *unknown.messages))
            return Run(self.name, answer, seconds=time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 - a campaign looks for any exception that escapes
            fault = escaped(error)
            error.__traceback__ = None  # its frames hold the stream
            answer = Answer("escaped", self._startup)
            return Run(self.name, answer, (fault,), seconds=time.perf_counter() - start)
        answer = Answer.of(verdict)
        if verdict.aborted:
            answer = replace(answer, outcome=RealOutcome.CRASH)
        return Run(
            self.name,
            replace(answer, messages=(*self._startup, *answer.messages)),
            rules=frozenset(one.rule for one in verdict.trace),
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
