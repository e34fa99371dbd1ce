"""Wire types made of descriptions: scratch state, queues, lists, trees (migration/vmstate-types.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.describe.cursor import Cursor, Writer
from vmstate.describe.description import Record, VMStateDescription
from vmstate.describe.diagnostics import ElementFailed, ElementVersion, TreeInconsistent
from vmstate.describe.fields import Field, attribute
from vmstate.describe.history import History, settled
from vmstate.describe.infos import UINT32, UINT64, Info
from vmstate.describe.plan import Plan, plan_of
from vmstate.describe.steps import check
from vmstate.errors import DeclarationError, EncodeError, StreamError


def _plan(field: Field) -> Plan:
    if field.vmsd is None:
        raise DeclarationError(f"{field.name} needs a description of its elements")
    return plan_of(field.vmsd)


def _check_window(cur: Cursor, field: Field, plan: Plan) -> int:
    version, vmsd = settled(field.version_id), plan.vmsd
    windows = ((version > plan.version_id, "too new"), (version < plan.minimum_version_id, "too old"))
    for wrong, what in windows:
        if wrong:
            raise cur.fail(ElementVersion(vmsd.name, what), f"{vmsd.name} {what}", found=version)
    return version


class TmpInfo(Info):
    """A description that works on a scratch object made from the parent, at the field's version."""

    name = "tmp"
    lasting = False

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        scratch = field.make(state) if field.make is not None and cur.judge else Record(parent=state)
        _plan(field).load(cur, scratch, settled(field.version_id))
        return None if cur.judge else scratch

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        scratch = value if out.replay or field.make is None else field.make(state)
        _plan(field).save(out, scratch)


class QueueInfo(Info):
    """A byte 1 before each element and a byte 0 at the end; the value is a list of states."""

    def __init__(self, name: str, *, explains: bool) -> None:
        self.name = name
        self._explains = explains  # QEMU names the failed element of a list, but not of a queue

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> list[Any]:
        plan = _plan(field)
        version = _check_window(cur, field, plan)
        elements: list[Any] = []
        start = cur.pos
        while cur.byte():
            element = field.make(state) if field.make is not None else Record()
            try:
                with_node(cur, len(elements), plan, element, version)
            except StreamError as error:
                if self._explains:
                    cur.diagnostics.append(ElementFailed("list", field.name, plan.vmsd.name, error.ret))
                raise
            elements.append(element)
            check(cur, start, len(elements))
            start = cur.pos
        return elements

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan = _plan(field)
        for element in value:
            out.put(b"\1")
            plan.save(out, element)
        out.put(b"\0")


class TreeInfo(Info):
    """A u32 count; byte 1, key and value of each node; byte 0.  The value is a list of (key, value)."""

    name = "gtree"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> list[tuple[Any, Any]]:
        plan, key_plan = _plan(field), plan_of(field.key) if field.key is not None else None
        for each in (key_plan, plan):
            version = _check_window(cur, field, each) if each is not None else 0
        start = cur.pos
        count = UINT32.get(cur, field, state, 0, None)
        nodes: list[tuple[Any, Any]] = []
        while cur.byte():
            if len(nodes) >= count:
                # QEMU's loader leaves its loop here, then finds more nodes than the count.
                message = "more nodes than the count says"
                raise cur.fail(TreeInconsistent(field.name), message, offset=start, expected=count)
            key = UINT64.get(cur, field, state, 0, None) if key_plan is None else Record()
            value = field.make(state) if field.make is not None else Record()
            for each, target in ((key_plan, key), (plan, value)):
                if each is not None:
                    self._load(cur, field, each, target, version, len(nodes))
            nodes.append((key, value))
            check(cur, start, len(nodes))
        if len(nodes) != count:
            raise cur.fail(
                TreeInconsistent(field.name),
                "the number of nodes differs from the count",
                offset=start,
                expected=count,
                found=len(nodes),
            )
        return nodes

    def _load(self, cur: Cursor, field: Field, plan: Plan, target: Any, version: int, index: int) -> None:
        try:
            with_node(cur, index, plan, target, version)
        except StreamError as error:
            cur.diagnostics.append(ElementFailed("tree", field.name, plan.vmsd.name, error.ret))
            raise

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan, key_plan = _plan(field), plan_of(field.key) if field.key is not None else None
        UINT32.put(out, field, state, 0, len(value))
        for node in value:
            if not isinstance(node, tuple) or len(node) != 2:
                raise EncodeError(f"{field.name}: a tree is a list of (key, value), not of {node!r}")
            out.put(b"\1")
            if key_plan is None:
                UINT64.put(out, field, state, 0, node[0])
            else:
                key_plan.save(out, node[0])
            plan.save(out, node[1])
        out.put(b"\0")


def with_node(cur: Cursor, index: int, plan: Plan, element: Any, version: int) -> None:
    """Load one element, and add it to the tree if there is one."""
    tree = cur.tree
    if tree is None:
        plan.load(cur, element, version)
        return
    tree.element(index, cur.pos, version)
    depth = tree.depth
    try:
        plan.load(cur, element, version)
    finally:
        tree.unwind(depth - 1, cur.pos)


TMP = TmpInfo()
QTAILQ = QueueInfo("qtailq", explains=False)
QLIST = QueueInfo("qlist", explains=True)
GTREE = TreeInfo()


def Tmp(vmsd: VMStateDescription, make: Callable[[Any], Any], version_id: int = 0) -> Field:
    """Declare state that exists only while it is saved or loaded (VMSTATE_WITH_TMP).

    ``make(parent)`` returns a scratch object.  The description's hooks fill it from the parent, or copy its
    contents to the parent.
    """
    return Field("tmp", TMP, vmsd, attr=f"tmp:{vmsd.name}", make=make, version_id=version_id)


def QTailQ(name: str, vmsd: VMStateDescription, version_id: int = 1, **more: Any) -> Field:
    """Declare a queue: a byte 1 before each element, a byte 0 at the end (VMSTATE_QTAILQ_V)."""
    return Field(name, QTAILQ, vmsd, version_id=version_id, **{"attr": attribute(name), **more})


def QList(name: str, vmsd: VMStateDescription, version_id: int = 1, **more: Any) -> Field:
    """Declare a list, on the wire like a queue (VMSTATE_QLIST_V)."""
    return Field(name, QLIST, vmsd, version_id=version_id, **{"attr": attribute(name), **more})


def GTree(
    name: str,
    vmsd: VMStateDescription,
    key: VMStateDescription | None = None,
    version_id: int | History[int] = 1,
    **more: Any,
) -> Field:
    """Declare a tree: u32 count, then byte 1, key, value for each, then byte 0 (VMSTATE_GTREE_V).

    The value is a list of ``(key, value)`` in the tree's order; without a ``key`` description keys are u64.
    """
    return Field(name, GTREE, vmsd, key=key, version_id=version_id, **{"attr": attribute(name), **more})
