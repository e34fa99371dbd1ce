"""A stream somewhere in another file: at an offset that the caller gives (``FILE@OFFSET``), or found.

What is found begins with QEMU's magic and version, and goes on as a stream does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from vmstate.containers.foreign import named
from vmstate.containers.protocol import Buffer, Unwrapped, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass, field
from vmstate.errors import Finding, Place, Severity, StreamError, quantity
from vmstate.pattern import pattern

NAME = "offset"
_SEARCHED = 4 << 30
_STREAM = pattern(rb"QEVM\0\0\0\x03(?:\x07\0\0|[\x01\x04]\0[\s\S]{3}[\x02-\xff][!-~]{2}|\x08\0[\x01-\x0b])")


@dataclass(frozen=True)
class NestedMetadata:
    """The bytes in front of the stream."""

    before: Buffer = field(repr=False, default=b"")

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {"offset": len(self.before)}


def find_stream(data: memoryview) -> int | None:
    """Return the offset of the first stream in the first 4 GiB of a file, None without one."""
    found = _STREAM.search(data[:_SEARCHED])
    return None if found is None else found.start()


def offset_of(text: str) -> int | None:
    """Read an offset, decimal or hexadecimal (0x…); None if it is not one."""
    try:
        return int(text, 0)
    except ValueError:
        return None


class Nested:
    """The container that a file is around a stream at an offset; None: where the first one is."""

    name = NAME

    def __init__(self, offset: int | None = None) -> None:
        self._offset = offset

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Return what begins at the offset, verbatim.  Raises StreamError if that is behind the end."""
        offset = self._offset
        findings: tuple[Finding, ...] = ()
        if offset is None:
            offset = find_stream(data) or 0
            kind = named(data)
            text = f"a stream was found behind {quantity(offset, 'byte')}" + (
                f" of {kind.name}" if kind else ""
            )
            place = Place(offset, path=f"container/{NAME}")
            findings = (Finding("container.offset", Severity.INFO, text, place),)
        if not 0 <= offset < len(data):
            raise StreamError("nothing is at this offset", offset=offset, found=quantity(len(data), "byte"))
        return Unwrapped(data[offset:], NestedMetadata(data[:offset]), findings, offset)

    def wrap(self, metadata: NestedMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Yield the bytes in front of the stream, then the stream."""
        yield from pieces(metadata.before)
        for chunk in chunks:
            yield from pieces(chunk)

    def plain_metadata(self) -> NestedMetadata:
        """Return the metadata of a stream with nothing in front of it."""
        return NestedMetadata()


CONTAINER = Nested()
