"""What the loader itself has to tell about a stream, as values (migration/savevm.c)."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.describe.diagnostics import Report


@dataclass(frozen=True, slots=True)
class NotAStream(Report):
    """The magic number is wrong."""

    magic: int


@dataclass(frozen=True, slots=True)
class ObsoleteVersion(Report):
    """File version 2."""


@dataclass(frozen=True, slots=True)
class UnsupportedFileVersion(Report):
    """A file version other than 2 and 3."""

    version: int


@dataclass(frozen=True, slots=True)
class ConfigurationMissing(Report):
    """No configuration section where the machine type wants one."""

    found: int


@dataclass(frozen=True, slots=True)
class IdstrUnreadable(Report):
    """The stream ends inside a section's name."""

    section_id: int


@dataclass(frozen=True, slots=True)
class InstanceUnreadable(Report):
    """The stream ends before a section's instance and version."""

    ret: int


@dataclass(frozen=True, slots=True)
class SectionIdUnreadable(Report):
    """The stream ends before the id of a section part."""

    ret: int


@dataclass(frozen=True, slots=True)
class UnknownSection(Report):
    """No entry of that name and instance is registered (find_se)."""

    idstr: str
    instance_id: int


@dataclass(frozen=True, slots=True)
class SectionTooNew(Report):
    """The section's version is above the entry's."""

    incoming: int
    idstr: str
    local: int


@dataclass(frozen=True, slots=True)
class SectionFailed(Report):
    """A start or full section could not be loaded."""

    instance_id: int
    idstr: str


@dataclass(frozen=True, slots=True)
class LiveStateFailed(Report):
    """A live device's own loader (ram, spapr/htab, …) failed."""

    version_id: int
    ret: int


@dataclass(frozen=True, slots=True)
class UnknownPart(Report):
    """A part or end section of an id that never started."""

    section_id: int


@dataclass(frozen=True, slots=True)
class PartFailed(Report):
    """A part or end section could not be loaded."""

    section_id: int
    idstr: str


@dataclass(frozen=True, slots=True)
class FooterUnreadable(Report):
    """The stream ends where a footer belongs."""

    ret: int


@dataclass(frozen=True, slots=True)
class FooterMissing(Report):
    """Another byte stands where a footer belongs."""

    idstr: str


@dataclass(frozen=True, slots=True)
class FooterMismatch(Report):
    """The footer names another section id."""

    idstr: str
    read: int
    expected: int


@dataclass(frozen=True, slots=True)
class FooterFailed(Report):
    """Follows each of the three above."""

    section_id: int


@dataclass(frozen=True, slots=True)
class UnknownType(Report):
    """A section type that there is not."""

    type: int


@dataclass(frozen=True, slots=True)
class TypeUnreadable(Report):
    """The stream ends where a section type belongs."""

    ret: int


@dataclass(frozen=True, slots=True)
class CommandUnknown(Report):
    """A command number that this release does not have."""

    command: int
    length: int


@dataclass(frozen=True, slots=True)
class CommandLength(Report):
    """A command with another length than it must have."""

    name: str
    expected: int
    length: int


@dataclass(frozen=True, slots=True)
class CommandRefused(Report):
    """A command that cannot be obeyed in this state; ``text`` is QEMU's."""

    text: str


@dataclass(frozen=True, slots=True)
class CommandUnreadable(Report):
    """The stream ends inside a command."""

    ret: int


@dataclass(frozen=True, slots=True)
class TrailingError(Report):
    """All sections were loaded, but the stream had ended too early all the same."""

    ret: int


@dataclass(frozen=True, slots=True)
class VmdescriptionExpected(Report):
    """No vmdescription where the machine type wants one: told, but no failure."""

    found: int
