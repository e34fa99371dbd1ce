"""Compare a stream's own description with its bytes, and with our declarations.

Rules: ``vmdesc.missing``, ``vmdesc.extra``, ``vmdesc.order``, ``vmdesc.unreadable``, ``vmdesc.mismatch``,
``vmdesc.understated``; ``declared.fields``, ``declared.vmdesc``, ``declared.unknown``, ``declared.mismatch``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe import Release, decode, plan_of
from vmstate.describe.vmdesc import VmdescWriter
from vmstate.errors import (
    Finding,
    Place,
    Severity,
    StreamError,
    Unsupported,
    VmstateError,
    finding_of,
    quantity,
)
from vmstate.stream.items import Section
from vmstate.stream.vmdesc.entry_edit import configuration_text
from vmstate.tree import Contents, Decoded
from vmstate.tree.declarations import Declared
from vmstate.tree.decoded import By, description_of, read

_MOST_DIFFERENCES = 5
_PARALLEL_DEPTH = 64
_WRITERS_KEPT = 256


def entry_findings(contents: Contents) -> Iterator[Finding]:
    """Compare the list of devices in the vmdesc with the sections in the stream."""
    stream, index = contents.stream, contents.entries.index
    vmdesc = stream.vmdesc
    if vmdesc is None:
        return
    last = -1
    for section in stream.devices:
        place = _place(section)
        entry = index.get(section.start)
        if entry is None:
            yield Finding("vmdesc.missing", Severity.ERROR, "the vmdesc has no entry for this section", place)
        elif entry < last:
            message = "the vmdesc has the entry for this section in another place"
            yield Finding("vmdesc.order", Severity.ERROR, message, place)
        else:
            last = entry
    described = set(index.values())
    live = {(section.idstr, section.instance_id) for section in stream.sections}
    for device in vmdesc.devices:
        if device.index not in described and (device.name, device.instance_id) not in live:
            at = vmdesc.offset + contents.entries.spans[device.index][0]
            message = "the vmdesc describes a section that is not in the stream"
            place = Place(at, device.name, device.instance_id)
            yield Finding("vmdesc.extra", Severity.ERROR, message, place)


def configuration_findings(contents: Contents) -> Iterator[Finding]:
    """Compare the configuration section with its entry in the vmdesc, from 8.0 on (``vmdesc.mismatch``)."""
    item, text = contents.stream.configuration, contents.entries.text
    entry = configuration_text(text) if text else None
    if item is None or entry is None:
        return
    place = Place(item.start + 1, "configuration")
    try:
        description = description_of(entry)
        version = description.version_id
        assert isinstance(version, int)
        root, _, error = decode(description, contents.stream.data, item.start + 1, version, end=item.end)
    except StreamError as unreadable:
        yield finding_of(unreadable.within(offset=place.offset), "vmdesc.unreadable")
        return
    if error is not None:
        yield finding_of(error.within(section="configuration"), "vmdesc.mismatch")
    elif root.end != item.end:
        described = quantity(root.end - item.start - 1, "byte")
        message = f"the vmdesc describes {described}, but there are {item.end - item.start - 1}"
        yield Finding("vmdesc.mismatch", Severity.ERROR, message, place)


def vmdesc_findings(decoded: Decoded, described: bool) -> Iterator[Finding]:
    """Yield the findings of decoding a section by the vmdesc; ``described``: it has an entry."""
    section = decoded.section
    error = decoded.error
    if decoded.understated is not None:
        message = "the vmdesc describes this array by its first element, a null pointer; not all are null"
        place = replace(_place(section), path=decoded.understated)
        yield Finding("vmdesc.understated", Severity.INFO, message, place)
    if decoded.by is By.NOTHING:
        if error is not None and described:
            yield finding_of(error, "vmdesc.unreadable")
        yield could_not_compare(section, error)
    elif error is not None:
        yield finding_of(error, "vmdesc.mismatch" if decoded.by is By.VMDESC else "declared.mismatch")


def could_not_compare(section: Section, error: StreamError | None) -> Finding:
    """Return a finding for a payload about which nothing is known (rule ``section.opaque``)."""
    message = "not compared: no description or declaration reads it"
    if error is not None:
        message += f" ({error.message})"
    return Finding("section.opaque", Severity.WARNING, message, _place(section))


@dataclass
class _Compared:
    """An entry compared with some declarations: those tried, the releases that agree, else the best text."""

    tried: int = 0
    agreeing: set[Release] = field(default_factory=set)
    best: str | None = None
    failed: StreamError | None = None
    _agreement: int = -1

    def note(self, text: str, entry: bytes) -> None:
        """Keep a text that differs, if it agrees longer than the others."""
        agreement = _agreement(text.encode(), entry)
        if agreement > self._agreement:
            self.best, self._agreement = text, agreement


@lru_cache(maxsize=_WRITERS_KEPT)
def _writers(releases: tuple[Release, ...]) -> tuple[tuple[VmdescWriter, tuple[Release, ...]], ...]:
    """Return the writers of some releases, each with those that write so."""
    found: dict[VmdescWriter, list[Release]] = {}
    for release in releases:
        found.setdefault(replace(VmdescWriter.at(release), replay=True), []).append(release)
    return tuple((writer, tuple(those)) for writer, those in found.items())


class DeclaredFindings:
    """A comparison of our declarations with the vmdesc: a single release must have described every device.

    ``releases``: those that may have written the stream, by all sections so far; None before the first.
    ``unknown``: names of sections without a declaration.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.releases: frozenset[Release] | None = None
        self.unknown: dict[str, int] = {}
        self.agreed = 0

    def section(self, section: Section, entry: bytes) -> Iterator[Finding]:
        """Compare one section's entry with the text of our declarations for it."""
        declarations, facts = self.contents.declarations, self.contents.facts
        if declarations is None:
            return
        key = (section.idstr, section.instance_id, section.version_id)
        # Most agree with a release that all sections before agree with: then no other matters.
        likely = self.releases or frozenset()
        every = declarations.candidates(facts, *key)
        compared = self._compared(
            section, entry, (one for one in every if not likely.isdisjoint(one.releases))
        )
        if not compared.agreeing:
            compared = self._compared(section, entry, declarations.candidates(facts, *key))
        if not compared.tried:
            name = section.idstr.rsplit("/", 1)[-1] if "@" in section.idstr else section.idstr
            self.unknown.setdefault(name, section.start)
        elif compared.agreeing:
            self.agreed += 1
            found = compared.agreeing
            self.releases = frozenset(found if self.releases is None else self.releases & found)
        else:
            yield from self._differs(section, entry, compared)

    def _compared(self, section: Section, entry: bytes, candidates: Iterable[Declared]) -> _Compared:
        found = _Compared()
        for declared in candidates:
            decoded = read(
                self.contents.stream, section, By.DECLARATION, declared, section.version_id, nodes=False
            )
            found.tried += 1
            found.failed = decoded.error or found.failed
            for text, releases in self._texts(decoded, entry):
                if text.encode() == entry:
                    found.agreeing.update(releases)
                else:
                    found.note(text, entry)
        return found

    def _texts(self, decoded: Decoded, entry: bytes) -> Iterator[tuple[str, tuple[Release, ...]]]:
        declared, section = decoded.declared, decoded.section
        if declared is None or decoded.error is not None or decoded.description is None:
            return
        ids = (section.idstr, section.instance_id)
        for writer, releases in _writers(declared.releases):
            try:
                if b'"vmsd_name"' not in entry:
                    text = writer.undescribed(*ids, section.payload_end - section.payload_start)
                else:
                    text = writer.device(plan_of(decoded.description), *ids, decoded.state)
            except (VmstateError, AttributeError, LookupError, TypeError, ValueError):
                continue
            yield text, releases

    def _differs(self, section: Section, entry: bytes, compared: _Compared) -> Iterator[Finding]:
        place, best, failed = _place(section), compared.best, compared.failed
        if best is None and (failed is None or isinstance(failed, Unsupported)):
            message = f"not compared: {failed.message if failed else 'the declaration cannot be described'}"
            yield Finding("declared.unknown", Severity.INFO, message, place)
            return
        if best is None:
            assert failed is not None
            yield finding_of(failed, "declared.mismatch")
            return
        differences = list(_differences(json.loads(entry), json.loads(best), ""))
        for path, message in differences[:_MOST_DIFFERENCES]:
            yield Finding("declared.fields", Severity.ERROR, message, replace(place, path=path or None))
        if not differences:
            message = "our declaration agrees, but does not give the vmdesc's exact text"
            yield Finding("declared.vmdesc", Severity.ERROR, message, place)

    def summary(self) -> Iterator[Finding]:
        """Yield a finding for sections that could not be compared, and one if no release fits the others."""
        if self.unknown:
            names = ", ".join(sorted(self.unknown))
            message = f"compared with the vmdesc only, for lack of a declaration: {names}"
            yield Finding("declared.unknown", Severity.INFO, message, Place(min(self.unknown.values())))
        if self.releases is not None and not self.releases:
            message = "each section is described as by some release, but no release describes all of them so"
            yield Finding("declared.releases", Severity.WARNING, message, Place(self.contents.entries.offset))


