"""xz: the headers record the check and the dictionary size, but not the rest of the preset.

An unchanged stream is written identically when the same liblzma made it as one block at preset 0, 1, 2, 3,
6, 7, 8 or 9 (libvirt uses 3).  The dictionary size identifies these presets; 4 and 5 share theirs with 3 and
6.  Otherwise only the stream inside is identical.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping

from vmstate.containers.compression import Family, Members, Trailer, decompress
from vmstate.containers.protocol import Buffer, Unwrapped, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported

MAGIC = b"\xfd7zXZ\0"
MEMORY_LIMIT = 256 << 20  # preset 9 needs 65 MiB; a header may claim 4 GiB
_PRESETS = {18: 0, 20: 1, 21: 2, 22: 3, 23: 6, 24: 7, 25: 8, 26: 9}  # by the dictionary size's power of two
_LZMA2 = 0x21
_CHECKS = {lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256}


def _decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT)


_FAMILY = Family("xz", MAGIC, _decoder, (lzma.LZMAError, EOFError))


@dataclass(frozen=True)
class XzMetadata(Trailer):
    """The integrity check (an lzma.CHECK_… number) and the preset, as far as the headers record it."""

    check: int = lzma.CHECK_CRC64
    preset: int = 6

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {**super().as_json(), "check": self.check, "preset": self.preset}


def _preset(data: memoryview) -> int:
    """Return the preset for the first block's dictionary size; 6 if the block has filters besides LZMA2."""
    # The block header follows the stream header of 12 bytes: size, flags (filter count, sizes present),
    # filter id, length of its properties, and for LZMA2 one byte that codes the dictionary size.
    if len(data) < 17 or data[13] & 0xC3 or data[14] != _LZMA2 or data[15] != 1:
        return 6
    code = data[16]
    return _PRESETS.get(code // 2 + 12, 6) if code % 2 == 0 else 6


class Xz:
    """The xz container."""

    name = "xz"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Decompress the stream; damage gives findings.  Raises Unsupported for a huge dictionary."""
        members = decompress(_FAMILY, data, spool())
        self._refuse_memory(members)
        check = data[7] & 0x0F if len(data) > 7 else lzma.CHECK_CRC64
        metadata = XzMetadata(
            members.count, data[members.end :], check if check in _CHECKS else lzma.CHECK_CRC64, _preset(data)
        )
        return Unwrapped(members.data, metadata, members.findings)

    @staticmethod
    def _refuse_memory(members: Members) -> None:
        if not members.data and any("Memory usage limit" in f.message for f in members.findings):
            raise Unsupported(
                f"the xz dictionary needs more than {MEMORY_LIMIT} bytes of memory",
                remedy="decompress it with `xz -dc --memlimit=0`",
            )

    def wrap(self, metadata: XzMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Compress the stream into one xz stream of one block, with the original check and preset."""
        compressor = lzma.LZMACompressor(lzma.FORMAT_XZ, check=metadata.check, preset=metadata.preset)
        for chunk in chunks:
            yield compressor.compress(chunk)
        yield compressor.flush()
        yield from pieces(metadata.trailer)

    def plain_metadata(self) -> XzMetadata:
        """Return the defaults: CRC-64, preset 6."""
        return XzMetadata()


CONTAINER = Xz()
