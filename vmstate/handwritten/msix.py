"""``msix state``: the table of vectors, and a pending bit for each (hw/pci/msix.c msix_save)."""

from __future__ import annotations

from vmstate.describe import Node, Record
from vmstate.describe.words import BitFields
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, le32, le64, raw
from vmstate.handwritten.pci_walk import capability

_MOST_VECTORS = 2048
MSIX_ID = 0x11
_ENTRY = Layout(
    "msix entry", le64("address"), le32("data"), le32("vector_control", BitFields(32, {"masked": (0, 1)}))
)


def announced_vectors(config: bytes | memoryview) -> int:
    """Return the number of vectors in the capability of a configuration space; 0 without one."""
    at = capability(config, MSIX_ID)
    return (int.from_bytes(config[at + 2 : at + 4], "little") & _MOST_VECTORS - 1) + 1 if at else 0


def table_size(vectors: int) -> int:
    """Return the size of a table and its pending bits in bytes."""
    return vectors * _ENTRY.size + -(-vectors // 8)


class Card(Record):
    """The values of a PCI device that may have vectors."""

    pci: Record

    @property
    def vectors(self) -> int:
        """The number of interrupt vectors that the device announces."""
        return announced_vectors(self.pci.config)

    @property
    def msix_size(self) -> int:
        """The size of the vector table and the pending bits in bytes."""
        return table_size(self.vectors)


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    size = end - start
    vectors = 8 * size // (8 * _ENTRY.size + 1)
    if not 0 < vectors <= _MOST_VECTORS or size != table_size(vectors):
        raise StreamError("not a table and its pending bits", offset=start)
    table_end = start + vectors * _ENTRY.size
    entries = [
        _ENTRY.node(f"[{vector}]", data, start + vector * _ENTRY.size, end, "element")
        for vector in range(vectors)
    ]
    table = Node("table", "array", _ENTRY.type, start, table_end, nodes=entries)
    return [table, raw("pending_bits", end - table_end).node(data, table_end)]


MSIX_STATE = Content("msix state", _read)
