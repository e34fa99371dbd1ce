"""Mutations of the hash page table's sections: its size, and chunks of its entries."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy, Part
from vmstate.fuzz.mutations.domains import Place, among
from vmstate.fuzz.mutations.edge_values import u16, u32
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

_HEADER = 4
_CHUNK = 8
_ENTRY = 16
_NO_TABLE = b"\xff" * 4


def _sections(base: Anatomy) -> list[Part]:
    return [part for part in base.live if part.section.idstr == "spapr/htab"]


def _with_chunks(base: Anatomy) -> list[str]:
    """Return the sections whose header says that chunks follow."""
    return [
        part.path
        for part in _sections(base)
        if base.data[part.section.payload_start : part.section.payload_start + _HEADER] == bytes(_HEADER)
    ]


HTAB = Place(lambda base: [part.path for part in _sections(base)])
CHUNKS = Place(_with_chunks)

_HEADERS = among(0, 1, 17, 18, 24, 46, 47, 63, 64, 80, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


@mutation("htab", section=HTAB, header=_HEADERS, alone=among(True, False))
def htab_header(base: Anatomy, section: str, header: int, alone: bool) -> list[Splice]:
    """The table has another size, or none; the chunks after the header are left out if ``alone``."""
    found = base.by_path[section].section
    end = found.payload_end if alone else found.payload_start + _HEADER
    return [Splice(found.payload_start, end, u32(header))]


_INDICES = among(0, 1, 0x1FFFF, 0x20000, 0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFFE, 0xFFFFFFFF)
_COUNTS = among(0, 1, 2, 0x7FFF, 0x8000, 0xFFFF)


@mutation("htab", section=CHUNKS, index=_INDICES, valid=_COUNTS, invalid=_COUNTS, data=among(True, False))
def htab_chunk(base: Anatomy, section: str, index: int, valid: int, invalid: int, data: bool) -> list[Splice]:
    """An extra chunk whose index and counts may exceed the table or overflow, or which lacks its data."""
    at = base.by_path[section].section.payload_start + _HEADER
    entries = bytes(valid % (1 << 16) * _ENTRY) if data else b""
    return [Splice(at, at, u32(index) + u16(valid) + u16(invalid) + entries)]


@mutation("htab", section=CHUNKS, what=among("missing", "twice", "early"))
def htab_end(base: Anatomy, section: str, what: str) -> list[Splice]:
    """The empty chunk at the end is missing (so chunks do not end), comes twice, or comes first."""
    found = base.by_path[section].section
    end = found.payload_end
    if what == "early":
        at = found.payload_start + _HEADER
        return [Splice(at, at, bytes(_CHUNK))]
    return [Splice(end - _CHUNK, end, b"" if what == "missing" else bytes(2 * _CHUNK))]


@mutation("htab", section=HTAB, header=among(0, 18, 0xFFFFFFFF))
def htab_again(base: Anatomy, section: str, header: int) -> list[Splice]:
    """A section is followed by another part: a new size, no table, or chunks."""
    part = base.by_path[section]
    number = u32(part.section.section_id)
    footer = b"\x7e" + number if part.section.footer is not None else b""
    chunks = bytes(_CHUNK) if not header else b""
    return [Splice(part.end, part.end, b"\x02" + number + u32(header) + chunks + footer)]
