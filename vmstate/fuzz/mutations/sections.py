"""Mutations of whole sections and of their headers."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import among
from vmstate.fuzz.mutations.edge_values import EDGES, edge, u32
from vmstate.fuzz.mutations.places import ANY_SECTION, NAMED, header, named
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream.constants import SectionType


@mutation("sections", section=ANY_SECTION)
def section_missing(base: Anatomy, section: str) -> list[Splice]:
    """A section is left out."""
    part = base.by_path[section]
    return [Splice(part.start, part.end, b"")]


@mutation("sections", section=ANY_SECTION, before=ANY_SECTION)
def section_duplicate(base: Anatomy, section: str, before: str) -> list[Splice]:
    """A section comes twice."""
    part, place = base.by_path[section], base.by_path[before].start
    return [Splice(place, place, base.data[part.start : part.end])]


@mutation("sections", section=ANY_SECTION, before=ANY_SECTION)
def section_moved(base: Anatomy, section: str, before: str) -> list[Splice]:
    """A section is moved elsewhere."""
    part, place = base.by_path[section], base.by_path[before].start
    if part.start <= place <= part.end:
        return []
    return [Splice(place, place, base.data[part.start : part.end]), Splice(part.start, part.end, b"")]


@mutation("sections", section=ANY_SECTION, other=ANY_SECTION)
def sections_swapped(base: Anatomy, section: str, other: str) -> list[Splice]:
    """Two sections are swapped."""
    one, two = base.by_path[section], base.by_path[other]
    if one is two:
        return []
    first, second = base.data[one.start : one.end], base.data[two.start : two.end]
    return [Splice(one.start, one.end, second), Splice(two.start, two.end, first)]


@mutation("sections", section=ANY_SECTION, other=ANY_SECTION)
def section_payload_of_other(base: Anatomy, section: str, other: str) -> list[Splice]:
    """A section has the payload of another."""
    one, two = base.by_path[section].section, base.by_path[other].section
    return [Splice(one.payload_start, one.payload_end, base.data[two.payload_start : two.payload_end])]


@mutation("sections", section=ANY_SECTION)
def section_empty(base: Anatomy, section: str) -> list[Splice]:
    """A section has no payload."""
    part = base.by_path[section]
    return [Splice(part.section.payload_start, part.section.payload_end, b"")]


@mutation("sections", section=NAMED, version=EDGES)
def section_version(base: Anatomy, section: str, version: str) -> list[Splice]:
    """A section has another version."""
    part = base.by_path[section]
    at = header(part) + 4
    return [Splice(at, at + 4, u32(edge(version, part.section.version_id)))]


@mutation("sections", section=NAMED, instance=EDGES)
def section_instance(base: Anatomy, section: str, instance: str) -> list[Splice]:
    """A section has another instance id."""
    part = base.by_path[section]
    at = header(part)
    return [Splice(at, at + 4, u32(edge(instance, part.section.instance_id)))]


@mutation("sections", section=ANY_SECTION, number=EDGES, repaired=among(True, False))
def section_number(base: Anatomy, section: str, number: str, repaired: bool) -> list[Splice]:
    """A section has another section id; its footer is adjusted if ``repaired``."""
    part = base.by_path[section]
    new = u32(edge(number, part.section.section_id))
    splices = [Splice(part.start + 1, part.start + 5, new)]
    if repaired and part.section.footer is not None:
        splices.append(Splice(part.end - 4, part.end, new))
    return splices


@mutation("sections", section=ANY_SECTION, other=ANY_SECTION, repaired=among(True, False))
def section_number_of_other(base: Anatomy, section: str, other: str, repaired: bool) -> list[Splice]:
    """A section has the section id of another; its footer is adjusted if ``repaired``."""
    return section_number(base, section, str(base.by_path[other].section.section_id), repaired)


@mutation("sections", section=NAMED, other=NAMED)
def section_named_as_other(base: Anatomy, section: str, other: str) -> list[Splice]:
    """A section has the name and instance id of another."""
    part, source = base.by_path[section], base.by_path[other]
    start, end = source.start + 5, header(source) + 4
    return [Splice(part.start + 5, header(part) + 4, base.data[start:end])]


_KINDS = among(*(int(mark) for mark in SectionType), 5, 9, 0x7F, 0xFF)


@mutation("sections", section=ANY_SECTION, kind=_KINDS, repaired=among(True, False))
def section_kind(base: Anatomy, section: str, kind: int, repaired: bool) -> list[Splice]:
    """A section begins as another kind; its names are left out if ``repaired`` and that kind has none."""
    part = base.by_path[section]
    splices = [Splice(part.start, part.start + 1, bytes([kind % 256]))]
    if repaired and kind in {SectionType.PART, SectionType.END} and named(part):
        splices.append(Splice(part.start + 5, part.section.payload_start, b""))
    return splices


@mutation("sections", section=ANY_SECTION, kind=among(2, 3, 4, 1))
def section_again_as(base: Anatomy, section: str, kind: int) -> list[Splice]:
    """A section's payload is repeated after it, as PART, END, FULL or START with the same id."""
    part = base.by_path[section]
    names = b""
    if kind in {SectionType.START, SectionType.FULL}:
        start = next(p for p in base.parts if p.section.section_id == part.section.section_id)
        names = base.data[start.start + 5 : start.section.payload_start]
    again = bytes([kind % 256]) + u32(part.section.section_id) + names
    return [Splice(part.end, part.end, again + base.data[part.section.payload_start : part.end])]
