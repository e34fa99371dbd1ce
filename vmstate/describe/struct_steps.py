"""Steps made of plans: single structs and arrays of them; and the choice of the step for a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmstate.describe.arrays import WireRecords
from vmstate.describe.cursor import SUBSECTION, Cursor, Writer, signed
from vmstate.describe.description import Record
from vmstate.describe.diagnostics import aborts
from vmstate.describe.fields import Field
from vmstate.describe.infos import NULLPTR, Bytes, Group, Scalar
from vmstate.describe.steps import (
    EMPTY_ELEMENTS,
    Elements,
    Groups,
    Nothing,
    Numbers,
    Raw,
    Single,
    Step,
    check,
    count_of,
    fetch,
    mark,
    number_of,
    old,
    store,
    wrong_length,
)
from vmstate.errors import EncodeError

if TYPE_CHECKING:
    from vmstate.describe.plan import Plan


class Nested(Step):
    """A struct, at the version that its field gives."""

    def __init__(self, field: Field, plan: Plan) -> None:
        super().__init__(field)
        self.plan = plan
        self.version = plan.version_id if field.struct_version is None else field.struct_version

    def child(self, state: Any) -> Any:
        """Return the state object of the struct, made if it does not exist."""
        if self.field.attr == ".":
            return state
        inner = old(self.field, state)
        return store(self.field, state, Record()) if inner is None else inner

    def load(self, cur: Cursor, state: Any) -> None:
        self.plan.load(cur, self.child(state), self.version)

    def save(self, out: Writer, state: Any) -> None:
        inner = state if self.field.attr == "." else fetch(self.field, state)
        self.plan.save(out, inner, self.version)


class Structs(Nested):
    """An array of structs, or of pointers to structs; a uniform one is a view."""

    def __init__(self, field: Field, plan: Plan) -> None:
        super().__init__(field, plan)
        self.layout = None if field.pointers or field.start else plan.layout(self.version)
        self.mark = plan.vmsd.name.encode()

    def load(self, cur: Cursor, state: Any) -> Any:
        field = self.field
        count = count_of(field, state)
        values = old(field, state)
        if self.layout and (not values or isinstance(values, WireRecords)):
            names, item = self.layout
            size = count * item.size
            if cur.judge and not cur.by_hand and self._ends(cur, size):
                if cur.tree is None:
                    return self._load_cut(cur, count, item.size)
                return self._load_each(cur, state, None, count)
            # QEMU takes an element that begins like a subsection of the struct for one: then load each.
            if size <= cur.end - cur.pos and not self._ambiguous(cur, size):
                return store(field, state, WireRecords(names, item, cur.take(size)))
            if size > cur.end - cur.pos and not cur.judge:
                # Cut off: a decoder keeps the complete elements, and stops in the next one.
                whole = (cur.end - cur.pos) // item.size * item.size
                store(field, state, WireRecords(names, item, cur.take(whole)))
                cur.take(item.size)
            values = None
        return self._load_each(cur, state, values, count)

    def _ends(self, cur: Cursor, size: int) -> bool:
        """Return True if the stream ends in the array, or in the subsection that QEMU looks for after it."""
        left = cur.end - cur.pos - size
        if left <= 0:
            return size > 0
        behind = cur.data[cur.pos + size : cur.pos + size + 2]
        if behind[0] != SUBSECTION:
            return False
        return left < 2 or (behind[1] > len(self.mark) and left < 2 + behind[1])

    def _load_cut(self, cur: Cursor, count: int, width: int) -> None:
        """Load elements until one fails, skipping all complete ones but the last."""
        size = max(min(count, (cur.end - cur.pos) // width) - 1, 0) * width
        if not self._ambiguous(cur, size):
            cur.take(size)
        while True:
            at = cur.pos
            self.plan.load(cur, Record(), self.version)
            check(cur, at, EMPTY_ELEMENTS)

    def _ambiguous(self, cur: Cursor, size: int) -> bool:
        reach = min(cur.end, cur.pos + size + len(self.mark) + 2)
        raw = cur.data[cur.pos : reach].tobytes()
        return SUBSECTION in raw and self.mark in raw  # one byte is found much sooner than several

    def _load_each(self, cur: Cursor, state: Any, values: Any, count: int) -> Any:
        field = self.field
        values = [] if values is None else values
        for i in range(count):
            at = cur.pos
            while len(values) <= field.start + i:
                values.append(Record())
            inner = values[field.start + i]
            if cur.tree is not None:
                cur.tree.element(i, at, self.plan.version_id)
            if field.marked:
                inner = values[field.start + i] = None if NULLPTR.absent(cur) else inner or Record()
            if inner is None and field.marked:
                pass
            elif inner is None:
                NULLPTR.get(cur, field, state, 0, None)
            else:
                self.plan.load(cur, inner, self.version)
            if cur.tree is not None:
                cur.tree.close(cur.pos)
            check(cur, at, i)
        store(field, state, values)
        return None

    def save(self, out: Writer, state: Any) -> None:
        field = self.field
        count = count_of(field, state)
        values = fetch(field, state)
        if self.layout and isinstance(values, WireRecords) and values.item.format == self.layout[1].format:
            if len(values) != count:
                raise wrong_length(field, values, count)
            out.put(values.raw)
            return
        i = 0
        try:
            for i in range(count):
                inner = values[field.start + i]
                null = mark(out, field, inner)
                if not null:
                    self.plan.save(out, inner, self.version)
                elif not field.marked:
                    NULLPTR.put(out, field, state, 0, None)
        except EncodeError as error:
            error.inside(f"[{i}]")
            raise


class Allocating(Step):
    """A step that allocates before it reads; QEMU aborts if the count or size is negative."""

    def load(self, cur: Cursor, state: Any) -> Any:
        if cur.judge:
            self._allocate(cur, state)
        return super().load(cur, state)

    def _allocate(self, cur: Cursor, state: Any) -> None:
        """Allocate as vmstate_handle_alloc does: counts and sizes are C ints, their product is not."""
        field = self.field
        number = field.count if isinstance(field.count, str) else field.size
        if not isinstance(number, str):
            return
        wanted = signed(number_of(field, state, number))
        if wanted < 0 and isinstance(field.allocated, int):
            size = wanted * field.allocated % (1 << 64)
            raise aborts(cur, f"GLib: ../../../glib/gmem.c:136: failed to allocate {size} bytes")


class AllocatingStructs(Allocating, Structs):
    """An allocated array of structs."""


class AllocatingNumbers(Allocating, Numbers):
    """An allocated array of numbers."""


class AllocatingElements(Allocating, Elements):
    """An allocated array of elements of any wire type."""


class AllocatingSingle(Allocating, Single):
    """An allocated buffer."""


_ALLOCATING: dict[type[Step], type[Step]] = {
    Structs: AllocatingStructs,
    Numbers: AllocatingNumbers,
    Elements: AllocatingElements,
    Single: AllocatingSingle,
}


def step_of(field: Field, plan: Plan | None) -> Step:
    """Return the step for a field; ``plan`` is that of its description if it is a struct."""
    step = _step_of(field, plan)
    if field.allocated:
        step.__class__ = _ALLOCATING[type(step)]
    return step


def _step_of(field: Field, plan: Plan | None) -> Step:
    if field.must_exist:
        return Nothing(field)
    if plan is not None and field.info is None:
        return Nested(field, plan) if field.count is None else Structs(field, plan)
    if field.count is None:
        raw = isinstance(field.info, Bytes) and type(field.size) is int and not field.shape
        return Raw(field, field.size) if raw and type(field.size) is int else Single(field)
    if isinstance(field.info, Group) and not field.pointers and not field.start:
        return Groups(field, field.info)
    return Numbers(field) if type(field.info) is Scalar and not field.pointers else Elements(field)
