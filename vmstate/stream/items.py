"""The items of a stream, which in order cover every byte exactly once.

Offsets are absolute (byte 0 is the first of the stream).  Items hold offsets, not bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from vmstate.dataclass import dataclass, field
from vmstate.stream.constants import Command, SectionType


class Found(StrEnum):
    """The ways to find the end of a section's payload, the surest first."""

    LIVE = "live"
    """By the section's own grammar (ram, spapr/htab, …)."""
    VMDESC = "vmdesc"
    """By the sizes in the stream's own description."""
    DECLARED = "declared"
    """By our declaration of the device."""
    FOOTER = "footer"
    """By the next fitting footer: the payload's grammar is unknown."""
    GUESS = "guess"
    """By the next bytes that look like an item; the stream has no footers."""


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Magic and version."""

    start: int
    end: int
    version: int


@dataclass(frozen=True, slots=True)
class ConfigurationSubsection:
    """A subsection of the configuration section; ``payload_start`` is the offset after its header."""

    start: int
    payload_start: int
    end: int
    name: str
    version_id: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration section: the machine type and settings on which both sides must agree.

    ``target_page_bits`` and ``uuid`` (16 bytes) are None without their subsection, ``capabilities`` empty.
    """

    start: int
    end: int
    machine: str
    subsections: tuple[ConfigurationSubsection, ...] = ()
    target_page_bits: int | None = None
    capabilities: tuple[str, ...] = ()
    uuid: bytes | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A device's section.

    ``payload_start`` … ``payload_end`` is the device's own data; the footer, if there is one, is from
    ``payload_end`` to ``end``.  PART and END have the names of the START they refer to.  ``footer`` is the
    section id in the footer, None without a footer.  ``damaged`` is set when the payload could not be read
    to its end.  ``depth`` counts the PACKAGED commands around the section.
    """

    start: int
    payload_start: int
    payload_end: int
    end: int
    kind: SectionType
    section_id: int
    idstr: str
    instance_id: int
    version_id: int
    footer: int | None
    found: Found
    damaged: bool = False
    depth: int = 0

    def __str__(self) -> str:
        return (
            f"{self.idstr}[{self.instance_id:#x}]"
            if self.instance_id > 255
            else f"{self.idstr}[{self.instance_id}]"
        )


@dataclass(frozen=True, slots=True)
class CommandItem:
    """A command; ``inner`` holds the items of the stream in a PACKAGED (``inner_start`` … ``end``)."""

    start: int
    data_start: int
    data_end: int
    end: int
    command: int
    inner: tuple[Item, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """QEMU's name for the command, or its number."""
        try:
            return Command(self.command).name
        except ValueError:
            return f"{self.command:#x}"

    @property
    def inner_start(self) -> int:
        """The offset of the wrapped stream."""
        return self.data_end


@dataclass(frozen=True, slots=True)
class EndOfStates:
    """The end mark, one zero byte."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class VmDescription:
    """The trailing JSON description; the text is from ``text_start`` to ``end``."""

    start: int
    text_start: int
    end: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """Bytes that could not be interpreted; a finding says why."""

    start: int
    end: int
    reason: str


Item: TypeAlias = FileHeader | Configuration | Section | CommandItem | EndOfStates | VmDescription | Opaque
