"""Take a stream out of its containers, layer by layer, and write it again in the same layers."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from vmstate.containers.nested import Nested, find_stream, offset_of
from vmstate.containers.pipes import Pipe
from vmstate.containers.protocol import Archive, Buffer, Container, Layer, Unwrapped, damage, pieces
from vmstate.containers.registry import container, recognise
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Finding, StreamError, Unsupported, naming

Source = str | os.PathLike[str] | Buffer | Pipe | IO[bytes]

MOST_UNPACKED, MOST_TIMES = 1 << 28, 1000
"""The most that a file may unpack to by default: bytes, and times its size (stripped streams: 130)."""

MAX_LAYERS = 8  # deeper nesting is an attack, not a stream
_PIPE_CHUNK = 1 << 20
_STREAMS = (b"QEVM", b"\x11\x22\x33\x44")  # the magics of a stream and of a multifd channel


@dataclass(frozen=True)
class Opened:
    """A stream taken out of its containers.

    ``data`` is the stream itself, read-only; ``layers`` are the containers around it, outermost first;
    ``findings`` report their faults.  ``origin`` is the offset of the verbatim stream in the outermost
    file, None if it was decompressed.  ``wrapped`` is the whole file.
    """

    data: memoryview
    layers: tuple[Layer, ...]
    findings: tuple[Finding, ...]
    origin: int | None
    wrapped: memoryview

    def rewrap(self, stream: Buffer | Iterable[Buffer]) -> Iterator[bytes]:
        """Yield the whole file around another stream; around the same stream, the file's own bytes.

        Raises Unsupported where a layer cannot be written.
        """
        if not isinstance(stream, Buffer):
            return rewrap(self.layers, stream)
        if _same(memoryview(stream), self.data):
            return pieces(self.wrapped)
        return rewrap(self.layers, pieces(stream), len(stream))

    def close(self) -> None:
        """Release the map.  Views taken from ``data`` keep it alive as long as they exist."""
        for view in (self.data, self.wrapped):
            try:
                view.release()
            except BufferError:  # an array still uses it; the garbage collector will close it
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_input(
    source: Source,
    *,
    limit: int | None = None,
    part: str | None = None,
    spool: Callable[[int], Spool] = Spool,
) -> Opened:
    """Open a stream in any containers.

    ``source`` is a path, "-" for standard input, bytes, or a binary file; ``IMAGE@NAME`` is the snapshot of
    that name in a qcow2 image, ``FILE@OFFSET`` what begins there in another file.  Regular files are mapped;
    large data from a pipe or a decompressor is kept in an unlinked temporary file.  ``limit`` bounds the size
    of each of these in bytes; by default a file may unpack to 256 MiB, or a thousand times its size.
    ``part`` chooses the stream of an archive, as after ``@``; ``spool`` makes what a
    decompressor writes to, for at most so many bytes.  Raises StreamError
    if the source cannot be read, TooLarge at the limit, Unsupported for what cannot be decompressed here.
    """
    with naming(source):
        return _open_input(source, limit, part, spool)


def _open_input(source: Source, limit: int | None, part: str | None, spool: Callable[[int], Spool]) -> Opened:
    if part is None:
        source, part = _parted(source)
    wrapped, origin = read_source(source, limit)
    data = wrapped
    room = limit if limit is not None else max(MOST_UNPACKED, MOST_TIMES * len(wrapped))
    layers: list[Layer] = []
    findings: list[Finding] = []
    expected: str | None = None
    while True:
        found, part = _container(data, part)
        findings += _contradiction(layers, expected, None if found is None else found.name, data)
        if found is None:
            break
        name = found.name
        if len(layers) == MAX_LAYERS:
            findings.append(damage(name, "nested", f"more than {MAX_LAYERS} nested containers", 0))
            break
        unwrapped = found.unwrap(data, lambda: spool(room))
        layers.append(Layer(name, unwrapped.metadata))
        findings += unwrapped.findings
        data, expected = unwrapped.data, unwrapped.inside
        origin = _add(origin, unwrapped)
    if part is not None:
        raise Unsupported(
            f"a file without snapshots has no {part!r}",
            remedy="qcow2 images have snapshots; in other files, FILE@OFFSET is what begins at that offset",
        )
    return Opened(data, tuple(layers), tuple(findings), origin, wrapped)


def _container(data: memoryview, part: str | None) -> tuple[Container | None, str | None]:
    """Return the container that the data are, None for anything else, and the part left to take."""
    name = recognise(bytes(data[:32]))
    found = None if name is None else container(name)
    if part is not None and isinstance(found, Archive):
        return found.part(part), None
    offset = None if part is None else offset_of(part)
    if offset is not None:
        return Nested(offset), None
    if found is None and bytes(data[:4]) not in _STREAMS and find_stream(data) is not None:
        return Nested(), part
    return found, part


def _parted(source: Source) -> tuple[Source, str | None]:
    """Split ``IMAGE@NAME`` if there is no file of the whole name."""
    if not isinstance(source, str | os.PathLike):
        return source, None
    path, separator, name = os.fspath(source).rpartition("@")
    if not separator or not path or Path(source).exists() or not Path(path).exists():
        return source, None
    return path, name


def rewrap(layers: Iterable[Layer], chunks: Iterable[Buffer], size: int | None = None) -> Iterator[bytes]:
    """Wrap a stream of ``size`` bytes, given in pieces, in these layers, listed outermost first."""
    wrapped: Iterable[Buffer] = chunks
    for layer in reversed(tuple(layers)):
        wrapped = container(layer.container).wrap(layer.metadata, wrapped, size)
        size = None  # the size of a compressed layer is known only at its end
    for chunk in wrapped:
        yield bytes(chunk)


def _add(origin: int | None, unwrapped: Unwrapped) -> int | None:
    if origin is None or unwrapped.verbatim is None:
        return None
    return origin + unwrapped.verbatim


def _contradiction(
    layers: list[Layer], expected: str | None, found: str | None, data: memoryview
) -> list[Finding]:
    """Compare the content that a container declares with the content found."""
    if expected is None or (found or "") == expected or not data:
        return []
    text = f"declares that it holds {expected or 'a raw stream'}, but holds {found or 'something else'}"
    return [damage(layers[-1].container, f"{layers[-1].container}.format", text, 0)]


def _same(one: memoryview, other: memoryview) -> bool:
    if len(one) != len(other):
        return False
    return all(a == b for a, b in zip(pieces(one), pieces(other), strict=True))


def read_source(source: Source, limit: int | None) -> tuple[memoryview, int | None]:
    """Return all bytes of the source as a view, and their offset in the file; None if from a pipe.

    Raises StreamError if it cannot be read, TooLarge beyond the limit of a pipe.
    """
    if isinstance(source, Buffer):
        return memoryview(source).toreadonly().cast("B"), 0
    try:
        if isinstance(source, str | os.PathLike):
            if source == "-":
                return _from_file(sys.stdin.buffer, limit)
            with open(source, "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered, for the map
                return _from_file(file, limit)
        if isinstance(source, Pipe):
            return _spool(source, limit), None
        return _from_file(source, limit)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StreamError(f"cannot read {_name(source)}: {reason}") from error


def _name(source: object) -> str:
    if source == "-":
        return "standard input"
    return str(source if isinstance(source, str | os.PathLike) else getattr(source, "name", "the given file"))


def _from_file(file: IO[bytes], limit: int | None) -> tuple[memoryview, int | None]:
    """Map a regular file from its current position; read anything else to its end."""
    try:
        descriptor = file.fileno()
    except (AttributeError, OSError, ValueError):
        return _spool(file, limit), None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return _spool(file, limit), None
    size, here = os.fstat(descriptor).st_size, file.tell()
    if here >= size:
        return memoryview(b""), here
    return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ))[here:], here


def _spool(file: IO[bytes] | Pipe, limit: int | None) -> memoryview:
    spool = Spool(limit)
    while chunk := file.read(_PIPE_CHUNK):
        spool.write(chunk)
    return spool.finish()
