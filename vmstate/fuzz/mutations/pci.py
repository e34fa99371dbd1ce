"""Mutations of PCI configuration spaces; a destination compares only a part of each with its own."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Place, among
from vmstate.fuzz.mutations.edge_values import FIELD_EDGES, sized_edge
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

#: Registers of the header, little-endian: offset and bytes.
REGISTERS = {
    "vendor": (0x00, 2),
    "device": (0x02, 2),
    "command": (0x04, 2),
    "status": (0x06, 2),
    "revision": (0x08, 1),
    "class": (0x09, 3),
    "header type": (0x0E, 1),
    **{f"bar{number}": (0x10 + 4 * number, 4) for number in range(6)},
    "subsystem": (0x2E, 2),
    "rom": (0x30, 4),
    "capabilities": (0x34, 1),
    "interrupt line": (0x3C, 1),
    "interrupt pin": (0x3D, 1),
}
#: The fields of the first capability that follow its id.
CAPABILITY = {"next capability": (1, 1), "capability control": (2, 2)}


def _spaces(base: Anatomy) -> list[str]:
    return [leaf.path for leaf in base.leaves.values() if leaf.type == "pci config"]


@mutation("values", config=Place(_spaces), register=among(*REGISTERS, *CAPABILITY), value=FIELD_EDGES)
def pci_register(base: Anatomy, config: str, register: str, value: str) -> list[Splice]:
    """A register of a device's PCI configuration space has another value."""
    leaf = base.leaves[config]
    offset, size = REGISTERS.get(register) or CAPABILITY[register]
    if register in CAPABILITY:
        offset += base.data[leaf.start + REGISTERS["capabilities"][0]]
    start = leaf.start + offset
    if start + size > leaf.end:
        return []
    now = base.data[start : start + size]
    return [Splice(start, start + size, sized_edge(value, now[::-1])[::-1])]
