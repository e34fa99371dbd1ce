"""lzop: read and written by the `lzop` program, which must be installed.

libvirt runs the program too (``lzop -c`` and ``lzop -dc --ignore-warn``).  The file's header holds the time
and the program's version: rewriting is not identical, but the stream inside is.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from vmstate.containers.compression import Trailer
from vmstate.containers.protocol import Buffer, Unwrapped, damage, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported, quantity

MAGIC = b"\x89LZO\0\r\n\x1a\n"


@dataclass(frozen=True)
class LzopMetadata(Trailer):
    """Nothing but the trailer: the program accepts no metadata."""


def _program() -> str:
    program = shutil.which("lzop")
    if program is None:
        raise Unsupported("lzop data needs the `lzop` program, which is not installed", remedy="install lzop")
    return program


@dataclass
class _Outcome:
    """The outcome of the program: its status, and the last line of its errors."""

    status: int = 0
    complaint: str = ""


def _run(arguments: list[str], chunks: Iterable[Buffer], outcome: _Outcome) -> Iterator[bytes]:
    """Yield the program's output for some input in pieces; memory does not grow with either."""
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
            outcome.status = process.wait()
        finally:
            process.kill()
            feeder.join()
            listener.join()
    lines = b"".join(complaints).decode(errors="replace").splitlines()
    outcome.complaint = lines[-1].strip() if lines else f"status {outcome.status}"


def _feed(chunks: Iterable[Buffer], pipe: IO[bytes]) -> None:
    try:
        for chunk in chunks:
            for piece in pieces(chunk, 1 << 16):
                pipe.write(piece)
        pipe.close()
    except BrokenPipeError:
        pass  # the program gave up: its status shows why


def _listen(pipe: IO[bytes], complaints: list[bytes]) -> None:
    while piece := pipe.read(1 << 12):
        complaints[1:] = [piece]  # the last piece is enough, and bounded


class Lzop:
    """The lzop container."""

    name = "lzop"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Decompress the stream; damage gives findings.  Raises Unsupported without the program."""
        content = spool()
        outcome = _Outcome()
        for piece in _run(["-dc", "--ignore-warn"], [data], outcome):
            content.write(piece)
        findings = []
        if outcome.status != 0:
            kept = f"{quantity(content.size, 'byte')} of the stream kept"
            text = f"lzop could not read all of the data ({outcome.complaint}); {kept}"
            findings.append(damage("lzop", "damaged", text, 0))
        return Unwrapped(content.finish(), LzopMetadata(), tuple(findings))

    def wrap(self, metadata: LzopMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Compress the stream with ``lzop -c``.  Raises Unsupported without the program."""
        outcome = _Outcome()
        yield from _run(["-c"], chunks, outcome)
        if outcome.status != 0:
            raise Unsupported(f"lzop failed: {outcome.complaint}")

    def plain_metadata(self) -> LzopMetadata:
        """Return the program's defaults."""
        return LzopMetadata()


CONTAINER = Lzop()
