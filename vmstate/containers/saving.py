"""Write a file in pieces, all or nothing, even over the file that is being read."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from vmstate.containers.holes import Sparse
from vmstate.containers.protocol import Buffer
from vmstate.errors import StreamError


def save(path: str | os.PathLike[str], chunks: Iterable[Buffer]) -> int:
    """Write the pieces to ``path`` ("-" is standard output).  Return the number of bytes written.

    A regular file is replaced once the new one is complete: readers, and maps of the old one, never see half
    a file.  Blocks of zeros become holes.  Raises StreamError if that fails.  Exceptions of the pieces'
    iterator pass through, and leave the old file untouched.
    """
    if path == "-":
        return _copy(chunks, sys.stdout.buffer.write)
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a pipe, /dev/stdout, /dev/null
            with target.open("wb") as file:
                return _copy(chunks, file.write)
        return _replace(target.resolve(), chunks)
    except OSError as error:
        raise StreamError(f"cannot write {target}: {error.strerror or error}") from error


def _copy(chunks: Iterable[Buffer], write: object) -> int:
    size = 0
    for chunk in chunks:
        write(chunk)  # type: ignore[operator]
        size += len(chunk)
    return size


def _replace(target: Path, chunks: Iterable[Buffer]) -> int:
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            sparse = Sparse(file)
            size = _copy(chunks, sparse.write)
            sparse.finish()
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return size


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
