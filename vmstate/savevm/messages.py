"""What QEMU prints for each fact that a loader reports, by release.

Up to 10.1 every fact is printed where it is met, then ``load of migration failed``.  From 10.2 on most
facts travel upwards in one Error (include/qapi/error.h): the innermost sets it, outer ones put
their words before it, and one line comes out at the end; from 11.0 on wire types do so too.  The table
says which is which.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields

from vmstate.describe import diagnostics as d
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import Report
from vmstate.describe.history import History, Release, reached
from vmstate.savevm import diagnostics as r


@dataclass(frozen=True, slots=True)
class Print:
    """A line of its own on stderr, at once."""

    text: str


@dataclass(frozen=True, slots=True)
class Set:
    """Becomes the error; QEMU would abort if there was one already."""

    text: str


@dataclass(frozen=True, slots=True)
class Prepend:
    """Goes before the error's text."""

    text: str


Saying = Print | Set | Prepend | None
CHAINED = "10.2"
TYPES_CHAINED = "11.0"

_HOTPLUG = (
    ". Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices"
)
_VERSION = "{vmsd}: incoming version_id {incoming} is too "

TEXTS: dict[type[Report], History[Saying]] = {
    # migration/vmstate.c
    d.TooNew: History(
        Print(_VERSION + "new for local version_id {local}"),
        (CHAINED, Set(_VERSION + "new for local version_id {local}")),
    ),
    d.TooOld: History(
        Print(_VERSION + "old for local minimum version_id  {minimum}"),
        (CHAINED, Set(_VERSION + "old for local minimum version_id {minimum}")),
    ),
    d.HookFailed: History(None, (CHAINED, Set("{hook_text}"))),
    d.FieldFailed: History(Print("Failed to load {vmsd}:{field}"), (CHAINED, Set("{field_text}"))),
    d.ValidationFailed: History(
        Print("Input validation failed: {vmsd}/{field}"),
        (CHAINED, Set("Input validation failed: {vmsd}/{field} version_id: {version_id}")),
    ),
    d.UnknownSubsection: History(
        None, (CHAINED, Set("VM subsection '{subsection}' in '{vmsd}' does not exist"))
    ),
    d.SubsectionFailed: History(
        None,
        (CHAINED, Prepend("Loading VM subsection '{subsection}' in '{vmsd}' failed: {ret}: ")),
        (TYPES_CHAINED, Prepend("Loading VM subsection '{subsection}' in '{vmsd}' failed: ")),
    ),
    # migration/vmstate-types.c
    d.NotEqual: History(Print("{local} != {incoming}"), (TYPES_CHAINED, Set("{local} != {incoming}"))),
    d.NotPositiveLe: History(
        Print("Invalid value {loaded} expecting positive value <= {current}"),
        (TYPES_CHAINED, Set("Invalid value {loaded} expecting positive value <= {current}")),
    ),
    d.NullMarkerMissing: History(
        Print("vmstate: get_nullptr expected VMS_NULLPTR_MARKER"),
        (TYPES_CHAINED, Set("Unexpected ptr marker: {found}")),
    ),
    d.ElementVersion: History(Print("{vmsd} {what}"), (TYPES_CHAINED, Set("{vmsd} {what}"))),
    d.ElementFailed: History(Print("{element_text}"), (CHAINED, None)),
    d.TreeInconsistent: History(
        Print("{field} inconsistent stream when loading the gtree"),
        (TYPES_CHAINED, Set("{field} inconsistent stream when loading the gtree")),
    ),
    # migration/savevm.c
    d.UnknownCapability: History(
        Print("Received unknown capability {name}"),
        (TYPES_CHAINED, Set("Received unknown capability {name}")),
    ),
    r.NotAStream: History(
        Print("Not a migration stream"),
        (CHAINED, Set("Not a migration stream, magic: {magic:x} != 5145564d")),
    ),
    r.ObsoleteVersion: History(
        Print("SaveVM v2 format is obsolete and don't work anymore"),
        (CHAINED, Set("SaveVM v2 format is obsolete and no longer supported")),
    ),
    r.UnsupportedFileVersion: History(
        Print("Unsupported migration stream version"),
        (CHAINED, Set("Unsupported migration stream version, file version {version:x} != 3")),
    ),
    r.ConfigurationMissing: History(
        Print("Configuration section missing"),
        (CHAINED, Set("Configuration section missing, {found:x} != 7")),
    ),
    r.IdstrUnreadable: History(
        Print("Unable to read ID string for section {section_id}"),
        (CHAINED, Set("Unable to read ID string for section {section_id}")),
    ),
    r.InstanceUnreadable: History(
        None,
        ("3.0", Print("qemu_loadvm_section_start_full: Failed to read instance/version ID: {ret}")),
        (CHAINED, Set("Failed to read instance/version ID: {ret}")),
    ),
    r.SectionIdUnreadable: History(
        None,
        ("3.0", Print("qemu_loadvm_section_part_end: Failed to read section ID: {ret}")),
        (CHAINED, Set("Failed to read section ID: {ret}")),
    ),
    r.UnknownSection: History(
        Print("Unknown savevm section or instance '{idstr}' {instance_signed}"),
        ("3.1", Print("Unknown savevm section or instance '{idstr}' {instance_signed}" + _HOTPLUG)),
        ("5.0", Print("Unknown savevm section or instance '{idstr}' {instance_id}" + _HOTPLUG)),
        (CHAINED, Set("Unknown section or instance '{idstr}' {instance_id}" + _HOTPLUG)),
    ),
    r.SectionTooNew: History(
        Print("savevm: unsupported version {incoming} for '{idstr}' v{local}"),
        (CHAINED, Set("unsupported version {incoming} for '{idstr}' v{local}")),
    ),
    r.SectionFailed: History(
        Print("error while loading state for instance {instance_id:#x} of device '{idstr}'"),
        (CHAINED, Prepend("error while loading state for instance {instance_id:#x} of device '{idstr}': ")),
    ),
    r.LiveStateFailed: History(
        None, (CHAINED, Set("Failed to load vmstate version_id: {version_id}, ret: {ret}"))
    ),
    r.UnknownPart: History(
        Print("Unknown savevm section {section_id}"), (CHAINED, Set("Unknown section {section_id}"))
    ),
    r.PartFailed: History(
        Print("error while loading state section id {section_id}({idstr})"), (CHAINED, None)
    ),
    r.FooterUnreadable: History(
        None, ("3.0", Print("check_section_footer: Read section footer failed: {ret}"))
    ),
    r.FooterMissing: History(Print("Missing section footer for {idstr}")),
    r.FooterMismatch: History(
        Print("Mismatched section id in footer for {idstr} - read {read:#x} expected {expected:#x}")
    ),
    r.FooterFailed: History(None, (CHAINED, Set("Section footer error, section_id: {section_id}"))),
    r.UnknownType: History(
        Print("Unknown savevm section type {type}"), (CHAINED, Set("Unknown section type {type}"))
    ),
    r.TypeUnreadable: History(
        None,
        (CHAINED, Set("Failed to load section ID: stream error: {ret}: ")),
        ("11.1", Set("Failed to load section ID: stream error: {ret}: Channel error: Input/output error")),
    ),
    r.CommandUnknown: History(
        Print("MIG_CMD {command:#x} unknown (len {length:#x})"),
        (CHAINED, Set("MIG_CMD {command:#x} unknown (len {length:#x})")),
    ),
    r.CommandLength: History(
        Print("{name} received with bad length - expecting {expected}, got {length}"),
        (CHAINED, Set("{name} received with bad length - expecting {expected}, got {length}")),
    ),
    r.CommandRefused: History(Print("{text}"), (CHAINED, Set("{text}"))),
    r.CommandUnreadable: History(
        None, (CHAINED, Set("Failed to load VM process command: stream error: {ret}"))
    ),
    r.TrailingError: History(None, (CHAINED, Set("Error while loading vmstate: stream error: {ret}"))),
    r.VmdescriptionExpected: History(Print("Expected vmdescription section, but got {found}")),
}


