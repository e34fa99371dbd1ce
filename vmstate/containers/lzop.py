"""lzop: read and written by the `lzop` program, which must be installed.

libvirt itself runs the program (``lzop -c``, and ``lzop -dc --ignore-warn``); so do we.  The file's header
holds the time and the program's version: rewriting is not identical, the stream inside is.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from vmstate.containers.compression import Trailer
from vmstate.containers.protocol import Buffer, Unwrapped, damage, pieces
from vmstate.containers.spool import Spool
from vmstate.errors import Unsupported

MAGIC = b"\x89LZO\0\r\n\x1a\n"


@dataclass(frozen=True)
class LzopMetadata(Trailer):
    """Nothing that could be given back to the program."""


def _program() -> str:
    program = shutil.which("lzop")
    if program is None:
        raise Unsupported("lzop data needs the `lzop` program, which is not installed", remedy="install lzop")
    return program


@dataclass
class _Ended:
    """How the program ended: its status, the last line that it complained with."""

    status: int = 0
    complaint: str = ""


def _run(arguments: list[str], chunks: Iterable[Buffer], ended: _Ended) -> Iterator[bytes]:
    """The program's output for some input, piece by piece; memory does not grow with either."""
    with subprocess.Popen(
        [_program(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        complaints: list[bytes] = []
        feeder = threading.Thread(target=_feed, args=(chunks, process.stdin), daemon=True)
        listener = threading.Thread(target=_listen, args=(process.stderr, complaints), daemon=True)
        feeder.start()
        listener.start()
        try:
            while piece := process.stdout.read(1 << 16):
                yield piece
            ended.status = process.wait()
        finally:
            process.kill()
            feeder.join()
            listener.join()
    lines = b"".join(complaints).decode(errors="replace").splitlines()
    ended.complaint = lines[-1].strip() if lines else f"status {ended.status}"


def _feed(chunks: Iterable[Buffer], pipe: IO[bytes]) -> None:
    try:
        for chunk in chunks:
            for piece in pieces(chunk, 1 << 16):
                pipe.write(piece)
        pipe.close()
    except BrokenPipeError:
        pass  # the program gave up: its status tells


def _listen(pipe: IO[bytes], complaints: list[bytes]) -> None:
    while piece := pipe.read(1 << 12):
        complaints[1:] = [piece]  # the last piece is enough, and bounded


class Lzop:
    """The lzop container."""

    name = "lzop"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Take the stream out; damage gives findings.  Raises Unsupported without the program."""
        content = spool()
        ended = _Ended()
        for piece in _run(["-dc", "--ignore-warn"], [data], ended):
            content.write(piece)
        findings = []
        if ended.status != 0:
            text = f"lzop could not read it all ({ended.complaint}); {content.size} bytes of the stream kept"
            findings.append(damage("lzop", "damaged", text, 0))
        return Unwrapped(content.finish(), LzopMetadata(), tuple(findings))

    def wrap(self, metadata: LzopMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """What ``lzop -c`` makes of it.  Raises Unsupported without the program."""
        ended = _Ended()
        yield from _run(["-c"], chunks, ended)
        if ended.status != 0:
            raise Unsupported(f"lzop failed: {ended.complaint}")

    def plain_metadata(self) -> LzopMetadata:
        """The program's defaults."""
        return LzopMetadata()


CONTAINER = Lzop()
