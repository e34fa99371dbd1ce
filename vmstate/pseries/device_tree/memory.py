"""Memory nodes (hw/ppc/spapr.c spapr_dt_memory) for a machine without NUMA nodes."""

from __future__ import annotations

import struct

from vmstate.describe.history import History
from vmstate.pseries.device_tree.fdt import Node
from vmstate.pseries.device_tree.inputs import TreeInputs
from vmstate.pseries.rules.memory import real_mode_size

LMB_SIZE = 1 << 28
NODE_ASSOCIATIVITY = (4, 0, 0, 0, 0)

_NAME = History("memory@{:016x}", ("4.2", "memory@{:x}"))


def rma_size(inputs: TreeInputs) -> int:
    """Return the bytes of the real mode area."""
    return real_mode_size(inputs.ram_size, inputs.flags.rma_limit, inputs.release)


def write_memory(root: Node, inputs: TreeInputs) -> None:
    """Add the real mode area, then the rest in naturally aligned pieces that are powers of two."""
    start = rma_size(inputs)
    _node(root, inputs, 0, start)
    while start < inputs.ram_size:
        piece = min(1 << (inputs.ram_size - start).bit_length() - 1, start & -start)
        _node(root, inputs, start, piece)
        start += piece


def _node(root: Node, inputs: TreeInputs, start: int, size: int) -> None:
    node = root.add(_NAME.at(inputs.release).format(start))
    node.text("device_type", "memory")
    node.set("reg", struct.pack(">2Q", start, size))
    node.cells("ibm,associativity", *NODE_ASSOCIATIVITY)


def hotplug_end(inputs: TreeInputs) -> int:
    """Return the end address of pluggable memory, which begins at a whole GiB; 0 without any."""
    room = inputs.maxram_size - inputs.ram_size
    return -(-inputs.ram_size >> 30 << 30) + room if room else 0
