"""Everything about a stream that can be checked without a destination.

1. Structure: what reading the container and the stream found (rules ``container.*``, ``stream.*``,
   ``section.*``, ``footer.*``, ``command.*``).
2. The vmdesc against the sections, and against the bytes (``vmdesc.*``).
3. Our declarations against the vmdesc: names, types, sizes, and the very text (``declared.*``).
4. All that was read, written again, against the bytes (``rewrite.*``, ``value.*``).

What could not be compared is a finding too, never silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vmstate.compare.described import (
    DeclaredFindings,
    configuration_findings,
    could_not_compare,
    entry_findings,
    vmdesc_findings,
)
from vmstate.compare.rewriting import container_findings, framing_findings, live_findings, section_findings
from vmstate.containers import Opened
from vmstate.describe import Release
from vmstate.errors import Finding, Place, Severity
from vmstate.stream.items import Section
from vmstate.tree import By, Contents

MAX_FINDINGS = 1000
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Verified:
    """What verifying found.

    ``sections``: how many; ``described``: by the vmdesc; ``agreed``: with the very text of a declaration of
    ours; ``releases``: those that would have described every one of these just so.
    """

    findings: tuple[Finding, ...]
    sections: int = 0
    described: int = 0
    agreed: int = 0
    releases: tuple[Release, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether there is nothing above information."""
        return all(finding.severity == Severity.INFO for finding in self.findings)


def verify(contents: Contents, opened: Opened | None = None, tick: Tick = lambda _: None) -> Verified:
    """Check a stream; ``opened`` is what it came in.  ``tick`` is told the offset reached."""
    stream = contents.stream
    declared = DeclaredFindings(contents)
    findings = list(opened.findings) if opened is not None else []
    findings += framing_findings(stream)
    findings += configuration_findings(contents)
    findings += entry_findings(contents)
    described = 0
    mended: set[int] = set()
    for section in stream.sections:
        tick(section.start)
        entry = contents.entries.text_of(section)
        described += entry is not None
        found = _Section(contents, section, entry)
        findings += found.findings()
        if found.mended:
            mended.add(section.payload_start)
        if entry is not None:
            findings += declared.section(section, entry)
        if len(findings) > MAX_FINDINGS:
            break
    findings += declared.summary()
    if stream.elided:
        message = "guest memory came through a pipe and was not kept: only its records were checked"
        findings.append(Finding("ram.elided", Severity.INFO, message, Place(stream.elided[0][0])))
    if opened is not None:
        findings += container_findings(opened)
    structure = [f for f in stream.findings if not _explained(f, contents, mended)]
    releases = tuple(sorted(declared.releases or ()))
    everything = tuple((structure + findings)[: MAX_FINDINGS + 1])
    return Verified(everything, len(stream.sections), described, declared.agreed, releases)


class _Section:
    """The findings of one section; ``mended``: it is longer than its description says, and we know why."""

    def __init__(self, contents: Contents, section: Section, entry: bytes | None) -> None:
        self.contents = contents
        self.section = section
        self.entry = entry
        self.mended = False

    def findings(self) -> Iterator[Finding]:
        decoded = self.contents.decoded(self.section)
        self.mended = decoded.understated is not None
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


def _explained(finding: Finding, contents: Contents, mended: set[int]) -> bool:
    """Whether a finding about a payload's length is explained by how its vmdesc was mended."""
    if finding.rule != "section.length" or not mended or finding.place.offset is None:
        return False
    section = contents.section_at(finding.place.offset)
    return section is not None and section.payload_start in mended
