"""RTAS event logs of version 6, as PAPR has them (hw/ppc/spapr_events.c)."""

from __future__ import annotations

from vmstate.describe import Node
from vmstate.describe.words import Names
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, Register, be16, be32, be64, raw, u8

_LOG = Layout("rtas event log", u8("b0"), u8("reserved1"), u8("b2"), raw("reserved2", 9), raw("company", 4))
_SECTION = (raw("id", 2), be16("length"), u8("version"), u8("subtype"), be16("creator_component_id"))
_ID = slice(0, 2)


def _section(name: str, *registers: Register) -> tuple[str, Layout]:
    return name, Layout("rtas event section", *_SECTION, *registers)


#: By the two letters that are a section's id.
_SECTIONS = {
    b"PH": _section(
        "main_a",
        be32("creation_date"),
        be32("creation_time"),
        raw("platform1", 8),
        u8("creator_id"),
        raw("reserved1", 2),
        u8("section_count"),
        raw("reserved2", 4),
        raw("platform2", 8),
        be32("plid"),
        raw("platform3", 4),
    ),
    b"UH": _section(
        "main_b",
        u8("subsystem_id"),
        u8("platform1"),
        u8("event_severity"),
        u8("event_subtype"),
        raw("platform2", 4),
        raw("reserved1", 2),
        be16("action_flags"),
        raw("reserved2", 4),
    ),
    b"EP": _section(
        "epow",
        u8("sensor_value"),
        u8("event_modifier"),
        u8("extended_modifier"),
        u8("reserved"),
        be64("reason_code"),
    ),
    b"HP": _section(
        "hotplug",
        u8("type", Names({1: "CPU", 2: "memory", 3: "slot", 4: "PHB", 5: "PCI", 6: "NVDIMM"})),
        u8("action", Names({1: "add", 2: "remove"})),
        u8("identifier", Names({1: "DRC name", 2: "DRC index", 3: "DRC count", 4: "DRC count and index"})),
        u8("reserved"),
        be32("drc"),
        be32("drc_index"),
    ),
    b"MC": _section(
        "machine_check",
        be32("fru_id"),
        be32("proc_id"),
        u8("error_type"),
        u8("sub_error_type"),
        raw("reserved", 6),
        be64("effective_address"),
        be64("logical_address"),
    ),
}


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    found = _LOG.nodes(data, start, end)
    at = found[-1].end
    while at < end:
        kind = bytes(data[at : at + 4])
        known = _SECTIONS.get(kind[:2])
        size = int.from_bytes(kind[2:], "big")
        if known is None or known[1].size > size or at + size > end:
            raise StreamError("not a section of an event log", offset=at)
        name, layout = known
        node = layout.node(name, data, at, end)
        if size > layout.size:
            node.nodes.append(raw("more", size - layout.size).node(data, node.end))
            node.end = at + size
        found.append(node)
        at = node.end
    return found


EVENT_LOG = Content("buffer", _read)
