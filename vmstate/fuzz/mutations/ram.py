"""Mutations of page records: the page's address, its flags, the length of its data."""

from __future__ import annotations

from typing import NamedTuple

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Place, among
from vmstate.fuzz.mutations.edge_values import u16, u32, u64
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream import writer
from vmstate.stream.constants import RamFlag
from vmstate.stream.sections.ram import Ram

PAGE = 0x1000
_FLAGS = PAGE - 1
_CONTINUE = int(RamFlag.CONTINUE)


class Record(NamedTuple):
    """The first page record of a run: ``lead`` bytes before its data, RAM block of ``block`` bytes."""

    start: int
    lead: int
    word: int
    block: int


def _records(base: Anatomy) -> dict[str, Record]:
    found = {}
    ram = base.stream.live(Ram)
    if ram is None:
        return {}
    leads = dict(zip(ram.runs.start, zip(ram.runs.lead, ram.runs.block, strict=True), strict=True))
    for part in base.live:
        for leaf in part.leaves:
            if leaf.start in leads:
                lead, block = leads[leaf.start]
                word = int.from_bytes(base.data[leaf.start : leaf.start + 8], "big")
                length = ram.blocks[block].length if 0 <= block < len(ram.blocks) else 0
                found[leaf.path] = Record(leaf.start, lead, word, length)
    return found


def _record(base: Anatomy, path: str) -> Record:
    return base.remember(_records, _records)[path]


def _bodies(base: Anatomy) -> list[str]:
    """Return the RAM sections that may hold pages: all but the first."""
    return [part.path for part in base.live if part.section.idstr == "ram"][1:]


#: The first page record of a run.
PAGES = Place(lambda base: list(base.remember(_records, _records)))
#: A section of page records.
BODY = Place(_bodies)


def _word(record: Record, word: int) -> Splice:
    return Splice(record.start, record.start + 8, u64(word))


_ADDRESSES = among("block", "block+page", "block-page", "2^32", "2^40", "2^63", "top", "not a page")


@mutation("ram", page=PAGES, address=_ADDRESSES)
def page_address(base: Anatomy, page: str, address: str) -> list[Splice]:
    """A page has an address at or beyond the end of its block."""
    record = _record(base, page)
    new = {
        "block": record.block,
        "block+page": record.block + PAGE,
        "block-page": record.block - PAGE,
        "2^32": 1 << 32,
        "2^40": 1 << 40,
        "2^63": 1 << 63,
        "top": (1 << 64) - PAGE,
        "not a page": (record.word & ~_FLAGS) + 0x800,
    }[address]
    return [_word(record, new | record.word & _FLAGS)]


_BITS = among(0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0)


@mutation("ram", page=PAGES, flags=_BITS, kept=among(False, True))
def page_flags(base: Anatomy, page: str, flags: int, kept: bool) -> list[Splice]:
    """A page has other flags, or, if its flags are ``kept``, extra ones."""
    record = _record(base, page)
    old = record.word & _FLAGS if kept else record.word & _CONTINUE
    return [_word(record, record.word & ~_FLAGS | old | flags & _FLAGS)]


_NAMES = among("pc.ram", "", "x" * 255, "ppc_spapr.ram\0x", "/rom@etc/acpi/tables")


@mutation("ram", page=PAGES, name=_NAMES)
def page_block(base: Anatomy, page: str, name: str) -> list[Splice]:
    """A page belongs to a block that does not exist."""
    record = _record(base, page)
    return [
        _word(record, record.word & ~_CONTINUE),
        Splice(record.start + 8, record.start + record.lead, writer.counted(name[:255])),
    ]


@mutation("ram", page=PAGES, repaired=among(True, False))
def page_same_block(base: Anatomy, page: str, repaired: bool) -> list[Splice]:
    """A page refers to a previous record's block, but there is none; its name is cut if ``repaired``."""
    record = _record(base, page)
    splices = [_word(record, record.word | _CONTINUE)]
    if repaired:
        splices.append(Splice(record.start + 8, record.start + record.lead, b""))
    return splices


