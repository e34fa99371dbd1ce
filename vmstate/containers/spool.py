"""Storage for a stream that is not in a file: in memory while small, then in an unlinked temporary file.

Resident memory stays bounded however large the stream is: more than :data:`IN_MEMORY` bytes are mapped from
the temporary file, which always disappears with the process.
"""

from __future__ import annotations

import mmap
from typing import IO, Protocol

from vmstate.errors import StreamError, TooLarge

IN_MEMORY = 16 << 20  # device state is a few MB: most streams without guest memory never touch the disk
_BUFFER = 1 << 16  # larger pieces go to the file at once
ROOM = 1 << 17  # bytes that a Readable may fill at least: what a zstd block unpacks to at most


class Readable(Protocol):
    """A source of a stream's bytes."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into the buffer, as much as there is room for; return the number of bytes, 0 at the end."""


class Spool:
    """Bytes that arrive in pieces and are read as one memory view once complete."""

    def __init__(self, limit: int | None = None) -> None:
        self.size = 0
        self._limit = limit
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._step = bytearray()

    def write(self, chunk: bytes | memoryview) -> None:
        """Append some bytes.  Raises TooLarge beyond the limit, StreamError when the disk is full."""
        self._count(len(chunk))
        if self._file is None and self.size <= IN_MEMORY:
            self._memory += chunk
            return
        try:
            self._to_file(chunk)
        except OSError as error:
            raise not_kept(error) from error

    def read_from(self, file: Readable) -> int:
        """Append what a file reads into 128 KiB or more; return the number of bytes, 0 at its end.

        The room is used again: new memory for each piece costs more than to fill it.  It raises what
        :meth:`write` does.
        """
        if not self._step:
            self._step = bytearray(ROOM)
        with memoryview(self._step) as room:
            came = file.readinto(room) or 0
            self.write(room[:came])
        return came

    def _count(self, size: int) -> None:
        self.size += size
        if self._limit is not None and self.size > self._limit:
            raise TooLarge(
                self._limit, remedy="raise the limit (--limit 4G) if this is not a decompression bomb"
            )

    def _to_file(self, chunk: bytes | memoryview) -> None:
        """Append bytes of more than fit in memory."""
        if self._file is None:
            import tempfile  # most streams stay in memory

            self._file = tempfile.TemporaryFile(prefix="vmstate-", buffering=_BUFFER)  # noqa: SIM115 - outlives this call
            self._file.write(self._memory)
            self._memory = bytearray()
        self._file.write(chunk)

    def finish(self) -> memoryview:
        """Return all bytes, read-only.  The spool cannot be used again."""
        if self._file is None:
            return memoryview(self._memory).toreadonly()
        try:
            with self._file as file:
                file.flush()
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except OSError as error:
            raise StreamError(f"cannot map the temporary file: {error.strerror or error}") from error


def not_kept(error: OSError) -> StreamError:
    """Return the error of a stream that a temporary file does not hold."""
    return StreamError(
        f"cannot keep the stream in a temporary file: {error.strerror or error}",
        remedy="point TMPDIR at a folder with more room",
    )
