"""Everything that savevm itself reports about a stream, with the line that QEMU prints for it, by release.

migration/savevm.c.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import CHAINED, Diagnostic, Prepend, Print, Saying, Set
from vmstate.describe.history import History, Release
from vmstate.savevm.verdict import Check

_HOTPLUG = (
    ". Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices"
)


@dataclass(frozen=True, slots=True)
class Checked(Diagnostic):
    """A check that ran: kept if it failed, or if a trace was requested.  Nothing is printed."""

    check: Check


@dataclass(frozen=True, slots=True)
class NotAStream(Diagnostic):
    """The magic number is wrong."""

    magic: int

    says = History[Saying](
        Print("Not a migration stream"),
        (CHAINED, Set("Not a migration stream, magic: {magic:x} != 5145564d")),
    )


@dataclass(frozen=True, slots=True)
class ObsoleteVersion(Diagnostic):
    """File version 2."""

    says = History[Saying](
        Print("SaveVM v2 format is obsolete and don't work anymore"),
        (CHAINED, Set("SaveVM v2 format is obsolete and no longer supported")),
    )


@dataclass(frozen=True, slots=True)
class UnsupportedFileVersion(Diagnostic):
    """A file version other than 2 and 3."""

    version: int

    says = History[Saying](
        Print("Unsupported migration stream version"),
        (CHAINED, Set("Unsupported migration stream version, file version {version:x} != 3")),
    )


@dataclass(frozen=True, slots=True)
class ConfigurationMissing(Diagnostic):
    """No configuration section where the machine type requires one."""

    found: int

    says = History[Saying](
        Print("Configuration section missing"),
        (CHAINED, Set("Configuration section missing, {found:x} != 7")),
    )


@dataclass(frozen=True, slots=True)
class IdstrUnreadable(Diagnostic):
    """The stream ends inside a section's name."""

    section_id: int

    says = History[Saying](
        Print("Unable to read ID string for section {section_id}"),
        (CHAINED, Set("Unable to read ID string for section {section_id}")),
    )


@dataclass(frozen=True, slots=True)
class InstanceUnreadable(Diagnostic):
    """The stream ends before a section's instance and version."""

    ret: int

    says = History[Saying](
        None,
        ("3.0", Print("qemu_loadvm_section_start_full: Failed to read instance/version ID: {ret}")),
        (CHAINED, Set("Failed to read instance/version ID: {ret}")),
    )


@dataclass(frozen=True, slots=True)
class SectionIdUnreadable(Diagnostic):
    """The stream ends before the id of a section part."""

    ret: int

    says = History[Saying](
        None,
        ("3.0", Print("qemu_loadvm_section_part_end: Failed to read section ID: {ret}")),
        (CHAINED, Set("Failed to read section ID: {ret}")),
    )


@dataclass(frozen=True, slots=True)
class UnknownSection(Diagnostic):
    """No entry of that name and instance is registered (find_se)."""

    idstr: str
    instance_id: int

    says = History[Saying](
        Print("Unknown savevm section or instance '{idstr}' {instance_signed}"),
        ("3.1", Print("Unknown savevm section or instance '{idstr}' {instance_signed}" + _HOTPLUG)),
        ("5.0", Print("Unknown savevm section or instance '{idstr}' {instance_id}" + _HOTPLUG)),
        (CHAINED, Set("Unknown section or instance '{idstr}' {instance_id}" + _HOTPLUG)),
    )

    def values(self, release: Release) -> dict[str, object]:
        del release
        signed_id = signed(self.instance_id)
        return {"idstr": self.idstr, "instance_id": self.instance_id, "instance_signed": signed_id}


@dataclass(frozen=True, slots=True)
class SectionTooNew(Diagnostic):
    """The section's version is above the entry's."""

    incoming: int
    idstr: str
    local: int

    says = History[Saying](
        Print("savevm: unsupported version {incoming} for '{idstr}' v{local}"),
        (CHAINED, Set("unsupported version {incoming} for '{idstr}' v{local}")),
    )


@dataclass(frozen=True, slots=True)
class SectionFailed(Diagnostic):
    """A start or full section could not be loaded."""

    instance_id: int
    idstr: str

    says = History[Saying](
        Print("error while loading state for instance {instance_id:#x} of device '{idstr}'"),
        (CHAINED, Prepend("error while loading state for instance {instance_id:#x} of device '{idstr}': ")),
    )


