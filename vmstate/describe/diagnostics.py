"""What loading or saving a description has to tell, as values.

QEMU prints these facts as it meets them, each release in its own words.  The codec only states the
facts, in QEMU's order; the floor that knows releases turns them into lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmstate.errors import StreamError

if TYPE_CHECKING:
    from vmstate.describe.cursor import Cursor

# errno values as hooks return them, negated (Linux numbers: QEMU prints strerror of them)
EPERM, ENOENT, EIO, ENOMEM, EINVAL = 1, 2, 5, 12, 22


@dataclass(frozen=True, slots=True)
class Report:
    """One fact; its subclasses are all there are."""

    @classmethod
    def rule(cls) -> str:
        """The stable id of the check that reports it: ``footer-missing``."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()


@dataclass(frozen=True, slots=True)
class TooNew(Report):
    """The incoming version of a description is newer than the local one (vmstate_load_state)."""

    vmsd: str
    incoming: int
    local: int


@dataclass(frozen=True, slots=True)
class TooOld(Report):
    """The incoming version is older than the minimum (vmstate_load_state)."""

    vmsd: str
    incoming: int
    minimum: int


@dataclass(frozen=True, slots=True)
class HookFailed(Report):
    """``pre_load`` or ``post_load`` returned non-zero, or refused with a text of its own."""

    hook: str
    vmsd: str
    version_id: int
    minimum_version_id: int
    ret: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class FieldFailed(Report):
    """A field could not be loaded; one report per enclosing description, innermost first.

    ``type``: its wire type, None for a struct.  ``stream``: the bytes ended inside this very field.
    """

    vmsd: str
    field: str
    type: str | None
    stream: bool
    ret: int


@dataclass(frozen=True, slots=True)
class ValidationFailed(Report):
    """A ``must exist`` field's test said no (VMS_MUST_EXIST)."""

    vmsd: str
    field: str
    version_id: int


@dataclass(frozen=True, slots=True)
class NotEqual(Report):
    """An ``equal`` field differs: hexadecimal digits of both values, and the declaration's hint."""

    local: str
    incoming: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class NotPositiveLe(Report):
    """An ``int32 le`` field is negative or above the local value."""

    loaded: int
    current: int


@dataclass(frozen=True, slots=True)
class NullMarkerMissing(Report):
    """The destination has a null pointer where the stream has no marker, but this byte."""

    found: int


@dataclass(frozen=True, slots=True)
class ElementVersion(Report):
    """A queue's or tree's element description does not cover the field's version."""

    vmsd: str
    what: str


@dataclass(frozen=True, slots=True)
class ElementFailed(Report):
    """An element of a list or tree (its ``kind``) could not be loaded."""

    kind: str
    field: str
    vmsd: str
    ret: int


@dataclass(frozen=True, slots=True)
class TreeInconsistent(Report):
    """A tree has another number of nodes than it announced."""

    field: str


@dataclass(frozen=True, slots=True)
class UnknownSubsection(Report):
    """A subsection begins with the description's name but is not in its list."""

    vmsd: str
    subsection: str


@dataclass(frozen=True, slots=True)
class SubsectionFailed(Report):
    """A known subsection could not be loaded."""

    vmsd: str
    subsection: str
    ret: int


@dataclass(frozen=True, slots=True)
class UnknownCapability(Report):
    """The name of a migration capability that this release does not have (get_capability)."""

    name: str


@dataclass(frozen=True, slots=True)
class Aborted(Report):
    """QEMU ends here and now, by ``line`` (a failed assertion, no memory); it says nothing more.

    Without a line a signal ends it.
    """

    line: str | None


@dataclass(frozen=True, slots=True)
class Stalled(Report):
    """QEMU is busy here for minutes, if not for ever, and says nothing more."""


class LoadFailure(StreamError):
    """Loading stopped as QEMU's would: ``ret`` is the negative errno that the loader returns."""

    def __init__(self, ret: int, message: str, **where: object) -> None:
        super().__init__(message, **where)  # type: ignore[arg-type]
        self.ret = ret


class Aborts(LoadFailure):
    """Loading ends QEMU itself: no errno comes back, and nothing is printed but ``line``."""

    def __init__(self, line: str | None, **where: object) -> None:
        super().__init__(-EINVAL, f"QEMU aborts: {line}" if line else "QEMU crashes", **where)
        self.line = line


def aborts(cur: Cursor, line: str | None) -> Aborts:
    """QEMU's end, told and to be raised."""
    return ends(cur.reports, line, offset=cur.pos)


def ends(reports: list[Report | str], line: str | None, **where: object) -> Aborts:
    """As :func:`aborts`, of a hook, which has no cursor but a console."""
    reports.append(Aborted(line))
    return Aborts(line, **where)


def stalls(cur: Cursor, message: str) -> LoadFailure:
    """QEMU comes to no end, told and to be raised."""
    cur.reports.append(Stalled())
    return LoadFailure(-EINVAL, message, offset=cur.pos)


class Refused(Exception):
    """Raised by a hook that hands its message to the loader instead of printing it (Error **errp)."""

    def __init__(self, text: str, ret: int = -EINVAL) -> None:
        super().__init__(text)
        self.text, self.ret = text, ret
