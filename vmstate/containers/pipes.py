"""A pipe whose first bytes can be examined before it is read."""

from __future__ import annotations

import fcntl
from contextlib import suppress
from typing import IO

ROOM = 1 << 20  # what Linux allows any user by default


class Pipe:
    """A binary file that cannot seek: :meth:`head` looks ahead, and :meth:`read` starts with those bytes.

    A pipe of the kernel gets more room: its two processes then wait less often for each other.
    """

    def __init__(self, file: IO[bytes]) -> None:
        _give_room(file)
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
        """Read into the buffer, as :meth:`read` does; return the number of bytes, 0 at the end."""
        if self._ahead:
            ahead = self.read(len(buffer))
            buffer[: len(ahead)] = ahead
            return len(ahead)
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]  # typeshed lacks it


def _give_room(file: IO[bytes]) -> None:
    with suppress(AttributeError, OSError, TypeError, ValueError):  # no pipe or no more room: only slower
        if fcntl.fcntl(file, fcntl.F_GETPIPE_SZ) < ROOM:
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, ROOM)
