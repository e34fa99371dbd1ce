"""Bounds on our own targets: ten times the time of the undamaged stream, and no growth of memory.

A stream that has grown may take more, in proportion.
"""

from __future__ import annotations

import gc
import resource
import time

from vmstate.dataclass import dataclass, field, replace
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.faults import Fault, Kind, Run
from vmstate.fuzz.targets import Target
from vmstate.simulate.reloading import Beginning

SLOWDOWN = 10.0
_NOISE = 0.05  # seconds by which a busy machine may delay any run
_PER_BYTE = 20e-6  # seconds; what a mutation adds may be nothing but framing
_GROWTH = 256 << 10  # kilobytes by which one run may raise the peak of our memory
_WARM_UP = 3


@dataclass
class ResourceCheck:
    """A check of time and memory: each target is first measured with each undamaged stream."""

    _limits: dict[tuple[Target, str], float] = field(default_factory=dict)
    _peak: int = 0

    def run(self, target: Target, stream: memoryview, base: Anatomy, same: int) -> Run:
        """Run the target; if it takes too much time or memory, add that to the faults of the run.

        ``same``: how many bytes the stream and the undamaged one have in common at their beginning.
        """
        limit = self._limits.get((target, base.sha256))
        if limit is None:
            limit = self._limits[target, base.sha256] = _limit(target, base)
            self._peak = _peak()
        limit += _PER_BYTE * max(0, len(stream) - len(base.data))
        run = target.run(stream, Beginning(base.data, same))
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
    """Measure again, in processor time: another process or the garbage collector may have run."""
    gc.collect()
    start = time.process_time()
    target.run(stream)
    took = time.process_time() - start
    return [Fault(Kind.SLOW, "it is slow", f"{took:.3f} s, of {limit:.3f}")] if took > limit else []


def _peak() -> int:
    """Return the peak memory of this process, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
