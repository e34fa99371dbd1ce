"""Work for many processes: of this machine (``--jobs``), or of a Dask cluster (``--scheduler``).

Functions of a user's file cannot be sent to another process.  So what is sent is a question, and each process
makes its own worker of it, once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, TypeVar

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError, VmstateError
from vmstate.users_code import blaming

Question = TypeVar("Question")
Task = TypeVar("Task")
Result = TypeVar("Result")
Begin = Callable[[Question], Callable[[Task], Result]]

_CHUNK = 8  # tasks that a worker takes at a time: a few tenths of a second
_OF_SERVER = ("PYTHONPATH", "PYTHONSAFEPATH")  # variables that its server has of its own
_AHEAD = 4  # chunks for each worker that are read before their turn


class WorkerLost(VmstateError):
    """A process died at its work: it ran out of memory, or was killed; or the cluster is gone."""


@dataclass(frozen=True)
class Pool:
    """An executor, and how many workers it has."""

    executor: Executor
    workers: int


@dataclass(frozen=True)
class Workers:
    """Where work is done: in ``jobs`` processes (None: one a core), or on the cluster of a scheduler."""

    jobs: int | None = None
    scheduler: str | None = None

    @property
    def processes(self) -> int | None:
        """The number of processes here; None on a cluster."""
        return None if self.scheduler is not None else self.jobs or os.cpu_count() or 1

    @contextlib.contextmanager
    def pool(self, module: str = __name__) -> Iterator[Pool]:
        """Return a pool; ``module`` is what its processes import.  Raises as :func:`scheduled` does."""
        with (
            local(self.jobs or os.cpu_count() or 1, module)
            if self.scheduler is None
            else scheduled(self.scheduler)
        ) as pool:
            yield pool

    def shuffled(
        self,
        begin: Begin[Question, Task, Result],
        question: Question,
        tasks: Sequence[Task],
        chunk: int = _CHUNK,
    ) -> Generator[list[Result], None, None]:
        """Yield the results of tasks in lists, as they come.

        ``begin`` makes a worker of the question, in each process; it is a function of a module.  The tasks
        are shuffled, always in the same way: if the work is interrupted, the finished part is a sample of
        the whole.  Closing the generator cancels the tasks that wait.  Raises WorkerLost.
        """
        mixed = list(tasks)
        random.Random(len(mixed)).shuffle(mixed)
        return self._results(begin, question, mixed, chunk, ordered=False)

    def ordered(
        self,
        begin: Begin[Question, Task, Result],
        question: Question,
        tasks: Iterable[Task],
        chunk: int = _CHUNK,
    ) -> Generator[list[Result], None, None]:
        """Yield the results of tasks in lists, in the order of the tasks, which are read as they are needed.

        The rest is as for :meth:`shuffled`.
        """
        return self._results(begin, question, tasks, chunk, ordered=True)

    def _results(
        self,
        begin: Begin[Question, Task, Result],
        question: Question,
        tasks: Iterable[Task],
        chunk: int,
        *,
        ordered: bool,
    ) -> Generator[list[Result], None, None]:
        left = iter(tasks)
        if self.processes == 1:
            worker = begin(question)
            yield from ([worker(task)] for task in left)
            return
        work = _Work(begin, question, str(Path.cwd()), os.urandom(8))
        running: deque[Future[list[Result]]] = deque()
        with self.pool(begin.__module__) as pool:
            try:
                while True:
                    with naming_the_lost():
                        while len(running) < _AHEAD * pool.workers and (some := list(islice(left, chunk))):
                            running.append(pool.executor.submit(work, some))
                        if not running:
                            return
                        future = running[0] if ordered else next(iter(_finished(running)))
                        running.remove(future)
                        done = future.result()
                    yield done
            finally:
                for future in running:
                    future.cancel()


def _finished(running: Iterable[Future[Result]]) -> set[Future[Result]]:
    return wait(running, return_when=FIRST_COMPLETED).done


@contextlib.contextmanager
def naming_the_lost(what: str = "") -> Iterator[None]:
    """Turn what executors raise when a worker died into WorkerLost; ``what``: where in the work."""
    try:
        yield
    except (BrokenProcessPool, CancelledError) as error:
        raise WorkerLost(f"a worker died{what}: {_why(error)}") from None
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # Dask's, after several workers died of this task
            raise
        raise WorkerLost(f"a worker died{what}: {error}") from None


def _why(error: BaseException) -> str:
    return "the cluster is gone" if isinstance(error, CancelledError) else "was it killed, or out of memory?"


@contextlib.contextmanager
def local(jobs: int, module: str = __name__) -> Iterator[Pool]:
    """Return a pool of ``jobs`` processes of this machine; what ``module`` needs is imported once for all."""
    # A worker must not inherit its parent's threads or memory: a server that has only imported forks them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", module])
    _start_server()
    ours = {name: os.environ.get(name) for name in _OF_SERVER}
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(ours,)) as executor:
        try:
            yield Pool(executor, jobs)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _start_server() -> None:
    """Start the server of this process, unless it runs: it imports what we do, and nothing of this folder."""
    before = {name: os.environ.get(name) for name in _OF_SERVER}
    os.environ.update(zip(_OF_SERVER, (os.pathsep.join(filter(None, sys.path)), "1"), strict=True))
    try:
        forkserver.ensure_running()
    finally:
        _restore(before)


def _restore(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _begin(variables: Mapping[str, str | None]) -> None:
    """Ignore Ctrl-C in this process, as the parent needs the running tasks; take the parent's variables."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _restore(variables)


@contextlib.contextmanager
def scheduled(address: str, wait: float = 10.0) -> Iterator[Pool]:
    """Return a pool on the Dask cluster at ``address``.  A task whose worker dies is given to another one.

    ``wait``: seconds to wait for an answer.  The workers need vmstate, and the files that are named, at the
    same paths.  Raises ConfigurationError if ``distributed`` is not installed, or no scheduler answers.
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
        # Work in threads of one process is done one after the other: a worker is a process.
        yield Pool(client.get_executor(pure=False), max(1, len(client.nthreads())))


@dataclass(frozen=True)
class _Work:
    """A message to a process: how to make a worker, the folder in which to work, and a key for both."""

    begin: Callable[[Any], Callable[[Any], Any]]
    question: object
    folder: str
    key: bytes

    def __call__(self, tasks: Sequence[Any]) -> list[Any]:
        with _one_at_a_time, blaming(), contextlib.chdir(self.folder):
            if self.key not in _workers:
                _workers.clear()
                _workers[self.key] = self.begin(self.question)
            worker = _workers[self.key]
            return [worker(task) for task in tasks]


_workers: dict[bytes, Callable[[Any], Any]] = {}
_one_at_a_time = threading.Lock()

HERE = Workers()  # one process for each core of this machine
