"""Mutations that end a stream too early or too late."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Chosen, Number, among, between
from vmstate.fuzz.mutations.places import ANY_SECTION, FIELD
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

_LONGEST = 1 << 16


def _cut(base: Anatomy, at: int) -> list[Splice]:
    return [Splice(max(0, min(at, len(base.data))), len(base.data), b"")]


@mutation("truncation", section=ANY_SECTION)
def cut_before_section(base: Anatomy, section: str) -> list[Splice]:
    """The stream ends where a section begins."""
    return _cut(base, base.by_path[section].start)


@mutation("truncation", section=ANY_SECTION, bytes_in=between(1, 300))
def cut_in_header(base: Anatomy, section: str, bytes_in: int) -> list[Splice]:
    """The stream ends inside a section's header."""
    part = base.by_path[section]
    return _cut(base, min(part.start + bytes_in, part.section.payload_start))


@mutation("truncation", section=ANY_SECTION, left=between(0, 4))
def cut_at_footer(base: Anatomy, section: str, left: int) -> list[Splice]:
    """The stream ends where a footer begins, or inside it."""
    part = base.by_path[section]
    return _cut(base, min(part.section.payload_end + left, part.end))


def _inside(base: Anatomy, chosen: Chosen) -> int:
    return base.leaves[chosen["field"]].size - 1


@mutation("truncation", field=FIELD, bytes_in=Number(lambda _base, _chosen: 0, _inside))
def cut_in_field(base: Anatomy, field: str, bytes_in: int) -> list[Splice]:
    """The stream ends inside a field, or before it."""
    leaf = base.leaves[field]
    return _cut(base, leaf.start + max(0, min(bytes_in, leaf.size)))


@mutation("truncation", at=Number(lambda _base, _chosen: 0, lambda base, _chosen: len(base.data) - 1))
def cut_anywhere(base: Anatomy, at: int) -> list[Splice]:
    """The stream ends anywhere."""
    return _cut(base, at)


@mutation("truncation", at=between(0, 24))
def cut_in_file_header(base: Anatomy, at: int) -> list[Splice]:
    """The stream ends inside the file header."""
    return _cut(base, at)


@mutation("truncation", what=among("zeros", "end marks and sections", "the stream again", "ones", "a footer"))
def trailing_data(base: Anatomy, what: str) -> list[Splice]:
    """The stream's end is followed by other data."""
    end = len(base.data)
    new = {
        "zeros": bytes(4096),
        "end marks and sections": _last_section(base) + b"\0",
        "the stream again": base.data[:_LONGEST],
        "ones": b"\xff" * 4096,
        "a footer": b"\x7e\0\0\0\0",
    }[what]
    return [Splice(end, end, new)]


def _last_section(base: Anatomy) -> bytes:
    last = base.parts[-1]
    return base.data[last.start : min(last.end, last.start + _LONGEST)]


def _has_end(base: Anatomy) -> bool:
    return base.end_mark is not None


@mutation("truncation", _has_end, what=among("missing", "twice", "0x09", "0x7e", "0xff"))
def end_mark(base: Anatomy, what: str) -> list[Splice]:
    """The end mark is missing, comes twice, or is another byte."""
    assert base.end_mark is not None
    mark = base.end_mark
    new = {"missing": b"", "twice": b"\0\0"}.get(what)
    return [Splice(mark.start, mark.end, bytes([int(what, 0) % 256]) if new is None else new)]


@mutation("truncation", section=ANY_SECTION)
def end_mark_early(base: Anatomy, section: str) -> list[Splice]:
    """A section is preceded by an end mark."""
    at = base.by_path[section].start
    return [Splice(at, at, b"\0")]


_MAGICS = among("magic", "compat version", "version 4", "version 0", "multifd", "swapped")


@mutation("truncation", what=_MAGICS)
def file_header(base: Anatomy, what: str) -> list[Splice]:
    """The first eight bytes, magic and version, are changed."""
    magic, version = base.data[:4], base.data[4:8]
    new = {
        "magic": b"QEVN" + version,
        "compat version": magic + b"\0\0\0\2",
        "version 4": magic + b"\0\0\0\4",
        "version 0": magic + bytes(4),
        "multifd": b"\x11\x22\x33\x44" + version,
        "swapped": magic[::-1] + version[::-1],
    }[what]
    return [Splice(0, 8, new)]
