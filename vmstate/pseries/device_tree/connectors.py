"""The lists of hotplug connectors that a node carries (hw/ppc/spapr_drc.c spapr_dt_drc)."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from vmstate.pseries.board.connectors import TYPE_SHIFT, Connectors, DrcType
from vmstate.pseries.device_tree.fdt import Node, cells
from vmstate.pseries.device_tree.hash_order import index_order

_NUMBER_MASK = (1 << TYPE_SHIFT) - 1
NO_POWER_DOMAIN = 0xFFFFFFFF

#: As the guest sees them: the prefix of a connector's name, and the name of its type.
_NAMES = {
    DrcType.CPU: ("CPU ", "CPU"),
    DrcType.PHB: ("PHB ", "PHB"),
    DrcType.PCI: ("C", "28"),
    DrcType.LMB: ("LMB ", "MEM"),
    DrcType.PMEM: ("PMEM ", "PMEM"),
}


def listed(
    connectors: tuple[Connectors, ...], kinds: Collection[DrcType], first: int = 0, count: int = _NUMBER_MASK
) -> tuple[int, ...]:
    """Return the indices of these kinds' connectors, ``count`` numbers from ``first`` on, in QEMU's order."""
    ranges = tuple((one.kind.index(one.first), one.count) for one in connectors)
    return _among(ranges, tuple((kind.index(first), kind.index(first) + count) for kind in kinds))


@lru_cache(maxsize=256)
def _among(ranges: tuple[tuple[int, int], ...], wanted: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Return the indices of ``ranges``, first ones and counts, within ``wanted``, first ones and ends."""
    return tuple(index for index in index_order(ranges) if any(start <= index < end for start, end in wanted))


@lru_cache(maxsize=64)
def _lists(indices: tuple[int, ...]) -> tuple[tuple[str, bytes], ...]:
    kinds = [_NAMES[DrcType(index >> TYPE_SHIFT)] for index in indices]
    names = (f"{kind[0]}{index & _NUMBER_MASK}\0" for kind, index in zip(kinds, indices, strict=True))
    head = cells(len(indices))
    return (
        ("ibm,drc-indexes", head + cells(*indices)),
        ("ibm,drc-power-domains", head + cells(NO_POWER_DOMAIN) * len(indices)),
        ("ibm,drc-names", head + "".join(names).encode()),
        ("ibm,drc-types", head + "".join(f"{kind[1]}\0" for kind in kinds).encode()),
    )


def write_connectors(node: Node, indices: tuple[int, ...]) -> None:
    """Add the four properties that describe connectors."""
    for name, value in _lists(indices):
        node.set(name, value)


def index_of(connectors: tuple[Connectors, ...], kind: DrcType, number: int) -> int | None:
    """Return the index of the connector with that number, or None (spapr_drc_by_id)."""
    for one in connectors:
        if one.kind is kind and one.first <= number < one.first + one.count:
            return kind.index(number)
    return None
