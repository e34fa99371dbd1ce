"""Memory nodes (hw/ppc/spapr.c spapr_dt_memory) for a machine without NUMA nodes."""

from __future__ import annotations

import struct

from vmstate.describe.history import History
from vmstate.pseries.device_tree.fdt import Node
from vmstate.pseries.device_tree.inputs import Facts
from vmstate.pseries.rules.memory import real_mode_size

LMB_SIZE = 1 << 28
NODE_ASSOCIATIVITY = (4, 0, 0, 0, 0)

_NAME = History("memory@{:016x}", ("4.2", "memory@{:x}"))


def rma_size(facts: Facts) -> int:
    """Bytes of the real mode area."""
    return real_mode_size(facts.ram_size, facts.flags.rma_limit, facts.release)


def write_memory(root: Node, facts: Facts) -> None:
    """The real mode area, then the rest in naturally aligned pieces that are powers of two."""
    start = rma_size(facts)
    _node(root, facts, 0, start)
    while start < facts.ram_size:
        piece = min(1 << (facts.ram_size - start).bit_length() - 1, start & -start)
        _node(root, facts, start, piece)
        start += piece


def _node(root: Node, facts: Facts, start: int, size: int) -> None:
    node = root.add(_NAME.at(facts.release).format(start))
    node.text("device_type", "memory")
    node.set("reg", struct.pack(">2Q", start, size))
    node.cells("ibm,associativity", *NODE_ASSOCIATIVITY)


def hotplug_end(facts: Facts) -> int:
    """Where the memory ends that may be plugged, which begins at a whole GiB; 0 without any."""
    room = facts.maxram_size - facts.ram_size
    return -(-facts.ram_size >> 30 << 30) + room if room else 0
