"""gzip (RFC 1952): members of a header, which is kept, raw deflate data, CRC-32 and length.

An unchanged stream is written identically when zlib made it as a single member at level 1, 6 or 9 (recorded
in the header).  Other compressors do not leave enough information in the file: then only the stream inside is
identical.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from vmstate.containers.compression import Family, Trailer, decompress
from vmstate.containers.protocol import Buffer, Unwrapped, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass

MAGIC = b"\x1f\x8b"
_FIXED = 10  # magic, method, flags, modification time, extra flags, operating system
_HCRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_LEVELS = {2: 9, 4: 1}  # the "extra flags" byte: slowest, fastest
_PLAIN_HEADER = MAGIC + b"\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True)
class GzipMetadata(Trailer):
    """The first member's header, verbatim."""

    header: bytes = _PLAIN_HEADER

    @property
    def level(self) -> int:
        """zlib's compression level, as far as the header records it."""
        return _LEVELS.get(self.header[8], 6)

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {**super().as_json(), "header": self.header.hex(), "level": self.level}


class _Decoder:
    """zlib's decompressor, with the interface of bz2's and lzma's."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        # Output may still be pending after all input is consumed, if the last call filled its limit.
        return not self._zlib.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        output = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(output) == max_length
        return output


_FAMILY = Family("gzip", MAGIC, _Decoder, (zlib.error,))


def header_length(data: memoryview) -> int | None:
    """Return the length of a member's header; None if it is truncated."""
    if len(data) < _FIXED:
        return None
    flags = data[3]
    position = _FIXED
    if flags & _EXTRA:
        if len(data) < position + 2:
            return None
        position += 2 + int(struct.unpack_from("<H", data, position)[0])
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            # Names are short: one that does not end within 64 KiB is damaged.
            end = bytes(data[position : position + (1 << 16)]).find(b"\0")
            if end < 0:
                return None
            position += end + 1
    if flags & _HCRC:
        position += 2
    return position if position <= len(data) else None


class Gzip:
    """The gzip container."""

    name = "gzip"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Decompress the stream; damage gives findings."""
        length = header_length(data)
        header = _PLAIN_HEADER if length is None else bytes(data[:length])
        members = decompress(_FAMILY, data, spool())
        metadata = GzipMetadata(members.count, data[members.end :], header)
        return Unwrapped(members.data, metadata, members.findings)

    def wrap(self, metadata: GzipMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Compress the stream into one member with the original header."""
        compressor = zlib.compressobj(metadata.level, wbits=-15)
        yield metadata.header
        checksum = length = 0
        for chunk in chunks:
            checksum = zlib.crc32(chunk, checksum)
            length += len(chunk)
            yield compressor.compress(chunk)
        yield compressor.flush()
        yield struct.pack("<II", checksum, length & 0xFFFFFFFF)
        yield from pieces(metadata.trailer)

    def plain_metadata(self) -> GzipMetadata:
        """Return a header without name or time, level 6."""
        return GzipMetadata()


CONTAINER = Gzip()
