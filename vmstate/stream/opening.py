"""Open a stream from a file, a pipe or standard input, in any containers."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from vmstate.containers import Opened, Pipe, open_input
from vmstate.errors import StreamError
from vmstate.stream.constants import MAGIC_BYTES
from vmstate.stream.pipe import open_pipe
from vmstate.stream.reader import Stream, open_stream
from vmstate.stream.resolve import Resolver


def open_source(
    name: str | os.PathLike[str], resolver: Resolver | None = None, *, limit: int | None = None
) -> Opened:
    """Take a stream out of its containers, or make one of the channels in a folder; "-" is standard input.

    Raises StreamError when it cannot be read, TooLarge, Unsupported.
    """
    if name != "-" and os.path.isdir(name):  # noqa: PTH112 - false for a name with a null byte
        from vmstate.stream.multifd.folder import open_folder

        return open_folder(name, resolver, limit=limit)
    return open_input(name, limit=limit)


def open_wrapped(
    name: str | os.PathLike[str],
    resolver: Resolver | None = None,
    *,
    limit: int | None = None,
    whole: bool = False,
    contents: bool = True,
) -> tuple[Opened, Stream]:
    """Take a stream out of its containers and index it; "-" is standard input.

    A bare stream from a pipe is read without keeping guest memory (see :attr:`Stream.elided`) unless
    ``whole`` asks for every byte, as needed to write it again.  Without ``contents``, of the pages of a
    large compressed stream only the places are kept.  ``limit`` bounds the decompressed bytes.
    Raises StreamError when it cannot be read or is not a migration stream, TooLarge, Unsupported.
    """
    with ExitStack() as stack:
        pipe = None if whole else _pipe(name, stack)
        if pipe is not None and pipe.head(len(MAGIC_BYTES)) == MAGIC_BYTES:
            stream = open_pipe(pipe, resolver)
            return Opened(stream.data, (), (), None, stream.data), stream
        if pipe is None and not contents and not (name != "-" and os.path.isdir(name)):  # noqa: PTH112
            return _sifted(name, resolver, limit)
        opened = open_source(name, resolver, limit=limit) if pipe is None else open_input(pipe, limit=limit)
    return opened, open_stream(opened.data, resolver, opened.origin or 0)


def _sifted(
    name: str | os.PathLike[str], resolver: Resolver | None, limit: int | None
) -> tuple[Opened, Stream]:
    """Open a file; of a large stream that has to be decompressed, keep only the places of pages."""
    from vmstate.stream.sieve import Sieve

    sieves: list[Sieve] = []

    def spool(room: int) -> Sieve:
        sieves.append(Sieve(room, resolver))
        return sieves[-1]

    opened = open_input(name, limit=limit, spool=spool)
    stream = next((one.stream for one in sieves if one.stream and one.stream.data is opened.data), None)
    return opened, stream or open_stream(opened.data, resolver, opened.origin or 0)


def _pipe(name: str | os.PathLike[str], stack: ExitStack) -> Pipe | None:
    """Open the named file as a pipe; None when it is not one (a regular file is mapped instead)."""
    if name == "-":
        return None if _is_regular(sys.stdin.buffer) else Pipe(sys.stdin.buffer)
    try:
        if not stat.S_ISFIFO(Path(name).stat().st_mode):
            return None
        return Pipe(stack.enter_context(Path(name).open("rb")))
    except FileNotFoundError:
        return None  # it may be a part of a file: open_input says
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StreamError(f"cannot read {name}: {reason}") from error


def _is_regular(file: IO[bytes]) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
