"""Mutations of section footers: a mark, and the section id again."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import among, between
from vmstate.fuzz.mutations.edge_values import EDGES, edge, u32
from vmstate.fuzz.mutations.places import ANY_SECTION, FOOTED
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream.constants import FOOTER_SIZE, SectionType


@mutation("footers", section=FOOTED)
def footer_missing(base: Anatomy, section: str) -> list[Splice]:
    """A section has no footer."""
    part = base.by_path[section]
    return [Splice(part.section.payload_end, part.end, b"")]


@mutation("footers", section=FOOTED, mark=among(0, 1, 4, 5, 8, 0x7D, 0x7F, 0xFF))
def footer_mark(base: Anatomy, section: str, mark: int) -> list[Splice]:
    """A footer begins with another byte."""
    at = base.by_path[section].section.payload_end
    return [Splice(at, at + 1, bytes([mark % 256]))]


@mutation("footers", section=FOOTED, number=EDGES)
def footer_number(base: Anatomy, section: str, number: str) -> list[Splice]:
    """A footer has another section id."""
    part = base.by_path[section]
    return [Splice(part.end - 4, part.end, u32(edge(number, part.section.section_id)))]


@mutation("footers", section=FOOTED, other=FOOTED)
def footer_of_other(base: Anatomy, section: str, other: str) -> list[Splice]:
    """A footer has the section id of another section."""
    part = base.by_path[section]
    return [Splice(part.end - 4, part.end, u32(base.by_path[other].section.section_id))]


@mutation("footers", section=ANY_SECTION, times=among(1, 2, 1000))
def footer_extra(base: Anatomy, section: str, times: int) -> list[Splice]:
    """A section is followed by extra footers."""
    part = base.by_path[section]
    footer = bytes([SectionType.FOOTER]) + u32(part.section.section_id)
    return [Splice(part.end, part.end, footer * min(max(times, 0), 1000))]


@mutation("footers", section=FOOTED, length=between(1, FOOTER_SIZE - 1))
def footer_cut(base: Anatomy, section: str, length: int) -> list[Splice]:
    """A footer lacks its last bytes."""
    part = base.by_path[section]
    return [Splice(max(part.end - max(length, 0), part.section.payload_end), part.end, b"")]


@mutation("footers", section=FOOTED, times=among(1, 4, 64), byte=among(0, 0x7E, 0xFF))
def payload_longer(base: Anatomy, section: str, times: int, byte: int) -> list[Splice]:
    """There are extra bytes between a section's payload and its footer."""
    at = base.by_path[section].section.payload_end
    return [Splice(at, at, bytes([byte % 256]) * min(max(times, 0), 4096))]


@mutation("footers", section=FOOTED, times=among(1, 4, 64))
def payload_shorter(base: Anatomy, section: str, times: int) -> list[Splice]:
    """A section's payload lacks its last bytes; the footer stays."""
    section_ = base.by_path[section].section
    return [
        Splice(max(section_.payload_start, section_.payload_end - max(times, 0)), section_.payload_end, b"")
    ]
