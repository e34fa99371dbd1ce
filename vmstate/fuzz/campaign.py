"""Campaigns: seeds in batches on any executor; a campaign can be stopped at any time, and continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path

from vmstate.dataclass import dataclass, field
from vmstate.fuzz.folder import Folder, Progress
from vmstate.fuzz.plan import Plan
from vmstate.fuzz.tally import Found, Tally
from vmstate.fuzz.worker import Batch, run_batch
from vmstate.judge.disagreements import Disagreement
from vmstate.workers import naming_the_lost

_REAL_BATCH, _SIMULATED_BATCH = 40, 1000  # a few seconds each
_SAVE_EVERY = 2.0  # seconds


@dataclass
class Limits:
    """The limits of a campaign: runs in all, and seconds; it ends at whichever comes first."""

    runs: int | None = None
    seconds: float | None = None


@dataclass
class Campaign:
    """A campaign; ``report`` is called after each batch with the tally so far and the new findings."""

    plan: Plan
    limits: Limits
    folder: Path | None = None
    known: tuple[Disagreement, ...] = ()
    report: Callable[[Tally, list[Found]], None] = lambda _tally, _new: None
    interrupted: bool = False
    _saved: float = field(default=0.0, repr=False)

    def run(self, executor: Executor, jobs: int = 1) -> Tally:
        """Run until the limits; an interrupt ends it cleanly: running batches are finished and kept.

        Raises ConfigurationError if a target is not available, WorkerLost; finished batches are kept.
        """
        folder = Folder(self.folder, self.plan)
        progress = folder.load()
        size = _SIMULATED_BATCH if self.plan.real is None else _REAL_BATCH
        todo = iter(progress.todo(size, self.limits.runs))
        ends = None if self.limits.seconds is None else time.monotonic() + self.limits.seconds
        running: dict[Future[Tally], Batch] = {}
        try:
            while True:
                if ends is None or time.monotonic() < ends:
                    self._fill(executor, running, todo, 2 * jobs)
                if not running:
                    break
                self._collect(running, progress, folder)
        except KeyboardInterrupt:
            self.interrupted = True
            for future in running:
                future.cancel()
            while running:
                self._collect(running, progress, folder)
        finally:
            for future in running:
                future.cancel()
            folder.save(progress)
            folder.close()
        return progress.tally

    def _fill(
        self,
        executor: Executor,
        running: dict[Future[Tally], Batch],
        todo: Iterator[tuple[int, int]],
        most: int,
    ) -> None:
        while len(running) < most:
            span = next(todo, None)
            if span is None:
                return
            batch = Batch(*span)
            with naming_the_lost():
                running[executor.submit(run_batch, self.plan, self.known, batch)] = batch

    def _collect(self, running: dict[Future[Tally], Batch], progress: Progress, folder: Folder) -> None:
        """Wait for a batch and add its counts."""
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            batch = running.pop(future)
            if self.interrupted and future.cancelled():
                continue
            with naming_the_lost(f" between the runs {batch.first} and {batch.first + batch.count}"):
                tally = future.result()
            new = progress.tally.add(tally)
            progress.made(batch.first, batch.count)
            self.report(progress.tally, new)
        if time.monotonic() - self._saved > _SAVE_EVERY:
            folder.save(progress)
            self._saved = time.monotonic()
