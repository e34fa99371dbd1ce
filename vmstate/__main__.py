"""The process of the ``vmstate`` command, also as ``python -m vmstate``: how it starts and how it ends.

A small command takes some 150 ms, and a third of that went to what this module saves.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys


def command() -> int:
    """Run the command of this process, and end the process; return the status if others have work left."""
    gc.disable()  # while modules are imported there is no garbage; the command sets its own pace (5 ms)
    from vmstate.cli import GARBAGE, main

    gc.set_threshold(GARBAGE)
    gc.enable()
    status = main()
    if not _others_go_on():
        _end(status)
    return status


def _others_go_on() -> bool:
    """Return True if something runs beside the command: a thread of a user's file, a profiler, a debugger."""
    threading = sys.modules.get("threading")
    threads = 1 if threading is None else threading.active_count()
    return threads > 1 or sys.getprofile() is not None or sys.gettrace() is not None


def _end(status: int) -> None:
    """End the process without looking for garbage, and without freeing object by object what it has (40 ms).

    The command has closed what it opened.  What is registered with ``atexit`` is done, as at any end.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to have them run
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    raise SystemExit(command())
