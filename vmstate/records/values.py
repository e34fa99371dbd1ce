"""Values that a destination compares with its own while it loads them, as the recorded stream has them.

The wire types say which: ``uint32 equal`` (VMSTATE_*_EQUAL), and ``int32 le``, which may not be above the
destination's (VMSTATE_INT32_POSITIVE_LE).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmstate.describe import Node
from vmstate.describe.diagnostics import EINVAL, Diagnostic, FieldFailed, NotEqual, NotPositiveLe

EQUAL, _LE = " equal", "int32 le"
_AROUND = frozenset({"header", "footer"})

Pair = tuple[tuple[Node, ...], Node]
"""A field that was sent, with the nodes around it from the section on, and the destination's."""


def refused_values(sent: Node, own: Node) -> Iterator[Pair]:
    """Yield the fields of a section that the destination, which sends ``own``, refuses; outermost first."""
    yield from _refused((sent,), own)


def _refused(around: tuple[Node, ...], own: Node) -> Iterator[Pair]:
    theirs: dict[tuple[str, str], list[Node]] = {}
    for node in own.children:
        theirs.setdefault((node.kind, node.name), []).append(node)
    for node in around[-1].children:
        known = theirs.get((node.kind, node.name))
        if node.kind in _AROUND or not known:
            continue
        other = known.pop(0)
        if not _passes(node.value, other.value, other.type):
            yield (*around, node), other
        elif node.nodes and other.nodes:
            yield from _refused((*around, node), other)


def _passes(incoming: object, local: object, kind: str) -> bool:
    if not isinstance(incoming, int) or not isinstance(local, int):
        return True
    if kind == _LE:
        return 0 <= incoming <= local
    return incoming == local or not kind.endswith(EQUAL)


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