def _agreement(text: bytes, entry: bytes) -> int:
    """Return the length of the common prefix."""
    low, high = 0, min(len(text), len(entry))
    while low < high:
        middle = (low + high + 1) // 2
        if text[:middle] == entry[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _differences(
    theirs: Any, ours: Any, path: str, depth: int = _PARALLEL_DEPTH
) -> Iterator[tuple[str, str]]:
    """Yield the differences between two descriptions: the field's path, and a message."""
    if not depth or type(theirs) is not type(ours):
        yield path, f"the vmdesc has {theirs!r:.60}, our declaration {ours!r:.60}"
    elif isinstance(theirs, dict):
        name = theirs.get("name") or theirs.get("vmsd_name")
        inner = f"{path}.{name}" if path and name else (name or path)
        for key in dict.fromkeys((*theirs, *ours)):
            if key not in ours or key not in theirs:
                side = "our declaration" if key not in ours else "the vmdesc"
                yield inner, f"{side} has no {key!r}"
            elif theirs[key] != ours[key]:
                yield from _differences(theirs[key], ours[key], inner, depth - 1)
    elif isinstance(theirs, list):
        for one, other in zip(theirs, ours, strict=False):
            if one != other:
                yield from _differences(one, other, path, depth - 1)
        if len(theirs) != len(ours):
            yield path, f"the vmdesc lists {quantity(len(theirs), 'item')}, our declaration {len(ours)}"
    elif theirs != ours:
        yield path, f"the vmdesc has {theirs!r:.60}, our declaration {ours!r:.60}"


def _place(section: Section) -> Place:
    return Place(section.payload_start, section.idstr, section.instance_id)
