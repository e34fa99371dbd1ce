"""What commands that read streams share: opening them in any wrapping, declarations, meanings."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.containers import Opened
from vmstate.errors import Finding
from vmstate.stream import Stream
from vmstate.stream.opening import open_wrapped
from vmstate.tree import Contents, Declarations
from vmstate.tree.meanings import Meanings
from vmstate.tree.measuring import Measured


@dataclass(frozen=True)
class Input:
    """A stream that was opened: its container, itself, and its tree."""

    name: str
    opened: Opened
    stream: Stream
    contents: Contents

    @property
    def findings(self) -> list[Finding]:
        """What reading the container and the stream found."""
        return [*self.opened.findings, *self.stream.findings]


def open_named(source: str, *, limit: int | None = None, whole: bool = False) -> Input:
    """Open a stream by its file's name (``-`` is the standard input), in whatever it is wrapped.

    Of a bare stream from a pipe guest memory is not kept, unless ``whole`` asks for it, to write it again.
    """
    declarations = known_declarations()
    resolver = None if declarations is None else Measured(declarations)
    container, stream = open_wrapped(source, resolver, limit=limit, whole=whole)
    return Input(source, container, stream, Contents(stream, declarations))


def known_declarations() -> Declarations | None:
    """Our own declarations of devices."""
    from vmstate.pseries.declarations import PseriesDeclarations

    return PseriesDeclarations()


def known_meanings() -> Meanings:
    """What values are called."""
    from vmstate.pseries.meanings import meanings

    return meanings()
