"""Live sections as nodes, made from the records that their handlers read.

A payload that no handler could read is one opaque node, and so are bytes between two records.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable
from enum import IntFlag
from itertools import islice, takewhile
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import Node, WireRecords
from vmstate.describe.words import Flags, Names
from vmstate.errors import StreamError, quantity
from vmstate.stream.items import Section
from vmstate.stream.reader import Stream
from vmstate.stream.sections.block import BLOCK_SIZE, EOS, BlockMigration
from vmstate.stream.sections.block import ZERO_BLOCK as ZERO_DISK_BLOCK
from vmstate.stream.sections.dirty_bitmap import BitmapChunk, BitmapFlag, DirtyBitmaps
from vmstate.stream.sections.htab import HPTE_SIZE, NO_TABLE, Htab
from vmstate.stream.sections.ram import Ram
from vmstate.stream.sections.storage_attributes import StorageAttributes, StorageKeys, TodClock
from vmstate.stream.sections.vfio import FLAG, MigFlag, Vfio, VfioRecord
from vmstate.stream.wire import Window
from vmstate.tree.nodes import Branch, leaf, tiles
from vmstate.tree.ram import ram_nodes


@dataclass(frozen=True)
class ChunkRun:
    """A run of ``count`` chunks of the hash page table."""

    count: int

    def __str__(self) -> str:
        return quantity(self.count, "chunk")

    def __len__(self) -> int:
        return self.count


_HPTE = struct.Struct(">QQ")
_VFIO_FLAGS = Names({int(flag): flag.name for flag in MigFlag})
Builder = Callable[[Stream, Section, Any], "list[Node]"]


def live_nodes(stream: Stream, section: Section) -> list[Node] | None:
    """Return the nodes of a live section's payload; None if no handler knows it."""
    for idstr, handler in stream.handlers:
        if idstr != section.idstr:
            continue
        builder = next((make for kind, make in _BUILDERS.items() if isinstance(handler, kind)), None)
        if builder is None:
            continue
        nodes = builder(stream, section, handler)
        if not nodes or nodes[0].kind != "opaque":
            return nodes
    return None


def _unread(stream: Stream) -> Callable[[int, int], Node]:
    return lambda start, end: Node("(unread)", "opaque", "bytes", start, end, stream.view(start, end))


def _htab(stream: Stream, section: Section, htab: Htab) -> list[Node]:
    start, end = section.payload_start, section.payload_end
    if end - start < 4:
        return tiles(start, end, [], _unread(stream))
    header = int.from_bytes(stream.data[start : start + 4], "big")
    shift = None if header == NO_TABLE else header
    nodes: list[Any] = [leaf("htab_shift", "uint32", start, 4, shift)]
    chunks = htab.chunks
    first, last = bisect_left(chunks.data, start + 12), bisect_left(chunks.data, end)
    at = start + 4
    if last > first:
        size = chunks.data[last - 1] + chunks.n_valid[last - 1] * HPTE_SIZE - at
        nodes.append(Branch("chunks", "array", "htab chunks", at, at + size, value=ChunkRun(last - first)))
        nodes[-1].expand = lambda: [
            _chunk(stream, htab, index, index - first) for index in range(first, last)
        ]
        at += size
    if not header and end - at >= 8:
        nodes.append(leaf("(end of chunks)", "htab chunk", at, 8, 0))
    return tiles(start, end, nodes, _unread(stream))


def _chunk(stream: Stream, htab: Htab, index: int, number: int) -> Node:
    chunks = htab.chunks
    data, valid = chunks.data[index], chunks.n_valid[index]
    at = data - 8
    fields = [
        leaf("index", "uint32", at, 4, chunks.index[index]),
        leaf("n_valid", "uint16", at + 4, 2, valid),
        leaf("n_invalid", "uint16", at + 6, 2, chunks.n_invalid[index]),
    ]
    if valid:
        size = valid * HPTE_SIZE
        entries = WireRecords(("pte0", "pte1"), _HPTE, stream.data[data : data + size])
        fields.append(Node("hptes", "array", "struct", data, data + size, entries))
    return Node(f"[{number}]", "element", "htab chunk", at, data + valid * HPTE_SIZE, nodes=fields)


def _storage(stream: Stream, section: Section, handler: StorageAttributes | StorageKeys) -> list[Node]:
    nodes: list[Node] = []
    first = bisect_left(handler.ranges, section.payload_start, key=lambda one: one.data)
    for one in islice(handler.ranges, first, None):
        at, end = one.data - 16, one.data + one.count
        if end > section.payload_end:
            break
        if section.payload_start <= at:
            fields = [
                leaf("address", "uint64", at, 8, one.address),
                leaf("count", "uint64", at + 8, 8, one.count),
                leaf("values", "buffer", one.data, one.count),
            ]
            nodes.append(Node(f"ranges[{len(nodes)}]", "struct", "storage range", at, end, nodes=fields))
    return tiles(section.payload_start, section.payload_end, nodes, _words(stream))


def _words(stream: Stream) -> Callable[[int, int], Node]:
    def name(start: int, end: int) -> Node:
        word = int.from_bytes(stream.data[start : start + 8], "big")
        if end - start == 8:
            return Node("(mark)", "field", "mark", start, end, word)
        words = [leaf("(mark)", "mark", at, min(8, end - at)) for at in range(start, end, 8)]
        return Node("(marks)", "struct", "marks", start, end, nodes=words)

    return name


