"""A pipe whose first bytes can be examined before it is read."""

from __future__ import annotations

import fcntl
from contextlib import suppress
from time import sleep
from typing import IO

ROOM = 1 << 20  # what Linux allows any user by default
_PAUSE = 200e-6


class Pipe:
    """A binary file that cannot seek: :meth:`head` looks ahead, and :meth:`read` starts with those bytes.

    A pipe of the kernel gets more room, and time to fill it where little came: to wake a process that waits,
    on another core, costs as much as to read half a megabyte.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._room = _give_room(file)
        self._drained = False
        self._file = file
        self._ahead = b""
        self.name = getattr(file, "name", "a pipe")

    def head(self, size: int) -> bytes:
        """Return the next ``size`` bytes (fewer at the end), which :meth:`read` returns again."""
        while len(self._ahead) < size:
            more = self._file.read(size - len(self._ahead))
            if not more:
                break
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, or all if ``size`` is negative; nothing at the end."""
        if size < 0:
            ahead, self._ahead = self._ahead, b""
            return ahead + self._file.read()
        if self._ahead:
            ahead, self._ahead = self._ahead[:size], self._ahead[size:]
            return ahead
        return self._file.read(size)

    def readinto(self, buffer: memoryview) -> int:
        """Read what there is into the buffer; return the number of bytes, 0 at the end."""
        if self._ahead:
            ahead = self.read(len(buffer))
            buffer[: len(ahead)] = ahead
            return len(ahead)
        if self._drained:
            sleep(_PAUSE)
        came: int = self._file.readinto1(buffer)  # type: ignore[attr-defined]  # typeshed lacks it
        self._drained = came < min(self._room, len(buffer)) // 2
        return came


def _give_room(file: IO[bytes]) -> int:
    """Return how much the pipe has room for; 0 for another file."""
    room = 0
    with suppress(AttributeError, OSError, TypeError, ValueError):  # no pipe or no more room: only slower
        room = fcntl.fcntl(file, fcntl.F_GETPIPE_SZ)
        if room < ROOM:
            room = fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, ROOM)
    return room
