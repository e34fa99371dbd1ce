"""Zstandard (RFC 8878), read block by block, which bounds the output of each step.

A block decompresses to at most 128 KiB, so memory stays bounded however dense the data is, and everything
before a damaged or missing block is kept.  The level is not in the file: an unchanged stream is written
identically only if the same library made it at level 3; otherwise only the stream inside is identical.  A
content size or checksum is written again if it was present.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, cast

import zstandard

from vmstate.containers.compression import Trailer, trailing
from vmstate.containers.protocol import Buffer, Unwrapped, damage, pieces
from vmstate.containers.spool import ROOM, Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Finding, Unsupported, quantity
from vmstate.mapped_pages import MappedPages

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = tuple(bytes((0x50 + i,)) + b"\x2a\x4d\x18" for i in range(16))
MAX_WINDOW = 128 << 20  # the largest that the zstd program accepts by default
_LEVEL = 3
_SAID = "zstd decompressor error: "  # the library begins otherwise, depending on how it is called


@dataclass(frozen=True)
class ZstdMetadata(Trailer):
    """Flags of the first frame: it states its content's size, and it ends with a checksum."""

    content_size: bool = True
    checksum: bool = True

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {**super().as_json(), "content_size": self.content_size, "checksum": self.checksum}


@dataclass(frozen=True)
class _FrameHeader:
    length: int
    window: int
    dictionary: bool
    content_size: bool
    checksum: bool


class _CutShort(Exception):
    """The data ends at ``position``, in the middle of a frame."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position


def _integer(data: memoryview, position: int, size: int) -> int:
    if position + size > len(data):
        raise _CutShort(position)
    return int.from_bytes(data[position : position + size], "little")


def _frame_header(data: memoryview, position: int) -> _FrameHeader:
    """Read a frame header: descriptor, window, dictionary id, content size (RFC 8878, section 3.1.1.1)."""
    descriptor = _integer(data, position + 4, 1)
    single_segment = bool(descriptor & 0x20)
    at = position + 5
    window = 0
    if not single_segment:
        code = _integer(data, at, 1)
        base = 1 << (10 + (code >> 3))
        window = base + (base >> 3) * (code & 7)
        at += 1
    dictionary_size = (0, 1, 2, 4)[descriptor & 3]
    dictionary = _integer(data, at, dictionary_size) != 0
    at += dictionary_size
    size_size = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    content = _integer(data, at, size_size) + (256 if size_size == 2 else 0)
    window = content if single_segment else window
    return _FrameHeader(at + size_size - position, window, dictionary, size_size > 0, bool(descriptor & 4))


def _steps(data: memoryview, position: int, header: _FrameHeader) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a frame to decompress one by one, as (start, end): header, each block, checksum."""
    start, position = position, position + header.length
    yield start, position
    last = False
    while not last:
        head = _integer(data, position, 3)
        last = bool(head & 1)
        size = 1 if head >> 1 & 3 == 1 else head >> 3  # one byte, repeated, or the block's size
        yield position, min(position + 3 + size, len(data))
        position += 3 + size
        if position > len(data):
            raise _CutShort(len(data))
    if header.checksum:
        _integer(data, position, 4)
        yield position, position + 4


class _Pieces:
    """The pieces of a frame as a file for zstd's reader; ``start``, ``end``: those of the last one."""

    def __init__(self, data: memoryview, position: int, header: _FrameHeader) -> None:
        self.start = self.end = position
        self._data = data
        self._pages = MappedPages(data)
        self._steps = _steps(data, position, header)

    def read(self, _size: int) -> memoryview:
        """Return the next piece; nothing after the last one."""
        self._pages.behind(self.start, self.end)
        self.start, self.end = next(self._steps, (self.end, self.end))
        return self._data[self.start : self.end]