def _bitmaps(stream: Stream, section: Section, handler: DirtyBitmaps) -> list[Node]:
    start, end = section.payload_start, section.payload_end
    first = bisect_left(handler.chunks, start, key=lambda chunk: chunk.start)
    inside = takewhile(lambda chunk: chunk.start < end, islice(handler.chunks, first, None))
    win = Window(stream.data[:end])
    nodes = [_bitmap(f"chunks[{number}]", win, chunk) for number, chunk in enumerate(inside)]
    return tiles(start, end, nodes, lambda a, b: leaf("(end of chunks)", "uint8", a, b - a))


def _bitmap(name: str, win: Window, chunk: BitmapChunk) -> Node:
    """Return a chunk with its fields: flags, the names that are new, and what the flags say follows."""
    at, flags = chunk.start, chunk.flags
    fields = [leaf("flags", "uint8", at, 1, chunk.number)]
    fields[0].words = Flags(8, _names(BitmapFlag))
    at += 1
    for flag, part in ((BitmapFlag.DEVICE_NAME, "node"), (BitmapFlag.BITMAP_NAME, "bitmap")):
        if flags & flag:
            text, after = win.name(at)
            fields.append(leaf(part, "counted text", at, after - at, text))
            at = after
    if flags & BitmapFlag.START:
        fields += [
            leaf("granularity", "uint32", at, 4, chunk.granularity),
            leaf("start_flags", "uint8", at + 4, 1, chunk.start_flags),
        ]
        fields[-1].words = Flags(8, {0: "enabled", 1: "persistent"})
    elif flags & BitmapFlag.BITS:
        fields += [
            leaf("sector", "uint64", at, 8, chunk.sector),
            leaf("sectors", "uint32", at + 8, 4, chunk.sectors),
        ]
        if not flags & BitmapFlag.ZEROES:
            bits = chunk.data_end - chunk.data
            fields.append(leaf("size", "uint64", at + 12, 8, bits))
            fields.append(leaf("bits", "buffer", chunk.data, bits))
    return Node(name, "struct", "dirty bitmap chunk", chunk.start, fields[-1].end, nodes=fields)


def _names(flags: type[IntFlag]) -> dict[int, str]:
    """Return the name of each flag by the place of its bit."""
    return {flag.value.bit_length() - 1: str(flag.name).lower() for flag in flags}


def _disk_blocks(stream: Stream, section: Section, _handler: BlockMigration) -> list[Node]:
    win, at, end = Window(stream.data), section.payload_start, section.payload_end
    nodes: list[Node] = []
    while end - at >= 8:
        word = win.u64(at)
        if word & 1:
            name, data = win.name(at + 8)
            after = data if word & ZERO_DISK_BLOCK else data + BLOCK_SIZE
            fields = [
                leaf("sector_and_flags", "uint64", at, 8, word),
                leaf("device", "counted text", at + 8, data - at - 8, name),
            ]
            if after > data:
                fields.append(leaf("data", "buffer", data, BLOCK_SIZE))
            nodes.append(Node(f"blocks[{len(nodes)}]", "struct", "disk block", at, after, nodes=fields))
        else:
            after = at + 8
            nodes.append(leaf("(end)" if word & EOS else "(progress)", "mark", at, 8, word))
        at = after
    return tiles(section.payload_start, end, nodes, _unread(stream))


def _todclock(stream: Stream, section: Section, clock: TodClock) -> list[Node]:
    at, end = section.payload_start, section.payload_end
    nodes = [leaf("valid", "uint8", at, 1, stream.data[at])] if end > at else []
    if end - at >= 10 and clock.epoch is not None:
        nodes += [leaf("epoch", "uint8", at + 1, 1, clock.epoch), leaf("clock", "uint64", at + 2, 8)]
        nodes[-1].value = clock.clock
    return tiles(at, end, nodes, _unread(stream))


def _vfio(stream: Stream, section: Section, handler: Vfio) -> list[Node]:
    start, end = section.payload_start, section.payload_end
    first, last = (bisect_left(handler.records, at, key=lambda one: one.start) for at in (start, end))
    nodes = [node for one in handler.records[first:last] for node in _vfio_record(stream, one)]
    return tiles(start, end, nodes, _unread(stream))


def _vfio_record(stream: Stream, record: VfioRecord) -> list[Node]:
    """Return a flag, and what is behind it."""
    behind = record.start + FLAG
    flag = leaf("flag", "uint64", record.start, FLAG, int(record.flag))
    flag.words = _VFIO_FLAGS
    if record.flag == MigFlag.DEV_DATA_STATE:
        size = record.end - behind - 8
        return [flag, leaf("data_size", "uint64", behind, 8, size), leaf("data", "buffer", behind + 8, size)]
    if record.end == behind:
        return [flag]
    from vmstate.handwritten.vfio import configuration  # few streams have such a device

    nodes = configuration(stream.data, behind, record.end)
    kind, type_ = ("struct", "VFIOPCIDevice") if nodes else ("field", "buffer")
    return [flag, Node("config", kind, type_, behind, record.end, nodes=nodes)]


def _tolerant(build: Builder) -> Builder:
    """Make a builder return an opaque node for a damaged payload, which may end inside a record."""

    def made(stream: Stream, section: Section, handler: Any) -> list[Node]:
        start, end = section.payload_start, section.payload_end
        try:
            nodes = build(stream, section, handler)
        except StreamError:
            return tiles(start, end, [], _unread(stream))
        return nodes if not nodes or nodes[-1].end == end else tiles(start, end, [], _unread(stream))

    return made


_BUILDERS: dict[type, Builder] = {
    Ram: ram_nodes,
    Htab: _tolerant(_htab),
    StorageAttributes: _tolerant(_storage),
    StorageKeys: _tolerant(_storage),
    DirtyBitmaps: _tolerant(_bitmaps),
    BlockMigration: _tolerant(_disk_blocks),
    TodClock: _tolerant(_todclock),
    Vfio: _tolerant(_vfio),
}
