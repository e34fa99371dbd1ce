"""lz4 frames (``exec:lz4``): read and written with the package lz4, of the extra ``qemu-vmstate[lz4]``.

The header says the size of the blocks and which checksums there are, and a frame is written again with the
same ones; the level is not in the file: an unchanged stream is written identically only at the fastest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from vmstate.containers.compression import Family, Trailer, decompress
from vmstate.containers.protocol import Buffer, Unwrapped, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported

MAGIC = b"\x04\x22\x4d\x18"
_INDEPENDENT, _BLOCK_CHECKSUM, _SIZE, _CHECKSUM = 0x20, 0x10, 0x08, 0x04
_PROGRAM = (0x64, 0x70)  # of `lz4`: independent blocks of 4 MiB, a checksum of the content


@dataclass(frozen=True)
class Lz4Metadata(Trailer):
    """The descriptor of the first frame: its flags, and the byte with the size of its blocks."""

    flags: int = _PROGRAM[0]
    block: int = _PROGRAM[1]

    @property
    def block_size_id(self) -> int:
        """4 to 7: blocks of at most 64 KiB, 256 KiB, 1 MiB, 4 MiB."""
        found = self.block >> 4 & 7
        return found if found >= 4 else 7

    @property
    def block_size(self) -> int:
        """The most bytes in a block."""
        return 1 << 8 + 2 * self.block_size_id

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {
            **super().as_json(),
            "block_size": self.block_size,
            "independent_blocks": bool(self.flags & _INDEPENDENT),
            "checksum": bool(self.flags & _CHECKSUM),
        }


def _frames() -> Any:
    try:
        import lz4.frame
    except ImportError:
        raise Unsupported(
            "lz4 data needs the package lz4, which is not installed",
            remedy="pip install 'qemu-vmstate[lz4]', or decompress it with `lz4 -d` first",
        ) from None
    return lz4.frame


class Lz4:
    """The lz4 container."""

    name = "lz4"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Decompress the stream; damage gives findings.  Raises Unsupported without the package."""
        frames = _frames()
        family = Family("lz4", MAGIC, frames.LZ4FrameDecompressor, (RuntimeError,))
        members = decompress(family, data, spool())
        flags, block = (data[4], data[5]) if len(data) > 5 else _PROGRAM
        metadata = Lz4Metadata(members.count, data[members.end :], flags, block)
        return Unwrapped(members.data, metadata, members.findings)

    def wrap(self, metadata: Lz4Metadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Compress the stream into one frame like the first one, block by block."""
        flags = metadata.flags
        compressor = _frames().LZ4FrameCompressor(
            block_size=metadata.block_size_id,
            block_linked=not flags & _INDEPENDENT,
            content_checksum=bool(flags & _CHECKSUM),
            block_checksum=bool(flags & _BLOCK_CHECKSUM),
            auto_flush=True,
        )
        yield compressor.begin((size or 0) if flags & _SIZE else 0)
        for block in _blocks(chunks, metadata.block_size):
            yield compressor.compress(block)
        yield compressor.flush()
        yield from pieces(metadata.trailer)

    def plain_metadata(self) -> Lz4Metadata:
        """Return what the program `lz4` does by default."""
        return Lz4Metadata()


def _blocks(chunks: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """Yield the bytes of the chunks in blocks of exactly ``size`` bytes, but for the last one."""
    held = bytearray()
    for chunk in chunks:
        for piece in pieces(chunk):
            held += piece
            while len(held) >= size:
                yield bytes(held[:size])
                del held[:size]
    if held:
        yield bytes(held)


CONTAINER = Lz4()
