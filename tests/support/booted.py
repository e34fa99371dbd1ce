"""The state of a booted guest in a stream, in one form for captured and simulated streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vmstate.describe import Node
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.paths import find

RADIX_AND_SIZE = 1 << 63 | 0xFFF
SPR_LPCR, SPR_PCR = 318, 338
NOT_MODELLED = {"cpu_common/crash_occurred", "spapr_irq_map"}
"""The guests of the older streams found no root file system and panicked; interrupts that drivers claimed."""


@dataclass(frozen=True)
class GuestState:
    """``modes``, ``lpcr``, ``pcr`` by processor; ``table``: patb_entry without the address."""

    sections: frozenset[tuple[str, int]]
    subsections: dict[tuple[str, int], set[str]]
    modes: dict[int, int]
    lpcr: dict[int, int]
    pcr: dict[int, int]
    ov5: int | None
    table: int | None
    htab: bytes
    run_state: bytes


def _subsections(node: Node) -> Iterator[str]:
    for child in node.children:
        if child.kind == "subsection":
            yield child.name
            yield from _subsections(child)


def guest_state(data: bytes) -> GuestState:
    contents = Contents(open_stream(data), PseriesDeclarations())
    sections = contents.stream.sections
    subsections: dict[tuple[str, int], set[str]] = {}
    for section in sections:
        names = subsections.setdefault((section.idstr, section.instance_id), set())
        names.update(set(_subsections(contents.node(section))) - NOT_MODELLED)

    def value(path: str) -> Any:
        return find(contents, path)[0].node.value

    cpus = [s.instance_id for s in sections if s.idstr == "cpu"]
    sprs = {cpu: value(f"cpu[{cpu}].env.spr") for cpu in cpus}
    own = subsections["spapr", 0]
    htab = next(s for s in sections if s.idstr == "spapr/htab")
    return GuestState(
        frozenset(subsections),
        subsections,
        {c: value(f"cpu[{c}]/compat.compat_pvr") for c in cpus if "cpu/compat" in subsections["cpu", c]},
        {cpu: sprs[cpu][SPR_LPCR] for cpu in cpus},
        {cpu: sprs[cpu][SPR_PCR] for cpu in cpus},
        value("spapr_option_vector_ov5_cas.ov5_cas.bitmap") if "spapr_option_vector_ov5_cas" in own else None,
        value("spapr_patb_entry.patb_entry") & RADIX_AND_SIZE if "spapr_patb_entry" in own else None,
        bytes(contents.stream.data[htab.payload_start : htab.payload_start + 4]),
        bytes(value("globalstate.runstate")).rstrip(b"\0") if ("globalstate", 0) in subsections else b"",
    )
