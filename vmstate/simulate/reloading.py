"""A destination that loads many streams, each as a new process would.

The process is made once, and put back to its start before each load.  If a stream begins as an earlier one
does, its load goes on from the last section that they have in common.

Some of what a process leads to, no load changes: the machine as it was started, what modules hold by name,
descriptions.  All processes of a machine share it.  A process that leads to something that cannot be put back
is made anew for each load.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from typing import NamedTuple

from vmstate.describe import History, Plan, VMStateDescription
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Machine
from vmstate.savevm.loader import Loader
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.instance import Instance
from vmstate.simulate.snapshot import CannotBeRestored, Snapshot, reachable

#: Bytes behind its place that a loader may have looked at: the name of what could be a subsection.
_AHEAD = 512
#: Places that are kept of one stream, some kilobytes each; each second one goes when there are more.
_KEPT = 64


class Beginning(NamedTuple):
    """The bytes with which a stream begins: the first ``size`` ones of ``data``, which never changes."""

    data: bytes
    size: int


class _Place(NamedTuple):
    """A place of a stream between two sections, in bytes, and the process and the loader there."""

    offset: int
    loader: Loader
    snapshot: Snapshot


class Destination:
    """A process of ``built``, a machine that was started, which loads one stream after another.

    ``trace``: verdicts have every check.
    """

    def __init__(self, built: Machine, *, trace: bool = False) -> None:
        self._built, self._trace = built, trace
        self._process = Instance(built, trace=trace)
        self._shared = {id(one): one for one in _held_by_modules()}
        self._shared.update({id(one): one for one in reachable([built], self._is_shared)})
        self._places: dict[bytes, list[_Place]] = {}
        try:
            self._start: Snapshot | None = Snapshot([self._process], self._is_shared)
        except CannotBeRestored:
            self._start = None

    def load(self, stream: memoryview, begins: Beginning | None = None) -> Verdict:
        """Load a stream.  Raises NotModelled.

        ``begins``: how it begins, for streams of which many begin alike; the verdict does not depend on it.
        """
        if self._start is None:
            instance = Instance(self._built, trace=self._trace)
            verdict = instance.load(stream)
            instance.discard()
            return verdict
        place = None if begins is None else self._last_place(begins)
        try:
            if place is None:
                return self._process.load(stream)
            place.snapshot.restore()
            return self._process.go_on(place.loader, stream)
        finally:
            self._start.restore()

    def _last_place(self, begins: Beginning) -> _Place | None:
        places = self._places.get(begins.data)
        if places is None:
            places = self._places[begins.data] = self._places_in(begins.data)
        number = bisect_right(places, begins.size - _AHEAD, key=lambda place: place.offset)
        return places[number - 1] if number else None

    def _places_in(self, data: bytes) -> list[_Place]:
        """Load a stream, and keep what the process and its loader are between sections."""
        assert self._start is not None
        kept: list[_Place] = []
        step = seen = 0
        process = self._process

        def keep(loader: Loader) -> None:
            nonlocal kept, step, seen
            seen += 1
            loader.passed = None
            assert process.memory is not None
            if process.memory.was_read:  # it holds what may come later in this stream
                return
            if seen % (1 << step) == 0:
                if len(kept) == _KEPT:
                    kept, step = kept[1::2], step + 1
                try:
                    snapshot = Snapshot([process, loader], self._is_shared)
                except CannotBeRestored:
                    return
                kept.append(_Place(loader.cur.pos, loader, snapshot))
            loader.passed = keep

        try:
            process.load(memoryview(data), keep)
        except NotModelled:
            pass  # the places before are as good
        finally:
            self._start.restore()
        return kept

    def _is_shared(self, one: object) -> bool:
        return isinstance(one, Plan | History | VMStateDescription) or id(one) in self._shared


def _held_by_modules() -> list[object]:
    """Return the objects that the package's modules hold by name."""
    package = __name__.partition(".")[0]
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == package]
    return [one for module in modules for one in vars(module).values()]
