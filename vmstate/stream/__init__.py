"""Floor 2: the stream on the wire.  Read it with :func:`open_stream`; see ``docs/stream-format.md``."""

from __future__ import annotations

from vmstate.stream.constants import Command, SectionType
from vmstate.stream.edit import Edit
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
from vmstate.stream.pipe import Feed, open_pipe
from vmstate.stream.reader import Stream, flat, open_stream
from vmstate.stream.resolve import Resolver
from vmstate.stream.strip import strip

__all__ = [
    "Command",
    "CommandItem",
    "Configuration",
    "ConfigurationSubsection",
    "Edit",
    "EndOfStates",
    "Feed",
    "FileHeader",
    "Found",
    "Item",
    "Opaque",
    "Resolver",
    "Section",
    "SectionType",
    "Stream",
    "VmDescription",
    "flat",
    "open_pipe",
    "open_stream",
    "strip",
]
