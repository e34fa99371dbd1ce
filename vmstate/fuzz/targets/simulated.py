"""The simulated destination."""

from __future__ import annotations

import time

from vmstate.errors import ConfigurationError, VmstateError
from vmstate.fuzz.faults import Answer, escaped
from vmstate.pseries.startup.build import build
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

    def run(self, stream: memoryview) -> Answer:
        """Load it."""
        start = time.perf_counter()
        try:
            verdict = Instance(self._machine, trace=self._traced).load(stream)
        except VmstateError as error:  # what we do not model, it says
            return Answer(self.name, "unsupported", (str(error),), seconds=time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 - whatever escapes is what a campaign looks for
            fault = escaped(error)
            error.__traceback__ = None  # its frames hold the stream
            return Answer(self.name, "escaped", self._said, (fault,), seconds=time.perf_counter() - start)
        decided = verdict.decided_by
        return Answer(
            self.name,
            "crash" if verdict.aborted else str(verdict.outcome),
            (*self._said, *verdict.messages),
            rule=None if decided is None else decided.rule,
            section=None if decided is None else decided.section,
            rules=frozenset(one.rule for one in verdict.trace),
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None:
        """Nothing is held."""