@dataclass(frozen=True, slots=True)
class LiveStateFailed(Diagnostic):
    """A live device's own loader (ram, spapr/htab, …) failed."""

    version_id: int
    ret: int

    says = History[Saying](
        None, (CHAINED, Set("Failed to load vmstate version_id: {version_id}, ret: {ret}"))
    )


@dataclass(frozen=True, slots=True)
class UnknownPart(Diagnostic):
    """A part or end section whose id never started."""

    section_id: int

    says = History[Saying](
        Print("Unknown savevm section {section_id}"), (CHAINED, Set("Unknown section {section_id}"))
    )


@dataclass(frozen=True, slots=True)
class PartFailed(Diagnostic):
    """A part or end section could not be loaded."""

    section_id: int
    idstr: str

    says = History[Saying](
        Print("error while loading state section id {section_id}({idstr})"), (CHAINED, None)
    )


@dataclass(frozen=True, slots=True)
class FooterUnreadable(Diagnostic):
    """The stream ends where a footer belongs."""

    ret: int

    says = History[Saying](None, ("3.0", Print("check_section_footer: Read section footer failed: {ret}")))


@dataclass(frozen=True, slots=True)
class FooterMissing(Diagnostic):
    """There is another byte where a footer belongs."""

    idstr: str

    says = History[Saying](Print("Missing section footer for {idstr}"))


@dataclass(frozen=True, slots=True)
class FooterMismatch(Diagnostic):
    """The footer names another section id."""

    idstr: str
    read: int
    expected: int

    says = History[Saying](
        Print("Mismatched section id in footer for {idstr} - read {read:#x} expected {expected:#x}")
    )


@dataclass(frozen=True, slots=True)
class FooterFailed(Diagnostic):
    """The report that follows each of the three above."""

    section_id: int

    says = History[Saying](None, (CHAINED, Set("Section footer error, section_id: {section_id}")))


@dataclass(frozen=True, slots=True)
class UnknownType(Diagnostic):
    """An unknown section type."""

    type: int

    says = History[Saying](
        Print("Unknown savevm section type {type}"), (CHAINED, Set("Unknown section type {type}"))
    )


@dataclass(frozen=True, slots=True)
class TypeUnreadable(Diagnostic):
    """The stream ends where a section type belongs."""

    ret: int

    says = History[Saying](
        None,
        (CHAINED, Set("Failed to load section ID: stream error: {ret}: ")),
        ("11.1", Set("Failed to load section ID: stream error: {ret}: Channel error: Input/output error")),
    )


@dataclass(frozen=True, slots=True)
class CommandUnknown(Diagnostic):
    """A command number that this release does not have."""

    command: int
    length: int

    says = History[Saying](
        Print("MIG_CMD {command:#x} unknown (len {length:#x})"),
        (CHAINED, Set("MIG_CMD {command:#x} unknown (len {length:#x})")),
    )


@dataclass(frozen=True, slots=True)
class CommandLength(Diagnostic):
    """A command of the wrong length."""

    name: str
    expected: int
    length: int

    says = History[Saying](
        Print("{name} received with bad length - expecting {expected}, got {length}"),
        (CHAINED, Set("{name} received with bad length - expecting {expected}, got {length}")),
    )


@dataclass(frozen=True, slots=True)
class CommandRefused(Diagnostic):
    """A command that cannot be executed in this state; ``text`` is QEMU's message."""

    text: str

    says = History[Saying](Print("{text}"), (CHAINED, Set("{text}")))


@dataclass(frozen=True, slots=True)
class CommandUnreadable(Diagnostic):
    """The stream ends inside a command."""

    ret: int

    says = History[Saying](None, (CHAINED, Set("Failed to load VM process command: stream error: {ret}")))


@dataclass(frozen=True, slots=True)
class TrailingError(Diagnostic):
    """All sections were loaded, but the stream ended too early."""

    ret: int

    says = History[Saying](None, (CHAINED, Set("Error while loading vmstate: stream error: {ret}")))


@dataclass(frozen=True, slots=True)
class VmdescriptionExpected(Diagnostic):
    """No vmdescription where the machine type requires one: reported, but not a failure."""

    found: int
    says = History[Saying](Print("Expected vmdescription section, but got {found}"))
