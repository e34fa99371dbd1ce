"""What can go wrong, named by who must act.

Every error has one root, :class:`VmstateError`.  Anything else that escapes the package is a bug of
ours.  A :class:`Finding` is not an error but a value: something worth telling about a stream that
could still be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class VmstateError(Exception):
    """The root of everything this package raises on purpose."""


class DeclarationError(VmstateError):
    """A description contradicts itself: its author must mend it."""


class ConfigurationError(VmstateError):
    """A command line, release or host that we do not model; names the option.  The caller must change it."""


class EncodeError(VmstateError):
    """A value does not fit its field on the wire.  The caller must change the value."""


@dataclass(frozen=True)
class Place:
    """Where in a stream something is: absolute byte offset, section idstr, instance id, field path."""

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


class StreamError(VmstateError):
    """The bytes are wrong.  Says where, what was expected, what was found, and what to do.

    ``place`` may be filled in on the way up: a codec knows the offset, its caller the section.
    ``ret`` is the negative errno that QEMU's loader would return for it.
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
        """Absolute byte offset in the stream, if known."""
        return self.place.offset

    def within(self, **known: Any) -> StreamError:
        """Fill in what an outer layer knows (offset, section, instance, path); keep what is there already."""
        missing = {k: v for k, v in known.items() if getattr(self.place, k) is None}
        self.place = replace(self.place, **missing)
        return self

    def inside(self, name: str) -> StreamError:
        """Note that the field path so far lies inside ``name``; returns itself."""
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


class Truncated(StreamError):
    """The bytes end too early.  ``requested`` and ``available`` count bytes from the offset."""

    ret = -5

    def __init__(self, requested: int, available: int, **where: Any) -> None:
        super().__init__(f"requested {requested} bytes, but only {available} available", **where)
        self.requested = requested
        self.available = available


class Unsupported(StreamError):
    """Legal, but not handled here: never to be confused with wrong."""


class TooLarge(StreamError):
    """A stream would need more room than the caller allows; ``limit`` counts bytes, and may be raised."""

    def __init__(self, limit: int, **where: Any) -> None:
        super().__init__(f"decompresses to more than {limit} bytes", **where)
        self.limit = limit


class Severity(StrEnum):
    """How much a finding matters: an error changes what a destination would do or hides data."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """Something worth telling about a stream: a stable rule id, a severity, a place, a remedy."""

    rule: str
    severity: Severity
    message: str
    place: Place = Place()
    remedy: str | None = None

    def __str__(self) -> str:
        where = str(self.place)
        text = f"{self.severity} {self.rule}: {self.message}" + (f" ({where})" if where else "")
        return f"{text}. {self.remedy}" if self.remedy else text

    def as_json(self) -> Mapping[str, object]:
        """The finding as a JSON object; absent facts are left out."""
        facts = {
            "rule": self.rule,
            "severity": str(self.severity),
            "message": self.message,
            "offset": self.place.offset,
            "section": self.place.section,
            "instance": self.place.instance,
            "path": self.place.path,
            "remedy": self.remedy,
        }
        return {k: v for k, v in facts.items() if v is not None}


def finding_of(error: StreamError, rule: str, severity: Severity = Severity.ERROR) -> Finding:
    """The finding that says what a stream error said."""
    text = error.message
    if error.expected is not None:
        text += f"; expected {error.expected}"
    if error.found is not None:
        text += f"; found {error.found}"
    return Finding(rule, severity, text, error.place, error.remedy)
