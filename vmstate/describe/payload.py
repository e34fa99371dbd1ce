"""A payload decoded by a description, and a state encoded by it."""

from __future__ import annotations

from typing import Any, NamedTuple

from vmstate.describe.cursor import SUBSECTION, Cursor, Writer
from vmstate.describe.description import Record, VMStateDescription
from vmstate.describe.nodes import Known, Node, TreeBuilder
from vmstate.describe.plan import plan_of
from vmstate.errors import EncodeError, StreamError, Truncated


class DecodeResult(NamedTuple):
    """The tree of a payload, its state, and the error that stopped the reading, if any.

    ``tree`` and ``state`` hold everything that was read before the error.
    """

    tree: Node
    state: Any
    error: StreamError | None


def decode(
    vmsd: VMStateDescription,
    data: memoryview,
    start: int,
    version_id: int,
    *,
    state: Any = None,
    end: int | None = None,
    known: Known | None = None,
    nodes: bool = True,
) -> DecodeResult:
    """Read the payload at ``start`` of ``data`` by a description, without hooks or comparisons.

    ``state``: the object to decode into, a new Record by default.  ``end``: where the payload ends at the
    latest.  ``known`` knows the inside of bytes that the description does not.  ``nodes``: False leaves out
    the nodes inside the tree's root, which takes less time.  Wrong bytes raise nothing; they are the result's
    ``error``.
    """
    root = Node(vmsd.name, "section", "struct", start, start, version_id=version_id)
    cur = Cursor(data, start, end, tree=TreeBuilder(root, known) if nodes else None)
    state = Record() if state is None else state
    error = None
    try:
        plan_of(vmsd).load(cur, state, version_id)
        if cur.end - cur.pos == 1 and cur.peek() == SUBSECTION:  # after a section nothing else begins so
            raise Truncated(2, 1, offset=cur.pos)
    except StreamError as why:
        error = why
    root.end = cur.pos
    root.value = state
    return DecodeResult(root, state, error)


def encode(vmsd: VMStateDescription, state: Any, *, replay: bool = False) -> bytes:
    """Return the state's bytes; ``replay`` writes a decoded state back as it was read, without hooks.

    Raises EncodeError, whose ``path`` names the field, for a state of another shape or a value that does not
    fit; SaveFailure if a hook refuses.  What a hook itself raises passes through.
    """
    out = Writer(replay=replay)
    try:
        plan_of(vmsd).save(out, state)
    except EncodeError as error:
        error.inside(vmsd.name)
        raise
    return out.join()
