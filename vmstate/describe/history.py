"""Release history as data: when something began and ended, and its value in between.

A fix reaches QEMU's main line in one release and, sometimes, older stable branches before that.  Such a
point in history is written as several releases, the main line's last:
``since=("2.11.2", "2.12.1", "3.0")`` means from 3.0 on, and on the 2.11 branch from 2.11.2, and on the
2.12 branch from 2.12.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Generic, NamedTuple, TypeVar

from vmstate.dataclass import dataclass, field
from vmstate.errors import DeclarationError

T = TypeVar("T")

Points = str | tuple[str, ...]


class Release(NamedTuple):
    """A QEMU release by its number, ordered: ``Release.parse("7.2.22")``; a missing part is 0."""

    major: int
    minor: int
    micro: int = 0
    nano: int = 0

    @staticmethod
    def parse(text: str | Release) -> Release:
        """Read ``major.minor[.micro[.nano]]``.  Raises DeclarationError for anything else."""
        return text if isinstance(text, Release) else _parse(text)

    @property
    def line(self) -> tuple[int, int]:
        """The stable branch: major and minor number."""
        return (self.major, self.minor)

    def __str__(self) -> str:
        nano = f".{self.nano}" if self.nano else ""
        return f"{self.major}.{self.minor}.{self.micro}{nano}"


@cache
def _parse(text: str) -> Release:
    parts = text.split(".")
    if not 2 <= len(parts) <= 4 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        raise DeclarationError(f"not a QEMU release: {text!r}; expected something like 7.2 or 7.2.22")
    return Release(*(int(p) for p in parts))


def _points(points: Points | None) -> tuple[Release, ...]:
    if points is None:
        return ()
    return tuple(Release.parse(p) for p in ((points,) if isinstance(points, str) else points))


@cache
def reached(points: Points, release: Release) -> bool:
    """Return True if ``release`` has a change made at ``points`` (stable backports first, main line last)."""
    *backports, mainline = _points(points)
    return release >= mainline or any(release.line == p.line and release >= p for p in backports)


@dataclass(frozen=True, slots=True)
class Span:
    """The releases from ``since`` (None: the first) up to, but not including, ``until`` (None: no end)."""

    since: Points | None = None
    until: Points | None = None

    def covers(self, release: Release) -> bool:
        """Return True if ``release`` is in the span."""
        begun = self.since is None or reached(self.since, release)
        return begun and not (self.until is not None and reached(self.until, release))


ALWAYS = Span()


@dataclass(frozen=True)
class History(Generic[T]):
    """A value that changed: ``History(1, ("9.2", 2))`` is 1, and 2 from release 9.2 on."""

    first: T
    changes: tuple[tuple[Points, T], ...] = ()
    _known: dict[Release, T] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __init__(self, first: T, *changes: tuple[Points, T]) -> None:
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "changes", changes)
        object.__setattr__(self, "_known", {})  # a cache

    def at(self, release: Release) -> T:
        """Return the value in ``release``: that of the latest change it has."""
        known: dict[Release, T] = self._known
        if release not in known:
            known[release] = self._at(release)
        return known[release]

    def _at(self, release: Release) -> T:
        value = self.first
        for points, later in self.changes:
            if reached(points, release):
                value = later
        return value


def at(value: T | History[T], release: Release) -> T:
    """Return ``value`` itself, or its value in ``release`` if it is a history."""
    return value.at(release) if isinstance(value, History) else value


def settled(value: T | History[T]) -> T:
    """Return ``value``, resolved by ``at``; raises DeclarationError if it still varies by release."""
    if isinstance(value, History):
        raise DeclarationError("this still varies by release: use .at(release) first")
    return value


def newest(releases: Iterable[Release]) -> Release:
    """Return the newest of some releases; raises DeclarationError if there are none."""
    ordered = sorted(releases)
    if not ordered:
        raise DeclarationError("no releases to choose from")
    return ordered[-1]
