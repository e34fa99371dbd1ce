"""A description compiled: load it from a buffer, save it into one.

The rules are those of QEMU's migration/vmstate.c: version window, ``pre_load``, fields, subsections,
``post_load``; and ``pre_save``, fields, subsections, ``post_save``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import groupby
from typing import Any, NoReturn

from vmstate.describe.cursor import SUBSECTION, Cursor, Writer
from vmstate.describe.description import VMStateDescription
from vmstate.describe.diagnostics import (
    ENOENT,
    FieldFailed,
    HookFailed,
    NullMarkerMissing,
    Refused,
    SubsectionFailed,
    TooNew,
    TooOld,
    UnknownSubsection,
    ValidationFailed,
)
from vmstate.describe.fields import Field
from vmstate.describe.history import settled
from vmstate.describe.infos import NULLPTR, Group, Scalar
from vmstate.describe.nodes import Node
from vmstate.describe.steps import Nothing, Run, Step, fusible
from vmstate.describe.struct_steps import step_of
from vmstate.describe.wrong_shape import WRONG_SHAPE, called, wrong_shape
from vmstate.errors import DeclarationError, EncodeError, StreamError, Truncated


class SaveFailure(EncodeError):
    """A ``pre_save`` or ``post_save`` hook refused; ``ret`` is its return value."""

    def __init__(self, vmsd: str, hook: str, ret: int) -> None:
        super().__init__(f"{hook} of {vmsd} failed with {ret}")
        self.vmsd, self.hook, self.ret = vmsd, hook, ret

    def inside(self, name: str) -> SaveFailure:
        return self  # it concerns a whole description, which its message names


class NotMigratable(SaveFailure):
    """A device can never be sent; ``idstr`` is its section (VMStateDescription.unmigratable)."""

    def __init__(self, idstr: str) -> None:
        EncodeError.__init__(self, f"State blocked by non-migratable device '{idstr}'")
        self.vmsd, self.hook, self.ret = idstr, "", 0


Layout = tuple[tuple[str, ...], struct.Struct]


class Plan:
    """A resolved description, compiled once.  Get one with :func:`plan_of`."""

    def __init__(self, vmsd: VMStateDescription) -> None:
        self.vmsd = vmsd
        self.prefix = vmsd.name.encode()
        self.version_id = settled(vmsd.version_id)
        self.minimum_version_id = settled(vmsd.minimum_version_id)
        self.needed = settled(vmsd.needed)
        self.pre_load, self.post_load = settled(vmsd.pre_load), settled(vmsd.post_load)
        self.pre_save, self.post_save = settled(vmsd.pre_save), settled(vmsd.post_save)
        fields = vmsd.fields
        self.fine: list[Step] = [_step(f) for f in fields]
        self.fast: list[Step] = list(_fuse(fields, self.fine))
        self._steps: dict[int, list[tuple[Step, bool]]] = {}
        self._layouts: dict[int, Layout | None] = {}
        self.subsections = {s.name.encode(): plan_of(s) for s in reversed(vmsd.subsections)}
        self.ordered = [plan_of(s) for s in vmsd.subsections]
        self.header = bytes([SUBSECTION, len(self.prefix) & 0xFF]) + self.prefix
        self.header += struct.pack(">I", self.version_id & 0xFFFFFFFF)

    # ---- loading

    def load(self, cur: Cursor, state: Any, version_id: int) -> None:
        """Load the fields and subsections at the cursor into ``state``.

        Raises LoadFailure where QEMU's loader fails (``cur.diagnostics`` has the lines it would print), or
        Truncated.  Fields loaded before that remain in ``state``, and in the tree if there is one.
        """
        if not self.minimum_version_id <= version_id <= self.version_id:
            self._refuse(cur, version_id)
        if cur.judge and self.pre_load is not None:
            self._hook(cur, "pre_load", self.pre_load, state)
        if cur.tree is not None:
            self._load_noted(cur, state, version_id)
        else:
            for step, tested in self._steps.get(version_id) or self._steps_of(version_id):
                if type(step) is Run:
                    if step.item.size <= cur.end - cur.pos:
                        step.load(cur, state)
                    else:
                        for field in step.fields:
                            self._load_step(cur, state, _step(field))
                elif tested:
                    self._load_one(cur, state, version_id, step)
                else:
                    self._load_step(cur, state, step)
        if cur.pos >= cur.end or cur.data[cur.pos] == SUBSECTION:
            self._load_subsections(cur, state)
        if cur.judge and self.post_load is not None:
            self._hook(cur, "post_load", self.post_load, state, version_id)

    def _refuse(self, cur: Cursor, version_id: int) -> NoReturn:
        vmsd = self.vmsd
        newest, oldest = self.version_id, self.minimum_version_id
        new = version_id > newest
        raise cur.fail(
            TooNew(vmsd.name, version_id, newest) if new else TooOld(vmsd.name, version_id, oldest),
            f"{vmsd.name}: incoming version is too {'new' if new else 'old'}",
            expected=f"{oldest}..{newest}",
            found=version_id,
        )

    def _hook(self, cur: Cursor, name: str, hook: Callable[..., int | None], *args: Any) -> None:
        text = None
        try:
            ret = hook(*args)
        except Refused as refused:
            ret, text = refused.ret, refused.text
        # A positive value is no error: only before 11.0 could it keep outer hooks from running.
        if ret and ret < 0:
            failed = HookFailed(name, self.vmsd.name, self.version_id, self.minimum_version_id, ret, text)
            raise cur.fail(failed, text or f"{name} of {self.vmsd.name} failed with {ret}", ret=ret)

    def _steps_of(self, version_id: int) -> list[tuple[Step, bool]]:
        """Return the steps of a version, each with True if a test decides on it; kept for the next call."""
        steps = [
            (step, step.field.exists is not None)
            for step in self.fast
            if step.field.exists is not None or step.version_id <= version_id
        ]
        self._steps[version_id] = steps
        return steps

    def _load_one(self, cur: Cursor, state: Any, version_id: int, step: Step) -> Any:
        field = step.field
        if step.present(state, version_id):
            return self._load_step(cur, state, step)
        if field.must_exist and cur.judge:
            failed = ValidationFailed(self.vmsd.name, field.name, self.version_id)
            raise cur.fail(failed, f"validation of {self.vmsd.name} failed", ret=-1, path=field.name)
        return None

    def _load_step(self, cur: Cursor, state: Any, step: Step) -> Any:
        start = cur.pos
        try:
            value = step.load(cur, state)
            if cur.short and not cur.by_hand:
                cur.take(cur.end - cur.pos + 1)
        except StreamError as error:
            name = step.field.name
            cur.diagnostics.append(self._failure(cur, step.field, error))
            error.within(offset=start)
            error.inside(name)
            raise
        except DeclarationError as error:
            # When a stream is decoded, a count may be unknown: the declaration is not at fault.
            if cur.judge:
                raise
            raise StreamError(str(error), offset=start, path=step.field.name) from None
        return value

    def _failure(self, cur: Cursor, field: Field, error: StreamError) -> FieldFailed:
        kind = None if field.vmsd is not None and field.info is None else type_name(field)
        if cur.diagnostics and isinstance(cur.diagnostics[-1], NullMarkerMissing):
            kind = NULLPTR.name
        # The innermost description reports the file's error; the outer ones pass it on.
        first = not any(isinstance(r, FieldFailed) and r.stream for r in cur.diagnostics)
        stream = isinstance(error, Truncated) and first
        return FieldFailed(self.vmsd.name, field.name, kind, stream, error.ret)

    def _load_noted(self, cur: Cursor, state: Any, version_id: int) -> None:
        tree = cur.tree
        assert tree is not None
        for step in self.fine:
            field = step.field
            if type(step) is Nothing or not step.present(state, version_id):
                self._load_one(cur, state, version_id, step)
                continue
            kind = "struct" if field.vmsd is not None else "field"
            kind = kind if field.count is None else "array"
            node = Node(field.name, kind, type_name(field), cur.pos, cur.pos)
            node.version_id = settled(field.vmsd.version_id) if field.vmsd is not None else None
            node.words = field.words
            depth = tree.depth
            tree.open(node)
            try:
                node.value = self._load_one(cur, state, version_id, step)
                if kind == "field" and field.info is not None and type(field.info) is not Scalar:
                    node.end = cur.pos
                    tree.look_inside(node, field.info, self.vmsd.name, cur.data)
            finally:
                tree.unwind(depth, cur.pos)

    def _load_subsections(self, cur: Cursor, state: Any) -> None:
        """Load subsections until a name does not begin with the description's (vmstate_subsection_load)."""
        prefix = self.prefix
        before, begin = None, cur.pos
        while cur.peek() == SUBSECTION:
            pos = cur.pos
            length = cur.data[pos + 1] if pos + 1 < cur.end else 0
            cur.short |= cur.judge and pos + 1 >= cur.end
            if length < len(prefix) + 1:
                return
            if pos + 2 + length > cur.end:
                self._cut_off(cur, length)
                return
            name = bytes(cur.data[pos + 2 : pos + 2 + length])
            if not name.startswith(prefix):
                return
            plan = self.subsections.get(name)
            if plan is not None:
                if plan is before and plan.idempotent and cur.judge and cur.tree is None:
                    # It comes again: of all copies only the last one counts, for what is behind it.
                    cur.pos += max(cur.copies(begin) - 1, 0) * (pos - begin)
                before, begin = plan, cur.pos
                self._load_subsection(cur, state, plan, plan.vmsd.name, cur.pos + 2 + length)
                continue
            before = None
            shown = name.split(b"\0", 1)[0].decode("utf-8", "replace")
            plan = self.subsections.get(name.split(b"\0", 1)[0])
            if plan is None:
                unknown = UnknownSubsection(self.vmsd.name, shown)
                message = f"unknown subsection {shown!r} of {self.vmsd.name}"
                raise cur.fail(unknown, message, ret=-ENOENT, offset=pos)
            self._load_subsection(cur, state, plan, shown, pos + 2 + length)

    def _cut_off(self, cur: Cursor, length: int) -> None:
        """The bytes end inside a possible subsection's name: QEMU continues, a decoder checks the name."""
        seen = bytes(cur.data[cur.pos + 2 : cur.end])
        cur.short |= cur.judge
        if not cur.judge and any(len(n) == length and n.startswith(seen) for n in self.subsections):
            raise Truncated(length, len(seen), offset=cur.pos + 2)

    def _load_subsection(self, cur: Cursor, state: Any, plan: Plan, name: str, pos: int) -> None:
        tree = cur.tree
        start, cur.pos = cur.pos, pos
        version = int.from_bytes(cur.number(4), "big", signed=True)
        came: list[tuple[str, str, int, list[Any]]] = []
        if not cur.judge:
            inside: list[Any] = []
            came = vars(state).setdefault("_subsections", [])
            came.append((self.vmsd.name, name, version, inside))
            vars(state)["_subsections"] = inside
        depth = tree.depth if tree is not None else 0
        if tree is not None:
            tree.open(Node(name, "subsection", "subsection", start, cur.pos, version_id=version))
            tree.header(start, pos, cur.pos)
        try:
            plan.load(cur, state, version & 0xFF)  # QEMU keeps it in a uint8_t
        except StreamError as error:
            cur.diagnostics.append(SubsectionFailed(self.vmsd.name, name, error.ret))
            error.inside(name)
            raise
        finally:
            if not cur.judge:
                vars(state)["_subsections"] = came
            if tree is not None:
                tree.unwind(depth, cur.pos)

    @cached_property
    def idempotent(self) -> bool:
        """True if loading the same bytes again changes nothing: plain numbers only, and no hooks."""
        fields = [step.field for step in self.fine]
        plain = all(type(field.info) in {Scalar, Group} and field.exists is None for field in fields)
        whole = all(field.count is None or type(field.count) is int for field in fields)
        return plain and whole and not (self.subsections or self.pre_load or self.post_load)

    # ---- saving

    def save(self, out: Writer, state: Any, version_id: int | None = None) -> None:
        """Write the state's fields and needed subsections.

        Raises EncodeError if a value does not fit, SaveFailure if a hook refuses.
        """
        vmsd = self.vmsd
        version = self.version_id if version_id is None else version_id
        if self.pre_save is not None and not out.quiet:
            ret = called(self.pre_save, state)
            if ret:
                raise SaveFailure(vmsd.name, "pre_save", ret)
        try:
            self._save_body(out, state, version)
        except EncodeError:
            if self.post_save is not None and not out.quiet:
                called(self.post_save, state)
            raise
        if self.post_save is not None and not out.quiet:
            ret = called(self.post_save, state)
            if ret:
                raise SaveFailure(vmsd.name, "post_save", ret)

    def _save_body(self, out: Writer, state: Any, version: int) -> None:
        step: Step | None = None
        try:
            for step, tested in self._steps.get(version) or self._steps_of(version):
                if not tested or step.present(state, version):
                    step.save(out, state)
                elif step.field.must_exist and not out.quiet:
                    raise EncodeError(f"output state validation failed: {self.vmsd.name}/{step.field.name}")
            step = None
            if self.ordered:
                self._save_subsections(out, state)
        except EncodeError as error:
            if step is not None and type(step) is not Run:  # a run has named its field
                error.inside(step.field.name)
            raise
        except (*WRONG_SHAPE, DeclarationError) as why:
            found = wrong_shape(why, step, state)
            if found is None:
                raise
            raise found from why

    def sent(self, state: Any) -> list[Plan]:
        """Return the subsections that this state needs to send, in wire order (vmstate_save_needed)."""
        return [plan for plan in self.ordered if plan.needed is None or plan.needed(state)]

    def came(self, state: Any) -> Iterator[tuple[Plan, int]]:
        """Yield the subsections that a decoded state came with, and their versions, in wire order.

        Until the next one, the state has those that came inside of this one.
        """
        came = getattr(state, "__dict__", {}).get("_subsections", ())
        for owner, name, version, inside in came:
            if owner == self.vmsd.name:
                vars(state)["_subsections"] = inside
                try:
                    yield self.subsections[name.encode()], version
                finally:
                    vars(state)["_subsections"] = came

    def _save_subsections(self, out: Writer, state: Any) -> None:
        plan = self
        try:
            if not out.replay:
                for plan in self.sent(state):
                    out.put(plan.header)
                    plan.save(out, state)
                return
            for plan, version in self.came(state):
                out.put(plan.header[:-4] + struct.pack(">i", version))
                plan.save(out, state, version & 0xFF)
        except EncodeError as error:
            error.inside("/" + plan.vmsd.name.removeprefix(self.vmsd.name + "/"))
            raise

    def size(self, state: Any, version_id: int | None = None, *, replay: bool = False) -> int:
        """Return the size of the state on the wire in bytes, without running hooks."""
        out = Writer(quiet=True, replay=replay)
        self.save(out, state, version_id)
        return out.size

    # ---- layout

    def layout(self, version_id: int) -> Layout | None:
        """Return names and format if the description has only plain numbers and no hooks, else None."""
        if version_id not in self._layouts:
            self._layouts[version_id] = self._layout(version_id)
        return self._layouts[version_id]

    def _layout(self, version_id: int) -> Layout | None:
        vmsd = self.vmsd
        hooks = (self.pre_load, self.post_load, self.pre_save, self.post_save)
        present = [f for f in vmsd.fields if settled(f.version_id) <= version_id]
        if any(hooks) or vmsd.subsections or not present or not all(map(fusible, vmsd.fields)):
            return None
        names = tuple(str(f.attr) for f in present)
        codes = "".join(f.info.code for f in present if isinstance(f.info, Scalar))
        return (names, struct.Struct(">" + codes)) if len(set(names)) == len(names) else None


def type_name(field: Field) -> str:
    """Return the wire type by its name in the vmdesc (vmfield_get_type_name)."""
    if field.info is not None:
        return field.info.name
    return "struct" if field.struct_version is None else "vstruct"


def _step(field: Field) -> Step:
    return step_of(field, plan_of(field.vmsd) if field.vmsd is not None else None)


def _fuse(fields: Any, fine: list[Step]) -> Any:
    pairs = zip(fields, fine, strict=True)
    for (fuse, _), group in groupby(
        pairs, key=lambda p: (fusible(p[0]), p[0].version_id if fusible(p[0]) else None)
    ):
        steps = list(group)
        if fuse:
            yield Run([f for f, _ in steps])
        else:
            yield from (step for _, step in steps)


def plan_of(vmsd: VMStateDescription) -> Plan:
    """Return the plan of a resolved description (see VMStateDescription.at), compiled once.

    Raises DeclarationError if the description still varies by release.
    """
    plan: Plan | None = vmsd.plan
    if plan is None:
        plan = Plan(vmsd)
        object.__setattr__(vmsd, "plan", plan)
    return plan
