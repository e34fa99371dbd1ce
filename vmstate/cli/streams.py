"""The stream that a command was given: out of its containers, from a file or from a pipe."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vmstate.errors import Finding, StreamError
from vmstate.stream import Resolver, Stream, open_stream
from vmstate.stream.containers import Layer, Opened, Pipe, open_input, recognise
from vmstate.stream.pipe import read_chunks

_HEAD = 32
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Input:
    """A stream and what it came in.

    ``opened`` can write the same containers again; it is None for a bare stream from a pipe, of which guest
    memory was not kept.
    """

    name: str
    stream: Stream
    opened: Opened | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What was around the stream, outermost first."""
        return self.opened.layers if self.opened else ()

    @property
    def findings(self) -> list[Finding]:
        """What is wrong with the containers, then what is wrong with the stream's structure."""
        return [*(self.opened.findings if self.opened else ()), *self.stream.findings]


def open_argument(name: str, resolver: Resolver | None = None, *, whole: bool = False) -> Input:
    """Open the stream that a command's argument names; "-" is the standard input.

    A bare stream from a pipe is read without keeping guest memory, unless ``whole`` asks for every byte (to
    write it again).  Raises StreamError when it cannot be read, or is no migration stream.
    """
    with ExitStack() as stack:
        pipe = None if whole else _pipe(name, stack)
        if pipe is not None and recognise(pipe.head(_HEAD)) is None:
            return Input(name, read_chunks(iter(lambda: pipe.read(_CHUNK), b""), resolver))
        opened = open_input(name if pipe is None else pipe)
    return Input(name, open_stream(opened.data, resolver, opened.origin or 0), opened)


def _pipe(name: str, stack: ExitStack) -> Pipe | None:
    """The argument as a pipe; None when it is a regular file, which is mapped, or cannot be read."""
    if name == "-":
        return None if _is_regular(sys.stdin.buffer) else Pipe(sys.stdin.buffer)
    try:
        if not stat.S_ISFIFO(Path(name).stat().st_mode):
            return None
        return Pipe(stack.enter_context(Path(name).open("rb")))
    except (OSError, ValueError) as error:
        raise StreamError(f"cannot read {name}: {error}") from error


def _is_regular(file: IO[bytes]) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
