"""Mutations of the list of RAM blocks at the beginning: names, lengths, their sum, and page sizes."""

from __future__ import annotations

from typing import NamedTuple

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Place, among
from vmstate.fuzz.mutations.edge_values import WIDE_EDGES, u32, u64, wide_edge
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream import writer
from vmstate.stream.constants import RamFlag

_PAGE = 0x1000
_MEM_SIZE = int(RamFlag.MEM_SIZE)


class Block(NamedTuple):
    """A block of the list: its name begins at ``start``, its length is at ``length_at``."""

    start: int
    length_at: int
    length: int


def _blocks(base: Anatomy) -> dict[str, Block]:
    found = {}
    for part in base.live[:1]:
        leaves = {leaf.path: leaf for leaf in part.leaves}
        for path, leaf in leaves.items():
            length = leaves.get(path.removesuffix(".idstr") + ".length")
            if path.endswith(".idstr") and length is not None and isinstance(length.value, int):
                found[path.removesuffix(".idstr")] = Block(leaf.start, length.start, length.value)
    return found


def _total(base: Anatomy) -> int | None:
    """Return the offset of the sum of the lengths."""
    leaf = base.leaves.get("ram.total_and_flag")
    return None if leaf is None else leaf.start


def _has_list(base: Anatomy) -> bool:
    return _total(base) is not None


BLOCK = Place(lambda base: list(base.remember(_blocks, _blocks)))


def _block(base: Anatomy, path: str) -> Block:
    return base.remember(_blocks, _blocks)[path]


def _with_total(base: Anatomy, change: int, *, repaired: bool) -> list[Splice]:
    """Adjust the sum if ``repaired``, as far as its bits allow: the lowest are flags."""
    at = _total(base)
    if at is None or not repaired or not change:
        return []
    old = int.from_bytes(base.data[at : at + 8], "big")
    return [Splice(at, at + 8, u64((old & ~(_PAGE - 1)) + change & ~(_PAGE - 1) | old & (_PAGE - 1)))]


@mutation("ram", _has_list, total=WIDE_EDGES)
def ram_total(base: Anatomy, total: str) -> list[Splice]:
    """The stated sum of the blocks' lengths is wrong."""
    at = _total(base)
    assert at is not None
    old = int.from_bytes(base.data[at : at + 8], "big") & ~(_PAGE - 1)
    return [Splice(at, at + 8, u64(wide_edge(total, old) & ~(_PAGE - 1) | _MEM_SIZE))]


@mutation("ram", block=BLOCK, length=WIDE_EDGES, repaired=among(True, False))
def block_length(base: Anatomy, block: str, length: str, repaired: bool) -> list[Splice]:
    """A block has another length; the sum is adjusted if ``repaired``."""
    found = _block(base, block)
    new = wide_edge(length, found.length)
    splice = Splice(found.length_at, found.length_at + 8, u64(new))
    return [splice, *_with_total(base, new - found.length, repaired=repaired)]


@mutation("ram", block=BLOCK, repaired=among(True, False))
def block_missing(base: Anatomy, block: str, repaired: bool) -> list[Splice]:
    """A block is missing from the list; the sum is adjusted if ``repaired``."""
    found = _block(base, block)
    splice = Splice(found.start, found.length_at + 8, b"")
    return [splice, *_with_total(base, -found.length, repaired=repaired)]


@mutation("ram", block=BLOCK, repaired=among(True, False))
def block_twice(base: Anatomy, block: str, repaired: bool) -> list[Splice]:
    """A block is in the list twice; the sum is adjusted if ``repaired``."""
    found = _block(base, block)
    end = found.length_at + 8
    splice = Splice(end, end, base.data[found.start : end])
    return [splice, *_with_total(base, found.length, repaired=repaired)]


@mutation(
    "ram", block=BLOCK, name=among("", "x", "pc.ram", "x" * 255, "ppc_spapr.ram\0"), length=among("same", "0")
)
def block_added(base: Anatomy, block: str, name: str, length: str) -> list[Splice]:
    """The list has an extra block that does not exist; the sum is right."""
    found = _block(base, block)
    size = found.length if length == "same" else 0
    new = writer.counted(name[:255]) + u64(size)
    return [Splice(found.start, found.start, new), *_with_total(base, size, repaired=True)]


_PAGE_SIZES = among(0, 1, 0xFFF, 0x1000, 0x10000, 1 << 24, 1 << 63)


@mutation("ram", block=BLOCK, size=_PAGE_SIZES)
def block_page_size(base: Anatomy, block: str, size: int) -> list[Splice]:
    """A block's length is followed by a page size, as from a source that may switch to postcopy."""
    at = _block(base, block).length_at + 8
    return [Splice(at, at, u64(size))]


_PAGE_SIZE_VALUES = among("0", "1", "1023", "0x1001", "0x10000", "0x8000000000000000")
_OFFSETS = among("right", "0", "1", "end", "beyond", "top")


def _mapped(base: Anatomy) -> bool:
    return _has_list(base) and base.configuration is not None and bool(base.remember(_blocks, _blocks))


@mutation(
    "ram", _mapped, page_size=_PAGE_SIZE_VALUES, bitmap=_OFFSETS, pages=_OFFSETS, version=among(1, 0, 2)
)
def mapped_ram_header(base: Anatomy, page_size: str, bitmap: str, pages: str, version: int) -> list[Splice]:
    """The blocks have the headers of mapped-ram, with a page size or an offset of zero, or a wrong one.

    The configuration says that the source has the capability.
    """
    assert base.configuration is not None
    at = base.configuration.end
    capability = (
        writer.subsection_header("configuration/capabilities", 1) + u32(1) + writer.counted("mapped-ram")
    )
    splices = [Splice(at, at, capability)]
    size = len(base.data)
    where = {"right": 1 << 20, "0": 0, "1": 1, "end": size, "beyond": size + (1 << 20), "top": (1 << 64) - 1}
    for found in base.remember(_blocks, _blocks).values():
        end = found.length_at + 8
        header = u32(version) + u64(int(page_size, 0)) + u64(where[bitmap]) + u64(where[pages])
        splices.append(Splice(end, end, header))
    return splices
