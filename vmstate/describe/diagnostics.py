"""Diagnostics: everything that loading or saving reports, with the line that QEMU prints for it, by release.

Up to 10.1 QEMU prints each as it occurs, then ``load of migration failed``.  From 10.2 on most are chained in
one Error (include/qapi/error.h): the innermost function sets it, outer ones prepend to it, and a single line
is printed at the end; from 11.0 on wire types do the same.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from vmstate.dataclass import dataclass, fields
from vmstate.describe.history import History, Release, reached
from vmstate.errors import StreamError

if TYPE_CHECKING:
    from vmstate.describe.cursor import Cursor

# errno values, which hooks return negated (Linux's numbers: QEMU prints their strerror)
EPERM, ENOENT, EIO, ENOMEM, EINVAL, EOPNOTSUPP = 1, 2, 5, 12, 22, 95

#: The releases in which migration/vmstate.c and savevm.c, and then wire types, chain their errors.
CHAINED, TYPES_CHAINED = "10.2", "11.1"


@dataclass(frozen=True, slots=True)
class Print:
    """A separate line on stderr, printed at once."""

    text: str


@dataclass(frozen=True, slots=True)
class Set:
    """The text of a new error; QEMU would abort if there were one already."""

    text: str


@dataclass(frozen=True, slots=True)
class Prepend:
    """A prefix for the error's text."""

    text: str


Saying = Print | Set | Prepend | None
_VERSION = "{vmsd}: incoming version_id {incoming} is too "