@mutation("ram", page=PAGES, byte=among(1, 0x80, 0xFF))
def page_fill(base: Anatomy, page: str, byte: int) -> list[Splice]:
    """A zero page is filled with another byte."""
    record = _record(base, page)
    at = record.start + record.lead
    return [Splice(at, at + 1, bytes([byte % 256]))] if record.word & RamFlag.ZERO else []


def _insert(base: Anatomy, body: str, new: bytes) -> list[Splice]:
    """Insert a record before a section's pages; the first page still names its block."""
    at = base.by_path[body].section.payload_start
    return [Splice(at, at, new)]


def block_name(base: Anatomy) -> bytes:
    """Return the first block's name, preceded by its length."""
    ram = base.stream.live(Ram)
    return b"\0" if ram is None or not ram.blocks else writer.counted(ram.blocks[0].name)


_DELTAS = among(0, 1, 2, 0xFFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0xFFFF)
_DATA = among("zeros", "too short", "ones", "a run beyond the page")


@mutation("ram", body=BODY, length=_DELTAS, encoding=among(1, 0, 2, 255), data=_DATA)
def page_xbzrle(base: Anatomy, body: str, length: int, encoding: int, data: str) -> list[Splice]:
    """A page is sent as an XBZRLE delta with a wrong length, encoding or contents."""
    size = min(max(length, 0), 0xFFFF)
    payload = {
        "zeros": bytes(size),
        "too short": bytes(size // 2),
        "ones": b"\xff" * size,
        "a run beyond the page": (b"\xff\x1f\x7f" + bytes(size))[:size],
    }[data]
    word = u64(int(RamFlag.XBZRLE))
    return _insert(base, body, word + block_name(base) + bytes([encoding % 256]) + u16(length) + payload)


_SIZES = among(0, 1, 0x1000, 0x1001, 0x100E, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@mutation("ram", body=BODY, length=_SIZES)
def page_compressed(base: Anatomy, body: str, length: int) -> list[Splice]:
    """A page is sent compressed with a length that is too large, or negative."""
    word = u64(int(RamFlag.COMPRESS_PAGE))
    return _insert(base, body, word + block_name(base) + u32(length) + bytes(min(max(length, 0), 0x100E)))


_SPECIAL = among("hook", "flush", "mem size 0", "mem size", "full", "nothing", "page", "zero")


@mutation("ram", body=BODY, record=_SPECIAL)
def ram_record(base: Anatomy, body: str, record: str) -> list[Splice]:
    """A section's pages are preceded by a record that does not belong there."""
    name = block_name(base)
    new = {
        "hook": u64(int(RamFlag.HOOK)),
        "flush": u64(int(RamFlag.MULTIFD_FLUSH)),
        "mem size 0": u64(int(RamFlag.MEM_SIZE)),
        "mem size": u64(PAGE | int(RamFlag.MEM_SIZE)),
        "full": u64(int(RamFlag.FULL)),
        "nothing": u64(0),
        "page": u64(int(RamFlag.PAGE)) + name + bytes(PAGE),
        "zero": u64(int(RamFlag.ZERO)) + name + b"\0",
    }[record]
    return _insert(base, body, new)


@mutation("ram", body=BODY, what=among("missing", "twice", "early", "with an address", "with a flag"))
def ram_end(base: Anatomy, body: str, what: str) -> list[Splice]:
    """The mark after a section's pages is missing (so they do not end), early, doubled, or odd."""
    section = base.by_path[body].section
    end, eos = section.payload_end, int(RamFlag.EOS)
    if what == "early":
        return _insert(base, body, u64(eos))
    new = {
        "missing": b"",
        "twice": u64(eos) * 2,
        "with an address": u64(PAGE | eos),
        "with a flag": u64(eos | int(RamFlag.ZERO)),
    }[what]
    return [Splice(end - 8, end, new)]


@mutation("ram", body=BODY, times=among(1, 16, 256))
def pages_again(base: Anatomy, body: str, times: int) -> list[Splice]:
    """A section's pages are followed by many copies of one page."""
    new = u64(int(RamFlag.ZERO)) + block_name(base) + b"\0"
    return _insert(base, body, new * min(max(times, 0), 256))
