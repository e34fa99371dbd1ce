"""An end for code that may have none."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Endless(BaseException):
    """The device's own code took too long; nothing of it may catch that."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Endless after so many seconds of the processor; only the main thread has such a clock."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
