"""Write a file with holes: blocks of zeros take no room on the disk.

A mapped-ram stream has room for all of guest memory and is written sparsely by QEMU; a copy of it is too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import IO

BLOCK = 4096
_ZEROS = bytes(1 << 20)
_SAMPLED = 64  # one word of so many is looked at first


def zeros(size: int) -> Iterator[memoryview]:
    """Yield so many zeros, which :class:`Sparse` need not look at."""
    while size > 0:
        yield memoryview(_ZEROS)[:size]
        size -= len(_ZEROS)


class Sparse:
    """A new, empty file that is written from its beginning to its end; :meth:`finish` gives it its size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append some bytes; skip the blocks that are zero."""
        view = memoryview(chunk).cast("B")
        if view.obj is _ZEROS and not self._at % BLOCK and not len(view) % BLOCK:
            self._skip(len(view))
            return
        head = min(-self._at % BLOCK, len(view))
        whole = (len(view) - head) // BLOCK * BLOCK
        self._data(view[:head])
        if whole:
            self._blocks(view[head : head + whole])
        self._data(view[head + whole :])

    def finish(self) -> None:
        """End the file where the last byte was written, even if that is in a hole."""
        self._file.truncate(self._at)

    def _data(self, view: memoryview) -> None:
        if len(view):
            self._file.write(view)
            self._at += len(view)

    def _skip(self, size: int) -> None:
        self._at += size
        self._file.seek(self._at)

    def _blocks(self, view: memoryview) -> None:
        import numpy as np  # not for the small outputs of most commands

        words = np.frombuffer(view, np.uint64).reshape(-1, BLOCK // 8)
        used = np.asarray(words[:, ::_SAMPLED].any(axis=1))
        if not used.all():  # most blocks show with a few words that they are used
            rest = np.flatnonzero(~used)
            used[rest] = words[rest].any(axis=1)
        changes = np.flatnonzero(used[1:] != used[:-1]) + 1
        for start, end in pairwise([0, *changes.tolist(), len(used)]):
            if used[start]:
                self._data(view[start * BLOCK : end * BLOCK])
            else:
                self._skip((end - start) * BLOCK)
