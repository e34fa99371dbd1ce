"""Guest memory as nodes: the block list, and runs of page records."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice

from vmstate.dataclass import dataclass
from vmstate.describe import Node
from vmstate.stream.constants import RamFlag, SectionType
from vmstate.stream.items import Section
from vmstate.stream.reader import Stream
from vmstate.stream.sections.ram import WORD, PageKind, Ram
from vmstate.stream.sections.ram_setup import MAPPED_RAM_HEADER_SIZE, RamBlock
from vmstate.tree.nodes import leaf, tiles

NOT_KEPT = "(not kept)"
_RELEASED_TOGETHER = 256
_MARKS = {
    RamFlag.EOS: "end of section",
    RamFlag.HOOK: "hook",
    RamFlag.MULTIFD_FLUSH: "multifd flush",
}


_KINDS = {int(kind): kind.name.lower() for kind in PageKind}
_TYPES = {name: f"{name} pages" for name in _KINDS.values()}  # one text for all nodes of a kind
_NOTHING: list[Node] = []  # inside of runs: one list for all of them, of which there may be a million


@dataclass(slots=True)
class PageRun:
    """A run of page records: kind, block, number of pages, and the address of the first (in the block)."""

    kind: str
    block: str
    count: int
    address: int

    def __str__(self) -> str:
        pages = "page" if self.count == 1 else "pages"
        return f"{self.count} {self.kind} {pages} of {self.block} from {self.address:#x}"


def ram_nodes(stream: Stream, section: Section, ram: Ram) -> list[Node]:
    """Return the nodes of a ram section's payload."""
    start, end = section.payload_start, section.payload_end
    nodes: list[Node] = []
    if section.kind in (SectionType.START, SectionType.FULL) and ram.blocks:
        nodes += _setup(stream, ram, start, end)
    nodes += _runs(stream, ram, nodes[-1].end if nodes else start, end)
    return _named_gaps(stream, nodes, start, end)


def _runs(stream: Stream, ram: Ram, start: int, end: int) -> list[Node]:
    runs = ram.runs
    first, last = bisect_left(runs.start, start), bisect_left(runs.start, end)
    mask = ~(ram.page_size - 1)
    data = stream.data
    nodes = []
    begin = start
    for number, index in enumerate(range(first, last)):
        at, count, block = runs.start[index], runs.count[index], runs.block[index]
        if not number % _RELEASED_TOGETHER:
            stream.window.behind(begin, at)
            begin = at
        address = WORD.unpack_from(data, at)[0] & mask
        kind = _KINDS[runs.kind[index]]
        name = ram.blocks[block].name if 0 <= block < len(ram.blocks) else "?"
        value = PageRun("whole" if kind == "page" else kind, name, count, address)
        span = (at, at + count * runs.stride[index])
        nodes.append(Node(f"pages[{number}]", "pages", _TYPES[kind], *span, value, nodes=_NOTHING))
    return nodes


def _setup(stream: Stream, ram: Ram, start: int, limit: int) -> list[Node]:
    """Return the nodes of the block list: its length in bytes, then the blocks."""
    if start + WORD.size > limit:
        return []
    nodes = [leaf("total_and_flag", "uint64", start, 8, WORD.unpack_from(stream.data, start)[0])]
    if ram.version < 4:
        return nodes
    at = start + 8
    for index, block in enumerate(ram.blocks):
        node = _block(f"blocks[{index}]", block, at)
        if node.end > limit:
            break
        nodes.append(node)
        at = node.end
    return nodes


def _block(name: str, block: RamBlock, at: int) -> Node:
    size = len(block.raw_name) + 1
    fields = [leaf("idstr", "counted text", at, size, block.name), leaf("length", "uint64", at + size, 8)]
    fields[1].value = block.length
    pos = at + size + 8
    for extra, width in (("host_page_size", 8), ("guest_address", 8), ("ignored", 1)):
        value = getattr(block, extra)
        if value is not None:
            fields.append(leaf(extra, "bool" if width == 1 else "uint64", pos, width, value))
            pos += width
    if block.mapped is not None:
        mapped = block.mapped
        fields.append(leaf("mapped_ram_header", "buffer", pos, MAPPED_RAM_HEADER_SIZE))
        pos += MAPPED_RAM_HEADER_SIZE
        regions = [
            leaf("bitmap", "buffer", mapped.bitmap_offset, mapped.bitmap_size),
            leaf("pages", "buffer", mapped.pages_offset, block.length),
        ]
        end = mapped.pages_offset + block.length
        fields += tiles(pos, end, regions, lambda a, b: leaf("hole", "buffer", a, b - a))
        pos = end
    return Node(name, "struct", "RAM block", at, pos, nodes=fields)


def _named_gaps(stream: Stream, nodes: list[Node], start: int, end: int) -> list[Node]:
    """Fill the gaps between nodes with the marks in them; other bytes there have no meaning."""
    filled: list[Node] = []
    at = start
    for node in [*nodes, Node("", "", "", end, end)]:
        if node.start != at:
            filled += _gap(stream, at, node.start)
        at = node.end
        if node.name:
            filled.append(node)
    return filled


def _gap(stream: Stream, start: int, end: int) -> list[Node]:
    """Return the marks in a gap, and the guest memory that came through a pipe and was not kept."""
    found: list[Node] = []
    at = start
    elided = stream.elided
    first = max(0, bisect_left(elided, (start, start)) - 1)
    for low, high in islice(elided, first, None):
        if low >= end:
            break
        low, high = max(low, at), min(high, end)
        if low < high:
            found += _marks(stream, at, low)
            found.append(Node(NOT_KEPT, "pages", "guest memory", low, high))
            at = high
    return found + _marks(stream, at, end)


def _marks(stream: Stream, start: int, end: int) -> list[Node]:
    found = []
    at = start
    while at + 8 <= end:
        word = WORD.unpack_from(stream.data, at)[0]
        name = _MARKS.get(word & 0x3FF)
        if name is None:
            break
        found.append(Node(f"({name})", "field", "mark", at, at + 8, word))
        at += 8
    if at < end:
        found.append(Node("(unread)", "opaque", "bytes", at, end, stream.view(at, end)))
    return found
