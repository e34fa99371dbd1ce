"""Check everything about a stream that needs no destination.

1. Structure: the findings of reading the container and the stream (rules ``container.*``, ``stream.*``,
   ``section.*``, ``footer.*``, ``command.*``).
2. The vmdesc against the sections, and against the bytes (``vmdesc.*``).
3. Our declarations against the vmdesc: names, types, sizes, and the exact text (``declared.*``).
4. Everything that was read, written again, against the bytes (``rewrite.*``, ``value.*``).

Parts that could not be compared are findings too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmstate.compare.described import (
    DeclaredFindings,
    configuration_findings,
    could_not_compare,
    entry_findings,
    vmdesc_findings,
)
from vmstate.compare.rewriting import container_findings, framing_findings, live_findings, section_findings
from vmstate.containers import Opened
from vmstate.dataclass import dataclass
from vmstate.describe import Release
from vmstate.errors import Finding, Place, Severity
from vmstate.stream.items import Section
from vmstate.tree import By, Contents

MAX_FINDINGS = 1000
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Verified:
    """The result of a verification.

    ``sections``: their number; ``described``: those in the vmdesc; ``agreed``: those whose entry is exactly
    the text of one of our declarations; ``releases``: those that would have written all of these entries.
    """

    findings: tuple[Finding, ...]
    sections: int = 0
    described: int = 0
    agreed: int = 0
    releases: tuple[Release, ...] = ()

    @property
    def fine(self) -> bool:
        """True if no finding is above *info*."""
        return all(finding.severity == Severity.INFO for finding in self.findings)


def verify(contents: Contents, opened: Opened | None = None, tick: Tick = lambda _: None) -> Verified:
    """Check a stream; ``opened`` has its containers.  ``tick`` is called with the offset reached."""
    stream = contents.stream
    declared = DeclaredFindings(contents)
    findings = list(opened.findings) if opened is not None else []
    findings += framing_findings(stream)
    findings += configuration_findings(contents)
    findings += entry_findings(contents)
    described = 0
    understated: set[int] = set()
    for section in stream.sections:
        tick(section.start)
        entry = contents.entries.text_of(section)
        described += entry is not None
        found = _Section(contents, section, entry)
        findings += found.findings()
        if found.understated:
            understated.add(section.payload_start)
        if entry is not None:
            findings += declared.section(section, entry)
        if len(findings) > MAX_FINDINGS:
            break
    findings += declared.summary()
    if stream.elided:
        message = "guest memory was read through a pipe and not kept: only its records were checked"
        findings.append(Finding("ram.elided", Severity.INFO, message, Place(stream.elided[0][0])))
    if opened is not None:
        findings += container_findings(opened)
    structure = [f for f in stream.findings if not _explained(f, contents, understated)]
    releases = tuple(sorted(declared.releases or ()))
    everything = tuple((structure + findings)[: MAX_FINDINGS + 1])
    return Verified(everything, len(stream.sections), described, declared.agreed, releases)


class _Section:
    """The findings of one section; ``understated``: it is longer than described, for a known reason."""

    def __init__(self, contents: Contents, section: Section, entry: bytes | None) -> None:
        self.contents = contents
        self.section = section
        self.entry = entry
        self.understated = False

    def findings(self) -> Iterator[Finding]:
        decoded = self.contents.decoded(self.section)
        self.understated = decoded.understated is not None
        if decoded.by is By.LIVE:
            yield from live_findings(self.contents, self.section)
            yield from self._opaque_parts()
            return
        yield from vmdesc_findings(decoded, self.entry is not None)
        if decoded.error is None:
            yield from section_findings(self.contents, decoded)

    def _opaque_parts(self) -> Iterator[Finding]:
        for node in self.contents.decoded(self.section).root.walk():
            if node.kind == "opaque":
                yield could_not_compare(self.section, None)
                return


def _explained(finding: Finding, contents: Contents, understated: set[int]) -> bool:
    """Return True if a finding about a payload's length is explained by an understated array."""
    if finding.rule != "section.length" or not understated or finding.place.offset is None:
        return False
    section = contents.section_at(finding.place.offset)
    return section is not None and section.payload_start in understated
