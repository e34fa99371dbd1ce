"""Floor 2: the stream on the wire.  Read it with :func:`open_stream`; see ``docs/stream-format.md``."""

from __future__ import annotations

from vmstate.stream.items import (
    CommandItem,
    Configuration,
    ConfigurationSubsection,
    EndOfStates,
    FileHeader,
    Found,
    Item,
    Opaque,
    Section,
    VmDescription,
)
from vmstate.stream.marks import Command, Kind, Mark
from vmstate.stream.reader import Stream, flat, open_stream
from vmstate.stream.resolve import Resolver

__all__ = [
    "Command",
    "CommandItem",
    "Configuration",
    "ConfigurationSubsection",
    "EndOfStates",
    "FileHeader",
    "Found",
    "Item",
    "Kind",
    "Mark",
    "Opaque",
    "Resolver",
    "Section",
    "Stream",
    "VmDescription",
    "flat",
    "open_stream",
]
