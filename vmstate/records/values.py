"""Values that a destination compares with its own while it loads them, as the recorded stream has them.

The wire types say which: ``uint32 equal`` (VMSTATE_*_EQUAL), and ``int32 le``, which may not be above the
destination's (VMSTATE_INT32_POSITIVE_LE).  Of a PCI configuration space, what no guest can write must be
equal (hw/pci/pci.c get_pci_config_device).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmstate.describe import Node
from vmstate.describe.diagnostics import EINVAL, Diagnostic, FieldFailed, NotEqual, NotPositiveLe
from vmstate.tree.nodes import is_uniform

EQUAL, _LE, CONFIG = " equal", "int32 le", "pci config"
_AROUND = frozenset({"header", "footer"})
#: Registers of a configuration space that the guest only reads, by the part that has them.
_HEADER = frozenset(
    {"vendor_id", "device_id", "revision_id", "class_prog", "class_device", "header_type", "capability_list"}
)
_EVERY_CAPABILITY = frozenset({"cap_id", "next"})
_OF_CAPABILITY = {
    "pci express": frozenset({"flags", "device_capabilities"}),
    "pci msix": frozenset({"control", "table", "pba"}),
    "pci pm": frozenset({"capabilities"}),
    "pci virtio": frozenset({"length", "cfg_type", "bar", "offset", "size"}),
}
_WINDOW = "virtio_pci_cfg"  # through which the guest reaches the other parts: it writes it
_TABLE_SIZE = 0x07FF  # in the control word of MSI-X, which otherwise is the guest's
_IO, _IO_KIND, _MEMORY_KIND = 0x1, 0x3, 0xF  # the low bits of a BAR

Pair = tuple[tuple[Node, ...], Node]
"""A field that was sent, with the nodes around it from the section on, and the destination's."""


def refused_values(sent: Node, own: Node) -> Iterator[Pair]:
    """Yield the fields of a section that the destination, which sends ``own``, refuses."""
    yield from _refused((sent,), own)


def _refused(around: tuple[Node, ...], own: Node) -> Iterator[Pair]:
    theirs: dict[str, list[Node]] = {}
    for node in own.children:
        theirs.setdefault(node.name, []).append(node)
    for node in around[-1].children:
        known = theirs.get(node.name)
        if node.kind in _AROUND or not known:
            continue
        other = known.pop(0)
        if not _passes(node.value, other.value, other.type):
            yield (*around, node), other
        elif other.type == CONFIG:
            yield from (((*around, node, field), there) for field, there in _registers(node, other))
        elif not is_uniform(node):
            yield from _refused((*around, node), other)


def _passes(incoming: object, local: object, kind: str) -> bool:
    if not isinstance(incoming, int) or not isinstance(local, int):
        return True
    if kind == _LE:
        return 0 <= incoming <= local
    return incoming == local or not kind.endswith(EQUAL)


def _registers(sent: Node, own: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the registers of a configuration space that differ, where the destination has them."""
    if not isinstance(sent.value, memoryview) or not isinstance(own.value, memoryview):
        return
    for register, bits in _read_only(own):
        start, end = register.start - own.start, register.end - own.start
        values = [int.from_bytes(side[start:end], "little") & bits for side in (sent.value, own.value)]
        if values[0] != values[1]:
            at = sent.start + start
            field = Node(register.name, register.kind, register.type, at, at + end - start, values[0])
            yield field, Node(register.name, register.kind, register.type, at, at + end - start, values[1])


def _read_only(config: Node) -> Iterator[tuple[Node, int]]:
    """Yield the registers that have bits which the guest only reads, and those bits."""
    for node in config.children:
        if node.name in _HEADER:
            yield node, -1
        elif node.name.startswith("bar") and isinstance(node.value, int) and node.value:
            yield node, _IO_KIND if node.value & _IO else _MEMORY_KIND
        elif node.nodes:
            own = frozenset() if node.name == _WINDOW else _OF_CAPABILITY.get(node.type, frozenset())
            for one in node.nodes:
                if one.name in own | _EVERY_CAPABILITY:
                    yield one, _TABLE_SIZE if (node.type, one.name) == ("pci msix", "control") else -1


def said(vmsd: str, sent: Sequence[Node], own: Node) -> list[Diagnostic]:
    """Return what QEMU reports for a field of the section itself, whose description is named ``vmsd``."""
    node = sent[-1]
    assert isinstance(node.value, int)
    assert isinstance(own.value, int)
    if own.type == _LE:
        first: Diagnostic = NotPositiveLe(node.value, own.value)
    else:
        mask = (1 << 8 * (node.end - node.start)) - 1
        first = NotEqual(f"{own.value & mask:x}", f"{node.value & mask:x}", None)
    return [first, FieldFailed(vmsd, node.name, own.type, False, -EINVAL)]
