"""Targets of ours held to bounds: ten times what the undamaged stream takes, and no growth of memory."""

from __future__ import annotations

import gc
import resource
import time
from dataclasses import dataclass, field, replace

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.faults import Fault, Kind, Run
from vmstate.fuzz.targets import Target

SLOWDOWN = 10.0
_NOISE = 0.05  # seconds that a busy machine may take from any run
_GROWTH = 256 << 10  # kilobytes by which one run may raise the peak of our memory
_WARM_UP = 3


@dataclass
class ResourceCheck:
    """What each target takes of each undamaged stream is measured when it gets the first that is damaged."""

    _limits: dict[tuple[Target, str], float] = field(default_factory=dict)
    _peak: int = 0

    def run(self, target: Target, stream: memoryview, base: Anatomy) -> Run:
        """The target's answer; with what is wrong about its time or memory, if something is."""
        limit = self._limits.get((target, base.sha256))
        if limit is None:
            limit = self._limits[target, base.sha256] = _limit(target, base)
            self._peak = _peak()
        run = target.run(stream)
        wrong = _slow(target, stream, limit) if run.seconds > limit else []
        before, self._peak = self._peak, _peak()
        if self._peak - before >= _GROWTH:
            text = f"the peak rose by {(self._peak - before) >> 10} MiB"
            wrong.append(Fault(Kind.MEMORY, "much memory", text))
        return replace(run, faults=(*run.faults, *wrong)) if wrong else run


def _limit(target: Target, base: Anatomy) -> float:
    taken = (target.run(memoryview(base.data)).seconds for _ in range(_WARM_UP))
    return SLOWDOWN * max(taken) + _NOISE


def _slow(target: Target, stream: memoryview, limit: float) -> list[Fault]:
    """Once more, in time of the processor: it may have been another's turn, or the collector's."""
    gc.collect()
    start = time.process_time()
    target.run(stream)
    took = time.process_time() - start
    return [Fault(Kind.SLOW, "it is slow", f"{took:.3f} s, of {limit:.3f}")] if took > limit else []


def _peak() -> int:
    """The most memory that this process ever had, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
