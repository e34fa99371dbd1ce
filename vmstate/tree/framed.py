"""The framing as nodes: file header, configuration, headers and footers, commands, end mark, vmdesc."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe import Node
from vmstate.stream.constants import MAGIC, VERSION_COMPAT, Command, SectionType
from vmstate.stream.items import (
    CommandItem,
    Configuration,
    ConfigurationSubsection,
    EndOfStates,
    FileHeader,
    Item,
    Opaque,
    Section,
    VmDescription,
)
from vmstate.stream.reader import Stream
from vmstate.stream.wire import bytes_of
from vmstate.tree.nodes import Branch, leaf

Inner = Callable[[tuple[Item, ...]], list[Node]]


def framing(stream: Stream, item: Item, inner: Inner) -> Node:
    """Return the node of an item other than a section; ``inner`` makes the nodes of packaged items."""
    match item:
        case FileHeader():
            return _file_header(stream, item)
        case Configuration():
            return _configuration(stream, item)
        case CommandItem():
            return _command(stream, item, inner)
        case EndOfStates():
            return Node("end", "item", "end mark", item.start, item.end, value=0)
        case VmDescription():
            return _vmdescription(item)
        case Opaque():
            return Node(
                item.reason, "opaque", "bytes", item.start, item.end, stream.view(item.start, item.end)
            )
    raise TypeError(item)


def _file_header(stream: Stream, item: FileHeader) -> Node:
    fields = [
        leaf("magic", "uint32", item.start, 4, MAGIC),
        leaf("version", "uint32", item.start + 4, 4, item.version),
    ]
    if item.version == VERSION_COMPAT:
        fields.append(leaf("length", "uint64", item.start + 8, 8, _number(stream, item.start + 8, 8)))
    return Node("header", "item", "file header", item.start, item.end, nodes=fields)


def _number(stream: Stream, at: int, size: int) -> int:
    return int.from_bytes(stream.data[at : at + size], "big")


def _configuration(stream: Stream, item: Configuration) -> Node:
    name = bytes_of(item.machine)
    at = item.start
    fields = [
        leaf("mark", "uint8", at, 1, _number(stream, at, 1)),
        leaf("len", "uint32", at + 1, 4, len(name)),
        leaf("name", "text", at + 5, len(name), item.machine),
    ]
    fields += [_subsection(stream, item, sub) for sub in item.subsections]
    return Node("configuration", "item", "configuration", item.start, item.end, nodes=fields)


def _subsection(stream: Stream, item: Configuration, sub: ConfigurationSubsection) -> Node:
    at, size = sub.payload_start, sub.end - sub.payload_start
    nodes = subsection_header(sub.start, at - 4, sub.version_id)
    if sub.name.endswith("/target-page-bits"):
        nodes.append(leaf("target_page_bits", "uint32", at, size, item.target_page_bits))
    elif sub.name.endswith("/uuid"):
        nodes.append(leaf("uuid", "buffer", at, size, item.uuid))
    else:
        nodes.append(leaf("caps_count", "uint32", at, 4, _number(stream, at, 4)))
        nodes += _names(item.capabilities, at + 4)
    version = sub.version_id
    return Node(sub.name, "subsection", "subsection", sub.start, sub.end, version_id=version, nodes=nodes)


def _names(names: tuple[str, ...], at: int) -> list[Node]:
    nodes = []
    for index, name in enumerate(names):
        size = len(bytes_of(name)) + 1
        nodes.append(leaf(f"capabilities[{index}]", "capability", at, size, name))
        at += size
    return nodes


def subsection_header(start: int, version_at: int, version: int | None) -> list[Node]:
    """Return the nodes of a subsection's header: mark, length and name, then the version."""
    return [
        Node("header", "header", "subsection header", start, version_at),
        Node("version_id", "header", "uint32", version_at, version_at + 4, version),
    ]


def _command(stream: Stream, item: CommandItem, inner: Inner) -> Node:
    at = item.start
    fields = [
        leaf("mark", "uint8", at, 1, _number(stream, at, 1)),
        leaf("command", "uint16", at + 1, 2, item.command),
        leaf("len", "uint16", at + 3, 2, item.data_end - item.data_start),
    ]
    if item.data_end > item.data_start:
        fields.append(_command_data(stream, item))
    name = f"command {item.name}"
    if not item.inner:
        return Node(name, "item", "command", item.start, item.end, nodes=fields)
    return Branch(name, "item", "command", item.start, item.end, expand=lambda: [*fields, *inner(item.inner)])


def _command_data(stream: Stream, item: CommandItem) -> Node:
    start, size = item.data_start, item.data_end - item.data_start
    if item.command == Command.PACKAGED and size == 4:
        return leaf("size", "uint32", start, 4, _number(stream, start, 4))
    if item.command == Command.POSTCOPY_ADVISE and size == 16:
        words = [
            leaf("ram_page_summary", "uint64", start, 8, _number(stream, start, 8)),
            leaf("target_page_size", "uint64", start + 8, 8, _number(stream, start + 8, 8)),
        ]
        return Node("data", "item", "data", start, start + 16, nodes=words)
    return leaf("data", "buffer", start, size, stream.view(start, start + size))


def _vmdescription(item: VmDescription) -> Node:
    fields = [
        leaf("mark", "uint8", item.start, 1, 6),
        leaf("size", "uint32", item.start + 1, 4, item.end - item.text_start),
        leaf("text", "json", item.text_start, item.end - item.text_start),
    ]
    return Node("vmdescription", "item", "vmdescription", item.start, item.end, nodes=fields)


def section_header(stream: Stream, section: Section) -> Node:
    """Return the node of a section's header."""
    return Branch(
        "header",
        "header",
        "section header",
        section.start,
        section.payload_start,
        expand=lambda: _header_fields(stream, section),
    )


def _header_fields(stream: Stream, section: Section) -> list[Node]:
    at = section.start
    if stream.header.version == VERSION_COMPAT:
        fields = _ids(section, at)
        size = section.payload_end - section.payload_start
        fields.append(leaf("size", "uint32", section.payload_start - 4, 4, size))
    else:
        fields = [
            leaf("kind", "uint8", at, 1, int(section.kind)),
            leaf("section_id", "uint32", at + 1, 4, section.section_id),
        ]
        if section.kind in (SectionType.START, SectionType.FULL):
            fields += _ids(section, at + 5)
    return fields


def _ids(section: Section, at: int) -> list[Node]:
    size = len(bytes_of(section.idstr)) + 1
    return [
        leaf("idstr", "counted text", at, size, section.idstr),
        leaf("instance_id", "uint32", at + size, 4, section.instance_id),
        leaf("version_id", "uint32", at + size + 4, 4, section.version_id),
    ]


def section_footer(section: Section) -> Node | None:
    """Return the node of a section's footer; None without one."""
    if section.end <= section.payload_end:
        return None
    at = section.payload_end
    fields = [
        leaf("mark", "uint8", at, 1, 0x7E),
        leaf("section_id", "uint32", at + 1, 4, section.footer),
    ]
    return Node("footer", "footer", "section footer", at, section.end, nodes=fields)
