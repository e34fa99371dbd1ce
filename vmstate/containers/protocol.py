"""The protocol of a container: it unwraps to a stream and metadata, and wraps a stream again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Finding, Place, Severity

Buffer = bytes | bytearray | memoryview


class Metadata(Protocol):
    """A container's data besides its stream, enough to write it again."""

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""


@dataclass(frozen=True)
class Unwrapped:
    """The contents of a container: the bytes, its metadata, and the findings.

    ``verbatim`` is the offset of the bytes in the container, None when they were decompressed.  ``inside``
    names the container that this one declares to be inside ("" for a plain stream), None if it declares
    nothing.
    """

    data: memoryview
    metadata: Metadata
    findings: tuple[Finding, ...] = ()
    verbatim: int | None = None
    inside: str | None = None


class Container(Protocol):
    """One kind of container.  Damaged content gives findings, never an exception."""

    name: str

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Take the stream out.  Raises Unsupported for variants not handled here, TooLarge at the limit."""

    def wrap(self, metadata: Any, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Wrap a stream of ``size`` bytes (None: not known before its end); yield the container's bytes."""

    def plain_metadata(self) -> Metadata:
        """Return the metadata of a new container, all at its defaults."""


@runtime_checkable
class Archive(Container, Protocol):
    """A container that may hold several streams, each with a name."""

    def part(self, name: str) -> Container:
        """Return the container of the stream of that name."""


@runtime_checkable
class PartMetadata(Metadata, Protocol):
    """The metadata of an :class:`Archive`; ``part``: the name of the stream that was taken out."""

    @property
    def part(self) -> str:
        """The name, which chooses the stream again."""


@dataclass(frozen=True)
class Layer:
    """One container around a stream: its name in the registry, and its metadata."""

    container: str
    metadata: Metadata

    @property
    def part(self) -> str | None:
        """The name of the stream in an archive; None for a container of one stream."""
        return self.metadata.part if isinstance(self.metadata, PartMetadata) else None

    def as_json(self) -> dict[str, object]:
        """Return the layer as a JSON object."""
        return {"container": self.container, **self.metadata.as_json()}


def damage(container: str, rule: str, message: str, offset: int) -> Finding:
    """Return a finding for bytes that are wrong from ``offset`` (counted in the container) on."""
    place = Place(offset, path=f"container/{container}")
    remedy = "copy the file again from its source"
    return Finding(f"container.{rule}", Severity.ERROR, message, place, remedy)


def oddity(container: str, rule: str, message: str, offset: int) -> Finding:
    """Return a finding for unexpected but harmless content of a container."""
    place = Place(offset, path=f"container/{container}")
    return Finding(f"container.{rule}", Severity.WARNING, message, place)


def pieces(data: Buffer, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield a buffer in pieces of at most ``size`` bytes, so that a large one need not fit in memory."""
    view = memoryview(data)
    for start in range(0, len(view), size):
        yield bytes(view[start : start + size])
