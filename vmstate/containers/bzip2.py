"""bzip2: the block size, in the header, determines the output.

So an unchanged stream in a single member is written identically.  Parallel compressors (pbzip2, lbzip2) write
many members; then only the stream inside is identical.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Iterable, Iterator, Mapping

from vmstate.containers.compression import Family, Trailer, decompress
from vmstate.containers.protocol import Buffer, Unwrapped, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass

MAGIC = b"BZh"
_FAMILY = Family("bzip2", MAGIC, bz2.BZ2Decompressor, (OSError, ValueError))


@dataclass(frozen=True)
class Bzip2Metadata(Trailer):
    """The block size, in units of 100 kB: 1 to 9."""

    level: int = 9

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {**super().as_json(), "level": self.level}


class Bzip2:
    """The bzip2 container."""

    name = "bzip2"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Decompress the stream; damage gives findings."""
        digit = data[3] - ord("0") if len(data) > 3 else 9
        members = decompress(_FAMILY, data, spool())
        level = digit if 1 <= digit <= 9 else 9
        metadata = Bzip2Metadata(members.count, data[members.end :], level)
        return Unwrapped(members.data, metadata, members.findings)

    def wrap(self, metadata: Bzip2Metadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Compress the stream into one member with the original block size."""
        compressor = bz2.BZ2Compressor(metadata.level)
        for chunk in chunks:
            yield compressor.compress(chunk)
        yield compressor.flush()
        yield from pieces(metadata.trailer)

    def plain_metadata(self) -> Bzip2Metadata:
        """Return the default block size, 900 kB."""
        return Bzip2Metadata()


CONTAINER = Bzip2()
