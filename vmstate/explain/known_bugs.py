"""Known bugs of QEMU, as data: how each shows itself, which releases have it, its fix, and what helps.

``known_bugs.toml`` has them.  A bug is named from the lines of a log, or from a verdict: then the section
that decided and the releases of both sides must fit, too.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TypedDict

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, Release, Span
from vmstate.explain.formats import Format, Match

_SECTION = re.compile(
    r"of device '([^']{1,256})'|section footer for (\S{1,256})|section id \d+\(([^)]{1,256})\)"
    r"|section or instance '([^']{1,256})'"
)
_FEATURES = frozenset({"features", "allowed"})


class _Row(TypedDict, total=False):
    id: str
    title: str
    lines: list[str]
    sections: list[str]
    feature_bits: list[int]
    source: str
    destination: str
    either: str
    development_of: str
    verdicts: bool
    machine_types: str
    fix: str
    fixed_in: str
    workaround: str
    sources: list[str]


@dataclass(frozen=True)
class KnownBug:
    """One bug.

    ``lines``: formats, one of which it prints; none if it prints nothing.  ``sections``: globs of the
    section in which it shows, ``*/virtio-net``.  ``feature_bits``: those that a line about features is
    short of.  ``source`` and ``destination``: the releases of each side with which it happens; ``either``:
    those of which one side is.  ``verdicts``: the simulator can show it.  ``development_of``: the release
    before which it was found and fixed; no release has it.
    """

    id: str
    title: str
    lines: tuple[Format, ...]
    sections: tuple[str, ...]
    feature_bits: frozenset[int]
    source: Span
    destination: Span
    either: Span
    development_of: str
    verdicts: bool
    machine_types: str
    fix: str
    fixed_in: str
    workaround: str
    sources: tuple[str, ...]

    def printed_in(self, texts: Iterable[str]) -> bool:
        """Return True if one of the lines is this bug's."""
        return any(self._is(match) for text in texts for form in self.lines if (match := form.match(text)))

    def _is(self, match: Match) -> bool:
        if not self.feature_bits or not match.named.keys() >= _FEATURES:
            return True
        missing = int(match.named["features"], 16) & ~int(match.named["allowed"], 16)
        return any(missing >> bit & 1 for bit in self.feature_bits)

    def in_section(self, idstr: str) -> bool:
        """Return True if the bug shows in this section."""
        return any(fnmatch.fnmatchcase(idstr, glob) for glob in self.sections)

    def happens(self, source: Release | None, destination: Release) -> bool:
        """Return True if it happens between these releases; the source's may be unknown."""
        if self.development_of or ALWAYS == self.source == self.destination == self.either:
            return False  # not known to happen with any release
        if source is None:
            return _has(self.destination, destination)
        sides = _has(self.source, source) and _has(self.destination, destination)
        return sides and (_has(self.either, source) or _has(self.either, destination))

    def releases(self) -> str:
        """Return where it happens, in words."""
        sides = [
            f"{side} {_words(span)}"
            for side, span in (("from", self.source), ("to", self.destination), ("one side", self.either))
            if span != ALWAYS
        ]
        if self.development_of:
            sides.append(f"development versions of {self.development_of}, no release")
        types = [f"machine types {self.machine_types}"] if self.machine_types else []
        return ", ".join([*sides, *types]) or "releases are not limited"

    def as_json(self) -> dict[str, object]:
        """Return the bug as a JSON object."""
        return {
            "id": self.id,
            "title": self.title,
            "releases": self.releases(),
            "fix": self.fix,
            "fixed_in": self.fixed_in,
            "workaround": self.workaround,
            "sources": list(self.sources),
        }

    def text(self) -> Iterator[str]:
        """Yield the bug as lines for people."""
        fix = f"fixed in {self.fixed_in} (commit {self.fix})" if self.fix else "no fix is known to us"
        yield f"{self.id}: {self.title}"
        yield f"  {self.releases()}; {fix}"
        if self.workaround:
            yield f"  {self.workaround}"
        yield f"  {', '.join(self.sources)}"


def _has(span: Span, release: Release) -> bool:
    """Return True if a release is in the span for certain: later ones of its branch may have the fix."""
    return span.covers(release) and (span.until is None or release.micro == 0)


def _words(span: Span) -> str:
    since, until = str(span.since or ""), str(span.until or "")
    if since and until:
        return f"{since} up to, not including, {until}"
    return f"{since} and later" if since else f"before {until}"


@cache
def known_bugs() -> tuple[KnownBug, ...]:
    """Return all known bugs."""
    data = tomllib.loads(files("vmstate.explain").joinpath("known_bugs.toml").read_text("utf-8"))
    rows: list[_Row] = data["bug"]
    return tuple(map(_bug, rows))


def _bug(row: _Row) -> KnownBug:
    return KnownBug(
        row["id"],
        row["title"],
        tuple(map(Format, row.get("lines", ()))),
        tuple(row.get("sections", ())),
        frozenset(row.get("feature_bits", ())),
        _span(row.get("source", "")),
        _span(row.get("destination", "")),
        _span(row.get("either", "")),
        row.get("development_of", ""),
        row.get("verdicts", False),
        row.get("machine_types", ""),
        row.get("fix", ""),
        row.get("fixed_in", ""),
        row.get("workaround", ""),
        tuple(row["sources"]),
    )


def _span(text: str) -> Span:
    since, _, until = text.partition("..")
    return Span(since or None, until or None)


def bugs_of_lines(texts: Sequence[str]) -> Iterator[KnownBug]:
    """Yield the bugs that a log could be of.

    One whose section the log contradicts is left out.
    """
    sections = set(_sections(texts))
    for bug in known_bugs():
        if bug.printed_in(texts) and (not bug.sections or not sections or any(map(bug.in_section, sections))):
            yield bug


def _sections(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for found in _SECTION.finditer(text):
            yield next(name for name in found.groups() if name is not None)


def bugs_of_verdict(
    messages: Sequence[str], section: str | None, source: Release | None, destination: Release
) -> Iterator[KnownBug]:
    """Yield the bugs that a verdict shows: a line of theirs, their section, and their releases.

    Only those of machines that are simulated are named.
    """
    for bug in known_bugs():
        if (
            bug.verdicts
            and bug.happens(source, destination)
            and bug.printed_in(messages)
            and (not bug.sections or (section is not None and bug.in_section(section)))
        ):
            yield bug