class _Frame:
    """A frame as a file for a spool: each :meth:`readinto` unpacks whole blocks, or nothing at the end.

    ``pieces``: what it is read from, which must not refer to it: the library's reader is freed only when
    nothing refers to it, as the garbage collector does not see it.
    """

    def __init__(self, context: zstandard.ZstdDecompressor, pieces: _Pieces) -> None:
        self._reader = context.stream_reader(cast(IO[bytes], pieces))
        self._error: Exception | None = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Unpack the blocks that there is room for; an error is raised once what precedes it was returned."""
        at, came = 0, 1
        while came and len(buffer) - at >= ROOM and self._error is None:
            try:
                came = self._reader.readinto1(buffer[at:])
                at += came
            except (zstandard.ZstdError, _CutShort) as error:
                self._error = error
        if self._error is not None and not at:
            raise self._error
        return at


class _Reader:
    """A reader of consecutive frames into a spool."""

    def __init__(self, data: memoryview, spool: Spool) -> None:
        self.data = data
        self.position = 0
        self.frames = 0
        self.first: _FrameHeader | None = None
        self._spool = spool
        self._context = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)

    def run(self) -> list[Finding]:
        """Read all frames and return the findings; after damage, the position is that of the damage."""
        try:
            while self._at_frame():
                self._frame()
        except _CutShort as end:
            self.position = min(end.position, len(self.data))
            return [damage("zstd", "truncated", f"the zstd data ends within {self._where()}", self.position)]
        except zstandard.ZstdError as error:
            text = f"damaged zstd data ({_SAID}{str(error).rpartition(': ')[2]}) in {self._where()}"
            return [damage("zstd", "damaged", text, self.position)]
        rest = len(self.data) - self.position
        return [trailing("zstd", self.position, rest)] if rest else []

    def _where(self) -> str:
        return f"frame {self.frames}; {quantity(self._spool.size, 'byte')} of the stream kept"

    def _at_frame(self) -> bool:
        magic = bytes(self.data[self.position : self.position + 4])
        return magic == MAGIC or magic in SKIPPABLE

    def _frame(self) -> None:
        if bytes(self.data[self.position : self.position + 4]) != MAGIC:
            end = self.position + 8 + _integer(self.data, self.position + 4, 4)
            if end > len(self.data):
                raise _CutShort(len(self.data))
            self.position = end
            return
        header = _frame_header(self.data, self.position)
        self._refuse(header)
        self.first = self.first or header
        pieces = _Pieces(self.data, self.position, header)
        frame = _Frame(self._context, pieces)
        try:
            while self._spool.read_from(frame):
                pass
        except zstandard.ZstdError:
            self.position = pieces.start
            raise
        self.position = pieces.end
        self.frames += 1

    def _refuse(self, header: _FrameHeader) -> None:
        here = self.position
        if header.dictionary:
            raise Unsupported("compressed with a zstd dictionary", offset=here, remedy="decompress it first")
        if header.window > MAX_WINDOW:
            text = f"the zstd window is {header.window} bytes, more than {MAX_WINDOW}"
            raise Unsupported(text, offset=here, remedy="decompress it with `zstd -d --long=31`")


class Zstd:
    """The zstd container."""

    name = "zstd"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Decompress the stream; damage gives findings.  Unsupported for a dictionary or a huge window."""
        content = spool()
        reader = _Reader(data, content)
        findings = reader.run()
        first = reader.first or _FrameHeader(0, 0, dictionary=False, content_size=True, checksum=True)
        damaged = any(f.rule != "container.trailing" for f in findings)
        trailer = b"" if damaged else data[reader.position :]
        metadata = ZstdMetadata(reader.frames, trailer, first.content_size, first.checksum)
        return Unwrapped(content.finish(), metadata, tuple(findings))

    def wrap(self, metadata: ZstdMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Compress the stream into one frame, which states its content's size only if known beforehand."""
        compressor = zstandard.ZstdCompressor(
            level=_LEVEL, write_checksum=metadata.checksum, write_content_size=metadata.content_size
        )
        sink = compressor.compressobj(size=-1 if size is None else size)
        for chunk in chunks:
            yield sink.compress(chunk)
        yield sink.flush()
        yield from pieces(metadata.trailer)

    def plain_metadata(self) -> ZstdMetadata:
        """Return the zstd program's defaults: level 3, with a checksum."""
        return ZstdMetadata()


CONTAINER = Zstd()