def lines(reports: Iterable[Report | str], ret: int, release: Release) -> list[str]:
    """The stderr lines, without the program's name, of a load that returned ``ret`` (0 or negative errno)."""
    printed: list[str] = []
    error = ""
    for report in reports:
        if isinstance(report, str):
            printed.append(report)
            continue
        if isinstance(report, d.Aborted):
            return [*_split(printed), *([report.line] if report.line else [])]
        if isinstance(report, d.Stalled):
            return _split(printed)
        saying = TEXTS[type(report)].at(release)
        if saying is None:
            continue
        text = saying.text.format_map(_facts(report, release))
        if isinstance(saying, Print):
            printed.append(text)
            if isinstance(report, d.NotEqual) and report.hint is not None:
                printed.append(report.hint)
        elif isinstance(saying, Prepend):
            error = text + error
        elif _flushes(report, release) and error:
            printed.append(error)  # an element's own error is printed before the field's is set
            error = text
        elif text and not error:
            error = text
    if ret < 0:
        last = f"load of migration failed: {os.strerror(-ret)}"
        printed.append(f"{last}: {error}" if error else last)
    return _split(printed)


def _split(printed: list[str]) -> list[str]:
    return "".join(f"{text}\n" for text in printed).splitlines()  # a damaged name may hold a line's end


def _flushes(report: Report, release: Release) -> bool:
    if not isinstance(report, d.FieldFailed):
        return False
    composite = report.type in {"tmp", "qtailq", "qlist", "gtree"} and not reached(TYPES_CHAINED, release)
    # What is read by hand: descriptions inside speak for themselves.
    return composite or report.type in {"virtio", "virtqueue_extra_state"}


def _facts(report: Report, release: Release) -> dict[str, object]:
    facts = {f.name: getattr(report, f.name) for f in fields(report)}
    if isinstance(report, r.UnknownSection):
        facts["instance_signed"] = signed(report.instance_id)
    elif isinstance(report, d.HookFailed):
        facts["hook_text"] = _hook_text(report)
    elif isinstance(report, d.FieldFailed):
        facts["field_text"] = _field_text(report, reached(TYPES_CHAINED, release))
    elif isinstance(report, d.ElementFailed):
        form = "{0.field} : failed to load {0.vmsd} ({0.ret})" if report.kind == "tree" else ""
        facts["element_text"] = (form or "{0.field}: failed to load {0.vmsd} ({0.ret})").format(report)
    return facts


def _hook_text(report: d.HookFailed) -> str:
    if report.hook == "pre_load":
        text = f"pre load hook failed for: '{report.vmsd}', version_id: {report.version_id}, "
        text += f"minimum version_id: {report.minimum_version_id}"
    else:
        text = f"post load hook failed for: {report.vmsd}, version_id: {report.version_id}, "
        text += f"minimum_version: {report.minimum_version_id}"
    return f"{text}: {report.text}" if report.text is not None else f"{text}, ret: {report.ret}"


def _field_text(report: d.FieldFailed, short: bool) -> str:
    if report.stream:
        return f"Failed to load {report.vmsd} state: stream error: {report.ret}"
    if report.type in {None, "struct", "vstruct"}:
        return ""  # the struct inside has said it already
    text = f"Failed to load element of type {report.type} for {report.field}"
    return text if short else f"{text}: {report.ret}"
