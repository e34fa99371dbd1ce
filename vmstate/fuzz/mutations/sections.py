"""Mutations of whole sections and of what stands in their headers and footers."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy, Part
from vmstate.fuzz.edits import Edit
from vmstate.fuzz.mutations.domains import Chosen, OneOf, among
from vmstate.fuzz.mutations.registry import mutation

_U32 = 1 << 32


def _devices(base: Anatomy, _chosen: Chosen) -> list[str]:
    return [part.path for part in base.devices]


def _weight(base: Anatomy, path: str) -> float:
    """Small sections sooner: large ones are of one kind of field, again and again."""
    part = base.by_path[path]
    return 1.0 if part.end - part.start < 1 << 14 else 0.3


SECTION = OneOf(_devices, _weight)
#: Versions and numbers at the edges; those relative to what is there come as text.
EDGES = among("0", "-1", "+1", "0x7fffffff", "0x80000000", "0xffffffff")


def edge(text: str, now: int) -> int:
    """The 32-bit number that an edge stands for: absolute, or relative to ``now`` with a sign."""
    value = now + int(text) if text[0] in "+-" else int(text, 0)
    return value % _U32


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _header(part: Part) -> int:
    """Where the instance is, in the header of a START or FULL: behind mark, id, and the idstr."""
    return part.section.payload_start - 8


@mutation("sections", section=SECTION)
def section_missing(base: Anatomy, section: str) -> list[Edit]:
    """A section is left out."""
    part = base.by_path[section]
    return [Edit(part.start, part.end, b"")]


@mutation("sections", section=SECTION, before=SECTION)
def section_duplicate(base: Anatomy, section: str, before: str) -> list[Edit]:
    """A section comes twice."""
    part, place = base.by_path[section], base.by_path[before].start
    return [Edit(place, place, base.data[part.start : part.end])]


@mutation("sections", section=SECTION, before=SECTION)
def section_moved(base: Anatomy, section: str, before: str) -> list[Edit]:
    """A section comes elsewhere."""
    part, place = base.by_path[section], base.by_path[before].start
    if part.start <= place <= part.end:
        return []
    return [Edit(place, place, base.data[part.start : part.end]), Edit(part.start, part.end, b"")]


@mutation("sections", section=SECTION, version=EDGES)
def section_version(base: Anatomy, section: str, version: str) -> list[Edit]:
    """A section has another version."""
    part = base.by_path[section]
    at = _header(part) + 4
    return [Edit(at, at + 4, _u32(edge(version, part.section.version_id)))]


@mutation("sections", section=SECTION, instance=EDGES)
def section_instance(base: Anatomy, section: str, instance: str) -> list[Edit]:
    """A section is of another instance."""
    part = base.by_path[section]
    at = _header(part)
    return [Edit(at, at + 4, _u32(edge(instance, part.section.instance_id)))]


@mutation("sections", section=SECTION, number=EDGES, repaired=among(True, False))
def section_number(base: Anatomy, section: str, number: str, repaired: bool) -> list[Edit]:
    """A section has another section id; its footer follows if ``repaired``."""
    part = base.by_path[section]
    new = _u32(edge(number, part.section.section_id))
    edits = [Edit(part.start + 1, part.start + 5, new)]
    if repaired and part.section.footer is not None:
        edits.append(Edit(part.end - 4, part.end, new))
    return edits
