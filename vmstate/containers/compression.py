"""The common part of gzip, bzip2 and xz: consecutive members, each decompressed a little at a time.

Each step produces at most :data:`OUTPUT` bytes, so a member that expands a thousandfold costs no memory, and
at most that much is lost before damage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from vmstate.containers.protocol import Buffer, damage, oddity, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Finding, quantity
from vmstate.mapped_pages import MappedPages

INPUT = 16 << 10
OUTPUT = 16 << 10


class Decoder(Protocol):
    """One member's decompressor, with the interface of bz2.BZ2Decompressor and lzma.LZMADecompressor."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


@dataclass(frozen=True)
class Family:
    """A format's magic and decoder; ``errors`` are the exceptions that the decoder raises."""

    name: str
    magic: bytes
    decoder: Callable[[], Decoder]
    errors: tuple[type[Exception], ...]


@dataclass(frozen=True)
class Members:
    """The result of decompression: the number of members, the offset after the last, and the findings."""

    data: memoryview
    count: int
    end: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Trailer:
    """Bytes after the last member, kept so that they can be written again."""

    members: int = 1
    trailer: Buffer = b""

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {"members": self.members, "trailing_bytes": len(self.trailer)}


def decompress(family: Family, data: memoryview, spool: Spool) -> Members:
    """Decompress every member, up to the first damage.  Raises the spool's errors."""
    position = 0
    count = 0
    findings: list[Finding] = []
    while position < len(data) and (
        count == 0 or data[position : position + len(family.magic)] == family.magic
    ):
        start = position
        position, trouble = _member(family, data, position, spool)
        if trouble is not None:
            findings.append(_trouble(family.name, trouble, position, start, spool.size))
            return Members(spool.finish(), count, len(data), tuple(findings))
        count += 1
    rest = data[position:]
    if any(
        piece.count(0) != len(piece) for piece in pieces(rest)
    ):  # zeros are padding, as on tapes and in xz
        findings.append(trailing(family.name, position, len(rest)))
    return Members(spool.finish(), count, position, tuple(findings))


def _member(family: Family, data: memoryview, position: int, spool: Spool) -> tuple[int, str | None]:
    """Decompress one member.  Return the offset after it, and its fault: "" if it is truncated."""
    decoder = family.decoder()
    pages = MappedPages(data)
    while not decoder.eof:
        chunk = bytes(data[position : position + INPUT]) if decoder.needs_input else b""
        if decoder.needs_input and not chunk:
            return position, ""
        pages.behind(position, position + len(chunk))
        position += len(chunk)
        try:
            content = decoder.decompress(chunk, OUTPUT)
        except family.errors as error:
            return position - len(chunk), str(error) or type(error).__name__
        spool.write(content)
    return position - len(decoder.unused_data or b""), None


def _trouble(name: str, trouble: str, position: int, start: int, size: int) -> Finding:
    kept = f"{quantity(size, 'byte')} of the stream kept"
    if trouble:
        text = f"damaged {name} data ({trouble}) in the member at {start:#x}; {kept}"
        return damage(name, "damaged", text, position)
    return damage(
        name, "truncated", f"the {name} data ends within the member at {start:#x}; {kept}", position
    )


def trailing(name: str, position: int, size: int) -> Finding:
    """Return a finding for bytes after the compressed data, which decompressors ignore."""
    return oddity(name, "trailing", f"{quantity(size, 'byte')} after the end of the {name} data", position)