@cache
def _rule(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One event of a load or save; ``says``: QEMU's text for it, with the diagnostic's fields in braces."""

    says: ClassVar[History[Saying]] = History(None)

    @classmethod
    def rule(cls) -> str:
        """Return the stable id of the check that reports it: ``footer-missing``."""
        return _rule(cls.__name__)

    def values(self, release: Release) -> dict[str, object]:
        """Return the values for the braces in the text, by name."""
        del release
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Printed(Diagnostic):
    """A line that a hook, or the machine, prints itself (error_report)."""

    line: str
    says = History[Saying](Print("{line}"))

    def __str__(self) -> str:
        return self.line


@dataclass(frozen=True, slots=True)
class TooNew(Diagnostic):
    """The incoming version of a description is newer than the local one (vmstate_load_state)."""

    vmsd: str
    incoming: int
    local: int

    says = History[Saying](
        Print(_VERSION + "new for local version_id {local}"),
        (CHAINED, Set(_VERSION + "new for local version_id {local}")),
    )


@dataclass(frozen=True, slots=True)
class TooOld(Diagnostic):
    """The incoming version is older than the minimum (vmstate_load_state)."""

    vmsd: str
    incoming: int
    minimum: int

    says = History[Saying](
        Print(_VERSION + "old for local minimum version_id  {minimum}"),
        (CHAINED, Set(_VERSION + "old for local minimum version_id {minimum}")),
    )


@dataclass(frozen=True, slots=True)
class HookFailed(Diagnostic):
    """``pre_load`` or ``post_load`` returned non-zero, or refused with its own text."""

    hook: str
    vmsd: str
    version_id: int
    minimum_version_id: int
    ret: int
    text: str | None = None

    says = History[Saying](None, (CHAINED, Set("{hook_text}")))

    def values(self, release: Release) -> dict[str, object]:
        del release
        if self.hook == "pre_load":
            text = f"pre load hook failed for: '{self.vmsd}', version_id: {self.version_id}, "
            text += f"minimum version_id: {self.minimum_version_id}"
        else:
            text = f"post load hook failed for: {self.vmsd}, version_id: {self.version_id}, "
            text += f"minimum_version: {self.minimum_version_id}"
        return {"hook_text": f"{text}: {self.text}" if self.text is not None else f"{text}, ret: {self.ret}"}


@dataclass(frozen=True, slots=True)
class FieldFailed(Diagnostic):
    """A field could not be loaded; one report per enclosing description, innermost first.

    ``type``: its wire type, None for a struct.  ``stream``: the bytes ended inside this field.
    """

    vmsd: str
    field: str
    type: str | None
    stream: bool
    ret: int

    says = History[Saying](Print("Failed to load {vmsd}:{field}"), (CHAINED, Set("{field_text}")))

    def values(self, release: Release) -> dict[str, object]:
        return {"vmsd": self.vmsd, "field": self.field, "field_text": self._chained(release)}

    def _chained(self, release: Release) -> str:
        if self.stream:
            return f"Failed to load {self.vmsd} state: stream error: {self.ret}"
        if self.type in {None, "struct", "vstruct"}:
            return ""  # the inner struct has already set the error
        text = f"Failed to load element of type {self.type} for {self.field}"
        return text if reached(TYPES_CHAINED, release) else f"{text}: {self.ret}"


@dataclass(frozen=True, slots=True)
class ValidationFailed(Diagnostic):
    """The test of a ``must exist`` field failed (VMS_MUST_EXIST)."""

    vmsd: str
    field: str
    version_id: int

    says = History[Saying](
        Print("Input validation failed: {vmsd}/{field}"),
        (CHAINED, Set("Input validation failed: {vmsd}/{field} version_id: {version_id}")),
    )


@dataclass(frozen=True, slots=True)
class NotEqual(Diagnostic):
    """An ``equal`` field differs: hexadecimal digits of both values, and the declaration's hint."""

    local: str
    incoming: str
    hint: str | None

    says = History[Saying](Print("{local} != {incoming}"), (TYPES_CHAINED, Set("{local} != {incoming}")))


@dataclass(frozen=True, slots=True)
class NotPositiveLe(Diagnostic):
    """An ``int32 le`` field is negative or above the local value."""

    loaded: int
    current: int

    says = History[Saying](
        Print("Invalid value {loaded} expecting positive value <= {current}"),
        (TYPES_CHAINED, Set("Invalid value {loaded} expecting positive value <= {current}")),
    )


@dataclass(frozen=True, slots=True)
class NullMarkerMissing(Diagnostic):
    """The destination has a null pointer, but the stream has this byte instead of the marker."""

    found: int

    says = History[Saying](
        Print("vmstate: get_nullptr expected VMS_NULLPTR_MARKER"),
        (TYPES_CHAINED, Set("Unexpected ptr marker: {found}")),
    )


@dataclass(frozen=True, slots=True)
class ElementVersion(Diagnostic):
    """A queue's or tree's element description does not cover the field's version."""

    vmsd: str
    what: str

    says = History[Saying](Print("{vmsd} {what}"), (TYPES_CHAINED, Set("{vmsd} {what}")))


@dataclass(frozen=True, slots=True)
class ElementFailed(Diagnostic):
    """An element of a list or tree (its ``kind``) could not be loaded."""

    kind: str
    field: str
    vmsd: str
    ret: int

    says = History[Saying](Print("{element_text}"), (CHAINED, None))

    def values(self, release: Release) -> dict[str, object]:
        del release
        blank = " " if self.kind == "tree" else ""
        return {"element_text": f"{self.field}{blank}: failed to load {self.vmsd} ({self.ret})"}


@dataclass(frozen=True, slots=True)
class TreeInconsistent(Diagnostic):
    """A tree does not have the number of nodes that it announced."""

    field: str

    says = History[Saying](
        Print("{field} inconsistent stream when loading the gtree"),
        (TYPES_CHAINED, Set("{field} inconsistent stream when loading the gtree")),
    )


@dataclass(frozen=True, slots=True)
class UnknownSubsection(Diagnostic):
    """A subsection begins with the description's name but is not in its list."""

    vmsd: str
    subsection: str

    says = History[Saying](None, (CHAINED, Set("VM subsection '{subsection}' in '{vmsd}' does not exist")))


@dataclass(frozen=True, slots=True)
class SubsectionFailed(Diagnostic):
    """A known subsection could not be loaded."""

    vmsd: str
    subsection: str
    ret: int

    says = History[Saying](
        None,
        (CHAINED, Prepend("Loading VM subsection '{subsection}' in '{vmsd}' failed: {ret}: ")),
        (TYPES_CHAINED, Prepend("Loading VM subsection '{subsection}' in '{vmsd}' failed: ")),
    )


@dataclass(frozen=True, slots=True)
class UnknownCapability(Diagnostic):
    """The stream names a migration capability that this release does not have (get_capability)."""

    name: str

    says = History[Saying](
        Print("Received unknown capability {name}"),
        (TYPES_CHAINED, Set("Received unknown capability {name}")),
    )


@dataclass(frozen=True, slots=True)
class Exited(Diagnostic):
    """QEMU prints a line and exits with status 1, before it reports the error that it has, if any."""

    line: str


@dataclass(frozen=True, slots=True)
class Aborted(Diagnostic):
    """QEMU ends here; ``line`` is its last (a failed assertion, no memory).

    Without a line, a signal ends it.
    """

    line: str | None


@dataclass(frozen=True, slots=True)
class Stalled(Diagnostic):
    """QEMU is busy here for minutes, or forever, and prints nothing more."""


class LoadFailure(StreamError):
    """Loading stopped where QEMU would stop; ``ret`` is the negative errno that the loader returns."""

    def __init__(self, ret: int, message: str, **where: object) -> None:
        super().__init__(message, **where)  # type: ignore[arg-type]
        self.ret = ret


class Aborts(LoadFailure):
    """Loading ends QEMU itself: there is no errno, and only ``line`` is printed."""

    def __init__(self, line: str | None, **where: object) -> None:
        super().__init__(-EINVAL, f"QEMU aborts: {line}" if line else "QEMU crashes", **where)
        self.line = line


def aborts(cur: Cursor, line: str | None) -> Aborts:
    """Report QEMU's end; return the exception to raise."""
    return ends(cur.diagnostics, line, offset=cur.pos)


def ends(diagnostics: list[Diagnostic], line: str | None, **where: object) -> Aborts:
    """Report QEMU's end from a hook, which has no cursor; return the exception to raise."""
    diagnostics.append(Aborted(line))
    return Aborts(line, **where)


def stalls(cur: Cursor, message: str) -> LoadFailure:
    """Report that QEMU does not finish; return the exception to raise."""
    return cur.fail(Stalled(), message)


class Refused(Exception):
    """Raised by a hook that passes its message to the loader instead of printing it (Error **errp)."""

    def __init__(self, text: str, ret: int = -EINVAL) -> None:
        super().__init__(text)
        self.text, self.ret = text, ret
