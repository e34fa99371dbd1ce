"""Report a mapped file that another process makes shorter, in place of a signal's silent end.

Reading a page of a map behind the file's new end raises SIGBUS.  Python's own handlers run too late for it,
when the reading is done, which never is; this one runs in place of the reading, and ends the process.
"""

from __future__ import annotations

import os
import signal

_MESSAGE = (
    b"vmstate: a file became shorter while it was read: another process writes to it; "
    b"try again when it is complete\n"
)


def report_shrunk_files(status: int) -> None:
    """End this process with a message and ``status`` when a mapped file loses the page that is read."""
    import ctypes

    def end(_signal: int) -> None:
        os.write(2, _MESSAGE)
        os._exit(status)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(end)
    _kept.append(handler)
    install = ctypes.CDLL(None).signal
    install.argtypes = [ctypes.c_int, ctypes.c_void_p]
    install.restype = ctypes.c_void_p
    install(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))


_kept: list[object] = []  # ctypes frees a callback that nobody refers to
