"""The simulated destination, and now and then all else that we do with a stream."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable

from vmstate.errors import ConfigurationError, VmstateError
from vmstate.fuzz.faults import Answer, Fault, Kind, escaped, template
from vmstate.fuzz.robustness import check, show
from vmstate.simulate.instance import Instance
from vmstate.simulate.machine import build
from vmstate.simulate.migration import Side, configuration
from vmstate.simulate.verdict import Verdict

SLOWDOWN = 10.0
_NOISE = 0.05  # seconds that a busy machine may take from any run
_GROWTH = 256 << 10  # kilobytes by which one run may raise the peak of our memory


class Simulated:
    """One machine, built once; every stream gets an instance of its own.

    ``base``: the undamaged stream, by which slow runs are known.  ``sample``: of so many streams one is also
    shown and verified, and its checks are traced; 0 for none.  Raises ConfigurationError for a command line
    that we do not model, or that does not start.
    """

    def __init__(self, command: Side, base: bytes | None = None, *, sample: int = 0) -> None:
        start = build(configuration(command))
        if start.machine is None:
            raise ConfigurationError(f"the destination does not start: {'; '.join(start.messages)}")
        self.name = f"simulated {start.machine.release}"
        self._machine = start.machine
        self._said = start.messages
        self._sample = sample
        self._count = 0
        self._limits: dict[str, float] = {}
        self._peak = _peak()
        self._always, self._rarely = self._operations(sampled=False), self._operations(sampled=True)
        if base is not None:
            self._measure(base)

    def _measure(self, base: bytes) -> None:
        for name, operation in self._rarely.items():
            seconds = max(_timed(operation, memoryview(base))[0] for _ in range(3))
            self._limits[name] = SLOWDOWN * seconds + _NOISE
        self._peak = _peak()

    def _operations(self, *, sampled: bool) -> dict[str, Callable[[memoryview], object]]:
        every: dict[str, Callable[[memoryview], object]] = {"load": self._traced if sampled else self._load}
        if sampled:
            every["show"] = lambda stream: show(bytes(stream))
            every["verify"] = lambda stream: check(bytes(stream))
        return every

    def _load(self, stream: memoryview) -> Verdict:
        return Instance(self._machine).load(stream)

    def _traced(self, stream: memoryview) -> Verdict:
        return Instance(self._machine, []).load(stream)

    def run(self, stream: memoryview) -> Answer:
        """Load it; if it is its turn, also show and verify it."""
        self._count += 1
        sampled = self._sample > 0 and self._count % self._sample == 0
        faults: list[Fault] = []
        verdict: Verdict | None = None
        seconds = 0.0
        for name, operation in (self._rarely if sampled else self._always).items():
            took, result, wrong = _timed(operation, stream)
            faults += wrong
            faults += self._too_slow(name, operation, stream, took)
            if name == "load" and isinstance(result, Verdict):
                verdict, seconds = result, took
        faults += self._too_big()
        if verdict is None:
            return Answer(self.name, "escaped", self._said, tuple(faults), seconds=seconds)
        decided = verdict.decided_by
        return Answer(
            self.name,
            "crash" if verdict.aborted else str(verdict.outcome),
            (*self._said, *verdict.messages),
            tuple(faults),
            rule=None if decided is None else decided.rule,
            section=None if decided is None else decided.section,
            rules=frozenset(one.rule for one in verdict.trace),
            seconds=seconds,
        )

    def _too_slow(
        self, name: str, operation: Callable[[memoryview], object], stream: memoryview, took: float
    ) -> list[Fault]:
        limit = self._limits.get(name)
        if limit is None or took <= limit:
            return []
        gc.collect()  # once more, in time of the processor: it was another's turn, or the collector's
        start = time.process_time()
        _timed(operation, stream)
        took = time.process_time() - start
        return [Fault(Kind.SLOW, f"{name} is slow", f"{took:.3f} s, of {limit:.3f}")] if took > limit else []

    def _too_big(self) -> list[Fault]:
        before, self._peak = self._peak, _peak()
        if not self._limits or self._peak - before < _GROWTH:
            return []
        return [Fault(Kind.MEMORY, "much memory", f"the peak rose by {(self._peak - before) >> 10} MiB")]

    def close(self) -> None:
        """Nothing is held."""


def _timed(
    operation: Callable[[memoryview], object], stream: memoryview
) -> tuple[float, object, list[Fault]]:
    """Seconds by the clock, the result, and what escaped.  Errors of ours are answers."""
    start = time.perf_counter()
    result: object = None
    wrong: list[Fault] = []
    try:
        result = operation(stream)
    except VmstateError as error:
        result = template(str(error))
    except Exception as error:  # noqa: BLE001 - whatever escapes is what a campaign looks for
        wrong.append(escaped(error))
        error.__traceback__ = None  # its frames hold the stream
    return time.perf_counter() - start, result, wrong


def _peak() -> int:
    """The most memory that this process ever had, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
