"""The package's errors, classified by who must act, and findings.

All errors derive from :class:`VmstateError`; any other exception that escapes the package is a bug in it.
A :class:`Finding` is not an error but a value: something to report about a stream that could still be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from os import PathLike
from typing import Any

from vmstate.dataclass import dataclass, replace


class VmstateError(Exception):
    """The base class of all errors that this package raises on purpose.

    ``source``: the file that it is about, where it is known.
    """

    source: str = ""


@dataclass(frozen=True)
class Place:
    """A place in a stream: absolute byte offset, section idstr, instance id, field path."""

    offset: int | None = None
    section: str | None = None
    instance: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        parts = []
        if self.offset is not None:
            parts.append(f"at offset {self.offset:#x}")
        if self.section is not None:
            instance = "" if self.instance is None else f"[{self.instance}]"
            parts.append(f"in {self.section}{instance}")
        if self.path:
            parts.append(f"field {self.path}")
        return ", ".join(parts)


class DeclarationError(VmstateError):
    """A description contradicts itself.  Its author must fix it."""


class ConfigurationError(VmstateError):
    """A question cannot be taken as it is: names the option, file or name that the caller must change."""


class OutputError(VmstateError):
    """An output cannot be written: names the file and the reason.  What was there is unchanged."""


class OutputWarning(UserWarning):
    """An output was written, but not everything of the old file was kept: its owner, another name of it."""


class NotModelled(ConfigurationError):
    """QEMU's next step is not modelled, so there is no verdict: neither accept nor reject.

    Any floor may raise it; a command then says "cannot judge" and exits with status 2.  ``place``: where in
    the stream.  ``messages``, ``source_messages``: what the destination and the source had printed.
    """

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.place = Place(offset)
        self.messages: list[str] = []
        self.source_messages: list[str] = []

    def within(self, section: str, instance: int) -> NotModelled:
        """Fill in the section where loading stops; return the error itself."""
        self.place = replace(self.place, section=section, instance=instance)
        return self

    def __str__(self) -> str:
        where = str(self.place)
        return f"{super().__str__()} ({where})" if where else super().__str__()


class EncodeError(VmstateError):
    """A value does not fit its field on the wire.  The caller must change the value.

    ``path``: the field, from the description's name on (``cpu.env.gpr``); empty where no field is known.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = ""

    def inside(self, name: str) -> EncodeError:
        """Note that the path so far is inside ``name``; returns the error itself."""
        joint = "" if self.path[:1] in ("", "[", "/") else "."
        self.path = f"{name}{joint}{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.message} (field {self.path})" if self.path else self.message


class StreamError(VmstateError):
    """The bytes are wrong.  Gives the place, the expected and the found value, and a remedy.

    ``place`` may be completed on the way up: a codec knows the offset, its caller the section.
    ``ret`` is the negative errno that QEMU's loader would return.
    """

    ret: int = -22

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        section: str | None = None,
        instance: int | None = None,
        path: str | None = None,
        expected: object = None,
        found: object = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = Place(offset, section, instance, path)
        self.expected = expected
        self.found = found
        self.remedy = remedy

    @property
    def offset(self) -> int | None:
        """The absolute byte offset in the stream, if known."""
        return self.place.offset

    def within(self, **known: Any) -> StreamError:
        """Fill in missing parts of the place (offset, section, instance, path); return the error itself."""
        missing = {k: v for k, v in known.items() if getattr(self.place, k) is None}
        self.place = replace(self.place, **missing)
        return self

    def inside(self, name: str) -> StreamError:
        """Put ``name`` in front of the field path; return the error itself."""
        path = self.place.path
        self.place = replace(self.place, path=f"{name}.{path}" if path else name)
        return self

    def __str__(self) -> str:
        text = self.message
        where = str(self.place)
        if where:
            text += f" ({where})"
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.found is not None:
            text += f"; found {self.found}"
        if self.remedy:
            text += f". {self.remedy}"
        return text


@contextmanager
def naming(source: object) -> Iterator[None]:
    """Let errors say which file they are about, if ``source`` is a path; "-" is the standard input."""
    try:
        yield
    except VmstateError as error:
        if not error.source and isinstance(source, str | PathLike):
            error.source = "the standard input" if source == "-" else str(source)
        raise


class Truncated(StreamError):
    """The bytes end too early.  ``requested`` and ``available`` count bytes from the offset."""

    ret = -5

    def __init__(self, requested: int, available: int, **where: Any) -> None:
        super().__init__(f"requested {quantity(requested, 'byte')}, but only {available} available", **where)
        self.requested = requested
        self.available = available


class Unsupported(StreamError):
    """Legal, but not handled here: not to be confused with wrong bytes."""


class TooLarge(StreamError):
    """A stream needs more room than the caller allows; ``limit`` is in bytes, and may be raised."""

    def __init__(self, limit: int, **where: Any) -> None:
        super().__init__(f"decompresses to more than {limit} bytes", **where)
        self.limit = limit


class Severity(StrEnum):
    """The severity of a finding: an error changes a destination's behaviour, or hides data."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """An observation about a stream: a stable rule id, a severity, a message, a place, a remedy."""

    rule: str
    severity: Severity
    message: str
    place: Place = Place()
    remedy: str | None = None

    def __str__(self) -> str:
        where = str(self.place)
        rule = "" if self.rule.startswith("error.") else f" {self.rule}"  # the name of a class helps nobody
        text = f"{self.severity}{rule}: {self.message}" + (f" ({where})" if where else "")
        return f"{text}. {self.remedy}" if self.remedy else text

    def as_json(self) -> Mapping[str, object]:
        """Return the finding as a JSON object, without absent members."""
        members = {
            "rule": self.rule,
            "severity": str(self.severity),
            "message": self.message,
            "offset": self.place.offset,
            "section": self.place.section,
            "instance": self.place.instance,
            "path": self.place.path,
            "remedy": self.remedy,
        }
        return {k: v for k, v in members.items() if v is not None}


def quantity(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one: "1 byte", "2 bytes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def memory_size(size: int) -> str:
    """Return a number of bytes in the largest unit that it is a multiple of: "2 GiB", "4097 bytes"."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


def finding_of(error: StreamError, rule: str, severity: Severity = Severity.ERROR) -> Finding:
    """Return a finding that reports a stream error."""
    text = error.message
    if error.expected is not None:
        text += f"; expected {error.expected}"
    if error.found is not None:
        text += f"; found {error.found}"
    return Finding(rule, severity, text, error.place, error.remedy)
