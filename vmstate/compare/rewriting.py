"""Rewrite and compare: the values read from a stream, written again, must give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.containers import Opened, open_input, pieces, rewrap
from vmstate.describe import Node
from vmstate.errors import EncodeError, Finding, Place, Severity, Unsupported, quantity
from vmstate.stream import writer
from vmstate.stream.constants import VERSION_COMPAT, Command, SectionType
from vmstate.stream.items import (
    CommandItem,
    Configuration,
    EndOfStates,
    FileHeader,
    Item,
    Section,
    VmDescription,
)
from vmstate.stream.reader import Stream, flat
from vmstate.tree import Contents, Decoded, replayed
from vmstate.tree.as_json import leaf_bytes

_CONTAINER_LIMIT = 1 << 26


def framing_findings(stream: Stream) -> Iterator[Finding]:
    """Rewrite every item of the framing from its values, and compare (rule ``rewrite.framing``)."""
    at = 0
    for item in stream.items:
        if item.start != at:
            yield _finding("rewrite.framing", "bytes outside any item", at)
        at = item.end
    if at != len(stream.data):
        yield _finding("rewrite.framing", "bytes outside any item", at)
    if stream.header.version == VERSION_COMPAT:
        return
    for item in flat(stream.items):
        for start, again in _rewritten(stream, item):
            if bytes(stream.data[start : start + len(again)]) != again:
                message = "this part of the framing differs when rewritten"
                yield _finding("rewrite.framing", message, start, item)


def _rewritten(stream: Stream, item: Item) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of the item's framing as rewritten, each with its offset."""
    match item:
        case FileHeader():
            yield item.start, writer.file_header(item.version)
        case Configuration():
            yield item.start, _configuration(item)
        case Section():
            yield item.start, _section_header(item)
            if item.footer is not None:
                yield item.payload_end, writer.footer(item.footer)
        case CommandItem():
            data = stream.data[item.data_start : item.data_end]
            yield item.start, writer.command(item.command, data)
            if item.command == Command.PACKAGED and item.data_end - item.data_start == 4:
                yield item.data_start, writer.u32(item.end - item.inner_start)
        case EndOfStates():
            yield item.start, writer.end_of_states()
        case VmDescription():
            yield item.start, writer.vmdescription(stream.data[item.text_start : item.end])


def _configuration(item: Configuration) -> bytes:
    return writer.configuration(item.machine, item.target_page_bits, item.capabilities, item.uuid)


def _section_header(item: Section) -> bytes:
    if item.kind in (SectionType.START, SectionType.FULL):
        ids = (item.section_id, item.idstr, item.instance_id, item.version_id)
        return writer.section_start(item.kind, *ids)
    return writer.section_part(item.kind, item.section_id)


def _finding(
    rule: str, message: str, offset: int, item: Item | None = None, path: str | None = None
) -> Finding:
    section, instance = (item.idstr, item.instance_id) if isinstance(item, Section) else (None, None)
    return Finding(rule, Severity.ERROR, message, Place(offset, section, instance, path))


def section_findings(contents: Contents, decoded: Decoded) -> Iterator[Finding]:
    """Rewrite a decoded section from its values, and compare (rules ``rewrite.section``, ``value.*``)."""
    section = decoded.section
    payload = bytes(contents.stream.payload(section))
    try:
        again = replayed(decoded)
    except EncodeError as error:
        yield _finding("rewrite.section", str(error), section.payload_start, section)
        return
    if again is None or again == payload:
        return
    if len(again) != len(payload):
        message = f"rewritten, the payload has {quantity(len(again), 'byte')} instead of {len(payload)}"
        yield _finding("rewrite.section", message, section.payload_start, section)
        return
    patched = bytearray(again)
    for node in decoded.root.walk():
        finding = _not_canonical(node, patched, payload, section)
        if finding is not None:
            yield finding
    if patched != payload:
        first = next(i for i in range(len(payload)) if patched[i] != payload[i])
        at = section.payload_start + first
        message = f"rewritten as {patched[first]:#04x} instead of {payload[first]:#04x}"
        yield _finding("rewrite.section", message, at, section, _path_at(decoded.root, at))


def _not_canonical(node: Node, patched: bytearray, payload: bytes, section: Section) -> Finding | None:
    """Find bytes that QEMU reads but does not keep: unused ones, and a true that is not 1; patch them."""
    low, high = node.start - section.payload_start, node.end - section.payload_start
    if node.nodes or node.type not in ("unused_buffer", "bool") or patched[low:high] == payload[low:high]:
        return None
    patched[low:high] = payload[low:high]
    if node.type == "bool":
        rule, message = "value.bool", f"true is written as {payload[low]:#04x}, not as 1"
    else:
        rule, message = "value.unused", "unused bytes are not zero"
    place = Place(node.start, section.idstr, section.instance_id, node.name)
    return Finding(rule, Severity.INFO, message, place)


def _path_at(root: Node, offset: int) -> str | None:
    names = [node.name for node in root.walk() if node is not root and node.start <= offset < node.end]
    return ".".join(names) or None


def live_findings(contents: Contents, section: Section) -> Iterator[Finding]:
    """Rewrite the numbers and names of a live section, and compare (rule ``rewrite.live``)."""
    data = contents.stream.data
    for node in contents.decoded(section).root.walk():
        if node.nodes or not isinstance(node.value, int | str) or node.kind not in ("field", "header"):
            continue
        raw = data[node.start : node.end]
        try:
            same = node.type == "text" or leaf_bytes(node.type, len(raw), node.value) == raw
        except EncodeError:
            same = False
        if not same:
            yield _finding("rewrite.live", "differs when rewritten", node.start, section, node.name)


def container_findings(opened: Opened) -> Iterator[Finding]:
    """Rewrite the containers, which must then contain the same stream (rule ``rewrite.container``)."""
    if not opened.layers:
        return
    size = len(opened.data)
    if size > _CONTAINER_LIMIT:
        message = f"not rewritten: the stream has more than {_CONTAINER_LIMIT} bytes"
        yield Finding("rewrite.container", Severity.INFO, message)
        return
    try:
        part = next((one.part for one in opened.layers if one.part), None)
        with open_input(b"".join(rewrap(opened.layers, pieces(opened.data), size)), part=part) as again:
            same = bytes(again.data) == bytes(opened.data) and again.layers == opened.layers
    except Unsupported as error:
        yield Finding("rewrite.container", Severity.INFO, f"not rewritten: {error.message}", error.place)
        return
    if not same:
        yield _finding("rewrite.container", "the rewritten containers do not contain the same stream", 0)
