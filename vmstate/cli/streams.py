"""Helpers of the commands that read streams: opening them in any container, declarations, meanings."""

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
    """An opened stream: its containers, the stream itself, and its tree."""

    name: str
    opened: Opened
    stream: Stream
    contents: Contents

    @property
    def findings(self) -> list[Finding]:
        """The findings from reading the containers and the stream."""
        return [*self.opened.findings, *self.stream.findings]


def open_named(source: str, *, limit: int | None = None, whole: bool = False) -> Input:
    """Open a stream by its file's name (``-`` is the standard input), in any containers.

    Guest memory of a bare stream from a pipe is kept only with ``whole``, which writing it again requires.
    """
    declarations = known_declarations()
    resolver = None if declarations is None else Measured(declarations)
    container, stream = open_wrapped(source, resolver, limit=limit, whole=whole)
    return Input(source, container, stream, Contents(stream, declarations))


def known_declarations() -> Declarations | None:
    """Return our own declarations of devices."""
    from vmstate.pseries.declarations import PseriesDeclarations

    return PseriesDeclarations()


def known_meanings() -> Meanings:
    """Return the names of values."""
    from vmstate.pseries.meanings import meanings

    return meanings()
