"""Changes of the block list of guest memory: a block of another size, of another name, without a block.

The list is in the START section of ``ram``; page records name their block, or go on with the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported
from vmstate.stream.constants import RamFlag, SectionType
from vmstate.stream.edit import Bytes, Edit
from vmstate.stream.items import Section
from vmstate.stream.reader import Stream
from vmstate.stream.sections.ram import CONTINUE, WORD, PageKind, Ram
from vmstate.stream.sections.ram_setup import RamBlock

_BARE = WORD.size  # the length of what is before a page's data in a record that names no block


@dataclass(frozen=True)
class Pages:
    """Page records: how many, and how many of them are not zero pages."""

    count: int
    content: int


def ram_of(stream: Stream) -> Ram:
    """Return the handler of guest memory.  Raises Unsupported without one that can be changed."""
    ram = stream.live(Ram)
    if ram is None or not ram.blocks or ram.version < 4:
        raise Unsupported("the stream has no list of RAM blocks")
    for block in ram.blocks:
        if (block.host_page_size, block.guest_address, block.mapped) != (None, None, None):
            raise Unsupported("the list of RAM blocks has the extras of a migration capability")
    return ram


def with_block(stream: Stream, name: str, new: RamBlock | None) -> Iterator[Bytes]:
    """Return the stream with another block in the place of the one of that name, or with none.

    Pages beyond the new length go.  Raises Unsupported if the list or its records cannot be changed.
    """
    ram = ram_of(stream)
    index = _index(ram, name)
    blocks: list[RamBlock | None] = list(ram.blocks)
    blocks[index] = new
    edit = Edit(stream)
    _replace_list(edit, ram, [block for block in blocks if block is not None])
    _replace_records(edit, ram, index, new)
    return edit.chunks()


def pages_beyond(stream: Stream, name: str, length: int) -> Pages:
    """Return the page records of a block at addresses from ``length`` on."""
    ram = ram_of(stream)
    count = content = 0
    for run, at in _records(ram, _index(ram, name)):
        if _address(stream, ram, at) >= length:
            count += 1
            content += ram.runs.kind[run] != PageKind.ZERO
    return Pages(count, content)


def _index(ram: Ram, name: str) -> int:
    for index, block in enumerate(ram.blocks):
        if block.name == name:
            return index
    raise Unsupported(f"there is no RAM block {name}")


def _records(ram: Ram, index: int) -> Iterator[tuple[int, int]]:
    """Yield the run and the offset of each page record of a block."""
    runs = ram.runs
    for run in range(len(runs)):
        if runs.block[run] == index:
            for number in range(runs.count[run]):
                yield run, runs.start[run] + number * runs.stride[run]


def _address(stream: Stream, ram: Ram, at: int) -> int:
    word: int = WORD.unpack_from(stream.data, at)[0]
    return word & ~(ram.page_size - 1)


# ---- the list


def _start_of(stream: Stream) -> Section:
    for section in stream.sections:
        if section.idstr == "ram" and section.kind == SectionType.START:
            return section
    raise Unsupported("the stream has no list of RAM blocks")


def _list(blocks: Sequence[RamBlock]) -> bytes:
    total = sum(block.length for block in blocks) | RamFlag.MEM_SIZE
    parts = [WORD.pack(total)]
    parts += [bytes([len(block.raw_name)]) + block.raw_name + WORD.pack(block.length) for block in blocks]
    return b"".join(parts)


def _replace_list(edit: Edit, ram: Ram, blocks: Sequence[RamBlock]) -> None:
    stream = edit.stream
    start, old = _start_of(stream).payload_start, _list(ram.blocks)
    if bytes(stream.data[start : start + len(old)]) != old:
        raise Unsupported("the list of RAM blocks is not as QEMU writes it")
    edit.replace(start, start + len(old), _list(blocks))


# ---- the records


def _replace_records(edit: Edit, ram: Ram, index: int, new: RamBlock | None) -> None:
    """Remove the records of pages that the new block does not have, and let the others name it.

    A record without a name belongs to the block that was named last: where that record goes, the next one
    that stays gets the name.
    """
    stream, runs = edit.stream, ram.runs
    named = False
    for run in range(len(runs)):
        if runs.block[run] != index:
            named = False
            continue
        start, stride, lead = runs.start[run], runs.stride[run], runs.lead[run]
        end = start + runs.count[run] * stride
        if new is None:
            edit.replace(start, end, b"")
            continue
        if lead == _BARE and named and new.length >= ram.blocks[index].length:
            continue  # all of a run stay as they are
        for at in range(start, end, stride):
            if _address(stream, ram, at) >= new.length:
                edit.replace(at, at + stride, b"")
            elif lead != _BARE or not named:
                _name(edit, at, lead, new)
                named = True


def _name(edit: Edit, at: int, lead: int, block: RamBlock) -> None:
    """Let a record name its block."""
    word = WORD.unpack_from(edit.stream.data, at)[0] & ~CONTINUE
    edit.replace(at, at + lead, WORD.pack(word) + bytes([len(block.raw_name)]) + block.raw_name)
