"""What a container is: it unwraps to a stream and what must be remembered, and wraps a stream again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vmstate.containers.spool import Spool
from vmstate.errors import Finding, Place, Severity

Buffer = bytes | bytearray | memoryview


class Metadata(Protocol):
    """What a container tells beside its stream, enough to write it again."""

    def as_json(self) -> Mapping[str, object]:
        """The facts as a JSON object."""


@dataclass(frozen=True)
class Unwrapped:
    """What was in a container: the bytes, what to remember, what was wrong.

    ``verbatim`` is the offset in the container at which the bytes lie as they are, None when they were
    decompressed.  ``inside`` names the container that the outer one says comes next ("" for a plain
    stream), None when it does not say.
    """

    data: memoryview
    metadata: Metadata
    findings: tuple[Finding, ...] = ()
    verbatim: int | None = None
    inside: str | None = None


class Container(Protocol):
    """One kind of wrapping.  Damaged content gives findings, never an exception."""

    name: str

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Take the stream out.  Raises Unsupported for what is not handled, TooLarge at the limit."""

    def wrap(self, metadata: Any, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """The container's bytes around a stream of ``size`` bytes (None: not known before its end)."""

    def plain_metadata(self) -> Metadata:
        """What to remember of a container that did not exist before, all at its defaults."""


@dataclass(frozen=True)
class Layer:
    """One container around a stream: its name in the registry, and what it remembers."""

    container: str
    metadata: Metadata

    def as_json(self) -> dict[str, object]:
        """The layer as a JSON object."""
        return {"container": self.container, **self.metadata.as_json()}


def damage(container: str, rule: str, message: str, offset: int) -> Finding:
    """The finding that a container's bytes are wrong from ``offset`` (counted in the container) on."""
    place = Place(offset, path=f"container/{container}")
    remedy = "copy the file again from where it came"
    return Finding(f"container.{rule}", Severity.ERROR, message, place, remedy)


def oddity(container: str, rule: str, message: str, offset: int) -> Finding:
    """The finding that a container holds something that no one asked for, which does no harm."""
    place = Place(offset, path=f"container/{container}")
    return Finding(f"container.{rule}", Severity.WARNING, message, place)


def pieces(data: Buffer, size: int = 1 << 20) -> Iterator[bytes]:
    """A buffer in pieces that fit in memory however large it is."""
    view = memoryview(data)
    for start in range(0, len(view), size):
        yield bytes(view[start : start + size])
