"""Campaigns: many mutated streams through show, verify and load; what must hold for every one of them.

1. Nothing escapes but our own errors; findings have offsets.
2. No run takes ten times as long as the undamaged stream.
3. Memory does not grow with the number of streams, nor beyond a bound.
"""

from __future__ import annotations

import gc
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random

from vmstate.compare.verify import verify
from vmstate.errors import Finding, StreamError, VmstateError
from vmstate.fuzz.bytewise import Mutation, Spot, mutation, spots
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.readable import meanings
from vmstate.simulate.migration import load
from vmstate.stream import open_stream
from vmstate.stream.content import Contents
from vmstate.stream.content.measuring import Measured
from vmstate.stream.content.nodes import is_open
from vmstate.stream.content.paths import walk
from vmstate.stream.content.readable import text_of_place

SLOWDOWN = 10.0
_NOISE = 0.05  # seconds that a busy machine may take from any run
_WARM_UP = 3
_SMALL, _SMALL_TICKETS = 1 << 20, 4  # small streams are taken more often: their runs are short

Operation = Callable[[bytes], list[Finding]]


@cache
def _declarations() -> PseriesDeclarations:
    """One for all runs: it keeps what it has compiled."""
    return PseriesDeclarations()


def show(data: bytes) -> list[Finding]:
    """What ``vmstate show`` does, without printing."""
    declarations = _declarations()
    stream = open_stream(data, Measured(declarations))
    known = meanings()
    for place in walk(Contents(stream, declarations)):
        if not is_open(place.node):
            text_of_place(place, known)
    return stream.findings


def check(data: bytes) -> list[Finding]:
    """What ``vmstate verify`` does."""
    declarations = _declarations()
    stream = open_stream(data, Measured(declarations))
    return list(verify(Contents(stream, declarations)).findings)


def loading(command: str) -> Operation:
    """What ``vmstate load --on COMMAND`` does."""

    def run(data: bytes) -> list[Finding]:
        load(data, command)
        return []

    return run


@dataclass
class Subject:
    """A stream to damage, and what an undamaged run takes."""

    name: str
    data: bytes
    operations: dict[str, Operation]
    spots: list[Spot] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def measure(self) -> None:
        """Find the numbers in the stream, and time each operation on the undamaged stream."""
        self.spots = spots(self.data)
        for name, operation in self.operations.items():
            self.seconds[name] = max(_timed(operation, self.data)[0] for _ in range(_WARM_UP))


@dataclass(frozen=True)
class Failure:
    """What must not be: ``what`` tells it, ``seed`` makes it again."""

    subject: str
    operation: str
    seed: int
    mutation: Mutation
    what: str

    def __str__(self) -> str:
        return f"{self.subject} {self.operation} seed {self.seed} ({self.mutation!s:.160}): {self.what}"


@dataclass
class Outcome:
    """A campaign's result: runs by operation and answer, the slowest run against its limit, peak memory."""

    streams: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    slowest: float = 0.0
    slowest_case: str = ""
    peak_bytes: int = 0


def seeded(subjects: list[Subject], seed: int) -> tuple[Subject, Mutation]:
    """The subject and mutation of one seed."""
    random = Random(seed)
    tickets = [_SMALL_TICKETS if len(subject.data) < _SMALL else 1 for subject in subjects]
    subject = random.choices(subjects, tickets)[0]
    return subject, mutation(subject.data, subject.spots, random)


def campaign(subjects: list[Subject], first: int, count: int) -> Iterator[Outcome]:
    """Run ``count`` mutated streams, seeds from ``first`` on; yields the outcome so far after each."""
    outcome = Outcome()
    for subject in subjects:
        subject.measure()
    for seed in range(first, first + count):
        subject, change = seeded(subjects, seed)
        data = change.apply(subject.data)
        for name, operation in subject.operations.items():
            _run(outcome, subject, name, operation, seed, change, data)
        outcome.streams += 1
        outcome.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        yield outcome


def _run(
    outcome: Outcome,
    subject: Subject,
    name: str,
    operation: Operation,
    seed: int,
    change: Mutation,
    data: bytes,
) -> None:
    seconds, answer, wrong = _timed(operation, data)
    outcome.runs[f"{name}: {answer}"] += 1
    limit = SLOWDOWN * subject.seconds[name] + _NOISE
    if seconds > limit:  # once more: another process may have had the processor, or the collector its turn
        gc.collect()
        seconds = min(seconds, _timed(operation, data)[0])
    if seconds / limit > outcome.slowest:
        outcome.slowest = seconds / limit
        outcome.slowest_case = f"{subject.name} {name} seed {seed}: {seconds:.3f} s, {change!s:.100}"
    if seconds > limit:
        wrong.append(f"took {seconds:.3f} s, undamaged {subject.seconds[name]:.3f} s")
    outcome.failures += [Failure(subject.name, name, seed, change, what) for what in wrong]


def _timed(operation: Operation, data: bytes) -> tuple[float, str, list[str]]:
    """Processor time, what came of it, and what must not have."""
    start = time.process_time()
    wrong: list[str] = []
    try:
        findings = operation(data)
    except VmstateError as error:
        answer = type(error).__name__
        if isinstance(error, StreamError) and error.offset is None:
            wrong.append(f"an error without an offset: {error}")
    except Exception as error:  # noqa: BLE001 - whatever escapes is what a campaign looks for
        answer = "escaped"
        wrong.append(f"{type(error).__name__}: {error}")
    else:
        answer = "findings" if findings else "fine"
        wrong += [f"without an offset: {f}" for f in findings if f.place.offset is None][:1]
    return time.process_time() - start, answer, wrong
