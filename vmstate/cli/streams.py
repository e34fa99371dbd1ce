"""What commands that read streams share: opening them in any wrapping, declarations, meanings."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.errors import Finding
from vmstate.stream import Stream, open_stream
from vmstate.stream.containers import Opened, open_input
from vmstate.stream.content import Contents, Declarations
from vmstate.stream.content.meanings import Meanings
from vmstate.stream.content.measuring import Measured


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


def open_named(source: str, *, limit: int | None = None) -> Input:
    """Open a stream by its file's name (``-`` is the standard input), in whatever it is wrapped."""
    container = open_input(source, limit=limit)
    declarations = known_declarations()
    resolver = None if declarations is None else Measured(declarations)
    stream = open_stream(container.data, resolver, container.origin or 0)
    return Input(source, container, stream, Contents(stream, declarations))


def known_declarations() -> Declarations | None:
    """Our own declarations of devices."""
    return None


def known_meanings() -> Meanings:
    """What values are called."""
    from vmstate.pseries.readable import meanings

    return meanings()
