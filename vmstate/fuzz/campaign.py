"""Campaigns: seeds in batches on any executor; a campaign can be stopped at any time, and continued."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError, VmstateError
from vmstate.fuzz.folder import Folder, Progress
from vmstate.fuzz.plan import Plan
from vmstate.fuzz.tally import Found, Tally
from vmstate.fuzz.worker import Batch, prepare, run_batch
from vmstate.judge.disagreements import Disagreement

_REAL_BATCH, _SIMULATED_BATCH = 40, 1000  # a few seconds each
_SAVE_EVERY = 2.0  # seconds


class WorkerLost(VmstateError):
    """A process of the campaign died: it ran out of memory, or was killed.  Finished batches are kept."""


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

        Raises ConfigurationError if a target is not available, WorkerLost.
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
            running[executor.submit(run_batch, self.plan, self.known, batch)] = batch

    def _collect(self, running: dict[Future[Tally], Batch], progress: Progress, folder: Folder) -> None:
        """Wait for a batch and add its counts."""
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            batch = running.pop(future)
            if future.cancelled():
                continue
            try:
                tally = future.result()
            except BrokenProcessPool:
                raise WorkerLost(
                    f"a worker died between the runs {batch.first} and {batch.first + batch.count}"
                ) from None
            new = progress.tally.add(tally)
            progress.made(batch.first, batch.count)
            self.report(progress.tally, new)
        if time.monotonic() - self._saved > _SAVE_EVERY:
            folder.save(progress)
            self._saved = time.monotonic()


@contextmanager
def local(jobs: int) -> Iterator[Executor]:
    """Return an executor with ``jobs`` processes."""
    # Spawned, not forked: a worker must not inherit its parent's threads or memory.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=prepare) as pool:
        yield pool


@contextmanager
def scheduled(address: str, wait: float = 10.0) -> Iterator[tuple[Executor, int]]:
    """Return an executor on the Dask cluster at ``address``, and its number of workers.

    ``wait``: seconds to wait for an answer.  The workers need vmstate, and the plan's QEMU at the same path.
    Raises ConfigurationError if ``distributed`` is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigurationError("--scheduler needs Dask: pip install 'qemu-vmstate[cluster]'") from None
    try:
        connect: Any = Client
        client = connect(address, timeout=wait)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigurationError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        threads = sum(client.nthreads().values())
        client.run(prepare_worker)
        yield client.get_executor(pure=False), max(1, threads)


def prepare_worker() -> None:
    """Prepare a Dask worker, which handles interrupts itself; see :func:`vmstate.fuzz.worker.prepare`."""
    from vmstate.qemu.fast import no_core_files

    no_core_files()
