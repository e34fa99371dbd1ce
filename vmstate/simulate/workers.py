"""Tasks on all cores: each process makes its own worker, as functions of a user's file cannot be sent."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from vmstate.users_code import blaming

Question = TypeVar("Question")
Task = TypeVar("Task")
Result = TypeVar("Result")

_CHUNK = 8  # tasks that a worker takes at a time: a few tenths of a second


def run_tasks(
    begin: Callable[[Question], Callable[[Task], Result]],
    question: Question,
    tasks: Sequence[Task],
    jobs: int | None = None,
    chunk: int = _CHUNK,
) -> Generator[list[Result], None, None]:
    """Yield the results of tasks in lists, as they come.

    ``begin`` makes a worker of the question, in each of ``jobs`` processes (default: one for each core); it
    is a function of a module.  The tasks are shuffled, always in the same way: if the work is interrupted,
    the finished part is a sample of the whole.  Closing the generator cancels the tasks that wait.
    """
    shuffled = list(tasks)
    random.Random(len(shuffled)).shuffle(shuffled)
    count = jobs or os.cpu_count() or 1
    if count == 1:
        worker = begin(question)
        yield from ([worker(task)] for task in shuffled)
        return
    pool = ProcessPoolExecutor(count, initializer=_begin, initargs=(begin, question))
    try:
        chunks = [shuffled[start : start + chunk] for start in range(0, len(shuffled), chunk)]
        futures: list[Future[list[Result]]] = [pool.submit(_work, one) for one in chunks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: list[Callable[[Any], Any]] = []


def _begin(begin: Callable[[Any], Callable[[Any], Any]], question: object) -> None:
    """Initialise a process.  It ignores Ctrl-C: the parent still needs the running tasks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker[:] = [begin(question)]


def _work(tasks: Sequence[Any]) -> list[Any]:
    with blaming():
        return [_worker[0](task) for task in tasks]
