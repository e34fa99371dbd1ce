"""A destination that loads many streams, each as a new process would.

The process is made once, and put back to its start after each load.  If a stream begins as an earlier one
does, its load goes on from the last section that they have in common.

Some of what a process leads to is not put back, as all processes share it: the machine as it was started,
what modules hold by name, descriptions.  A process that leads to something that cannot be put back is made
anew for each load.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import NamedTuple

from vmstate.describe import History, Plan, VMStateDescription
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Machine
from vmstate.savevm.loader import Loader
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.instance import Instance
from vmstate.simulate.snapshot import CannotBeRestored, Snapshot, reachable

_DESCRIPTIONS = (Plan, History, VMStateDescription)
#: Bytes behind its place that a loader may have looked at: the name of what could be a subsection.
_AHEAD = 512
#: The load from which on a process is kept: to be ready to put it back takes the time of four new ones.
_PAYS = 3
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
        self._loads = 0
        self._kept: tuple[Instance, Snapshot] | None = None
        self._places: dict[bytes, list[_Place]] = {}
        self._shared: dict[int, object] = {}

    def load(self, stream: memoryview, begins: Beginning | None = None) -> Verdict:
        """Load a stream.  Raises NotModelled.

        ``begins``: how it begins, for streams of which many begin alike; the verdict does not depend on it.
        """
        place = None if begins is None else self._last_place(begins)
        with self.process() as process:
            if place is None:
                return process.load(stream)
            place.snapshot.restore()
            return process.go_on(place.loader, stream)

    @contextmanager
    def process(self) -> Iterator[Instance]:
        """Yield a process as it is after its start, for use in the ``with`` block only."""
        self._loads += 1
        if self._loads == _PAYS:
            self._keep()
        if self._kept is None:
            process = self._new()
            try:
                yield process
            finally:
                process.discard()
        else:
            process, start = self._kept
            try:
                yield process
            finally:
                start.restore()

    def _new(self) -> Instance:
        return Instance(self._built, trace=self._trace)

    def _keep(self) -> None:
        """Make the process that is used from now on, if it can be put back."""
        if self._kept is None:
            process = self._new()
            self._shared.update({id(one): one for one in reachable([self._built], self._is_shared)})
            with suppress(CannotBeRestored):
                self._kept = process, Snapshot([process], self._is_shared)

    def _last_place(self, begins: Beginning) -> _Place | None:
        places = self._places.get(begins.data)
        if places is None:
            places = self._places[begins.data] = self._places_in(begins.data)
        number = bisect_right(places, begins.size - _AHEAD, key=lambda place: place.offset)
        return places[number - 1] if number else None

    def _places_in(self, data: bytes) -> list[_Place]:
        """Load a stream, and keep what the process and its loader are between sections."""
        self._keep()
        if self._kept is None:
            return []
        kept: list[_Place] = []
        step = seen = 0

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

        with self.process() as process, suppress(NotModelled):  # the places before are as good
            process.load(memoryview(data), keep)
        return kept

    def _is_shared(self, one: object) -> bool:
        return id(one) in self._shared or id(one) in _held() or isinstance(one, _DESCRIPTIONS)


def _held() -> dict[int, object]:
    """Return by their identities the objects that the package's modules hold by name."""
    return _held_by_modules(len(sys.modules))


@lru_cache(maxsize=1)
def _held_by_modules(_count: int) -> dict[int, object]:
    package = __name__.partition(".")[0]
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == package]
    return {id(one): one for module in modules for one in vars(module).values()}
