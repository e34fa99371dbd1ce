"""VFIO sections as nodes."""

from __future__ import annotations

from bisect import bisect_left

from vmstate.describe import Node
from vmstate.describe.words import Names
from vmstate.handwritten.vfio import configuration
from vmstate.stream.items import Section
from vmstate.stream.reader import Stream
from vmstate.stream.sections.vfio import FLAG, MigFlag, Vfio, VfioRecord
from vmstate.tree.nodes import leaf, tiles

_WORDS = Names({int(flag): flag.name for flag in MigFlag})


def vfio_nodes(stream: Stream, section: Section, handler: Vfio) -> list[Node]:
    """Return the nodes of a section's payload: a flag, and behind some flags what they announce."""
    start, end = section.payload_start, section.payload_end
    first = bisect_left(handler.records, start, key=lambda one: one.start)
    last = bisect_left(handler.records, end, key=lambda one: one.start)
    nodes = [node for one in handler.records[first:last] for node in _record(stream, one)]
    return tiles(
        start, end, nodes, lambda at, to: Node("(unread)", "opaque", "bytes", at, to, stream.view(at, to))
    )


def _record(stream: Stream, record: VfioRecord) -> list[Node]:
    behind = record.start + FLAG
    flag = leaf("flag", "uint64", record.start, FLAG, int(record.flag))
    flag.words = _WORDS
    if record.flag == MigFlag.DEV_DATA_STATE:
        size = record.end - behind - 8
        return [flag, leaf("data_size", "uint64", behind, 8, size), leaf("data", "buffer", behind + 8, size)]
    if record.end == behind:
        return [flag]
    nodes = configuration(stream.data, behind, record.end)
    kind = "struct" if nodes else "field"
    return [
        flag,
        Node("config", kind, "VFIOPCIDevice" if nodes else "buffer", behind, record.end, nodes=nodes),
    ]
