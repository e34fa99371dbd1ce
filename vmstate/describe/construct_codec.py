"""A description as a `construct` declaration: a second, independent codec.

The result parses a section's payload into a Container whose keys are the fields' attributes, and builds
it again.  Subsections are listed in wire order under ``subsections``, each with its ``idstr``, ``version_id``
and ``state``.  Facts that are not on the wire (counts, null pointers, the attributes that ``exists`` tests
use) come from ``local``, the destination's state object::

    as_construct(IRQS).parse(payload, local=device)

Construct only decodes: nothing is compared, validated or hooked.  A part of a larger array or buffer is
keyed ``attr[start:end]``; a field that is not there is None.  ``compile()`` makes the declaration faster
where its layout is fixed: plain numbers, and arrays of them; other pieces run as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import construct
from construct import Computed, Construct, Container, ListContainer

from vmstate.describe.composites import QueueInfo, TmpInfo, TreeInfo
from vmstate.describe.construct_pieces import (
    Counted,
    Known,
    Marked,
    Maybe,
    Null,
    Number,
    Numbers,
    Scope,
    Uncompiled,
    Window,
    Words,
)
from vmstate.describe.cursor import SUBSECTION
from vmstate.describe.description import VMStateDescription
from vmstate.describe.fields import Field
from vmstate.describe.history import settled
from vmstate.describe.infos import BITMAP, BYTE_ARRAY, Bytes, Group, NullPointer, Scalar
from vmstate.describe.plan import plan_of, type_name
from vmstate.describe.steps import EMPTY_ELEMENTS, count_of, fetch, size_of
from vmstate.errors import DeclarationError

Asked = Callable[[Container], Any]
_CODES = {"i": "l", "I": "L"}  # construct spells 32-bit numbers so


def as_construct(vmsd: VMStateDescription, version_id: int | None = None) -> Construct:
    """Return the construct declaration of a resolved description, for payloads of ``version_id``.

    ``version_id`` is the description's own by default.  Raises DeclarationError if the description still
    varies by release, or has a wire type other than numbers, raw bytes and descriptions.
    """
    return _body(vmsd, settled(vmsd.version_id) if version_id is None else version_id)


def container_of(vmsd: VMStateDescription, state: Any, version_id: int | None = None) -> Container:
    """Return a decoded state as the Container that ``as_construct(vmsd).build`` takes."""
    version = settled(vmsd.version_id) if version_id is None else version_id
    return Container(_members_of(vmsd, state, version))


# ---- declarations


@lru_cache(maxsize=4096)
def _body(vmsd: VMStateDescription, version_id: int) -> Construct:
    first = ("_local" / Uncompiled(Computed(_local)), "_window" / Window(vmsd, version_id))
    return construct.Struct(*first, *_members(vmsd, version_id, "subsections"))


def _members(vmsd: VMStateDescription, version_id: int, subsections: str) -> Iterator[Construct]:
    for field in vmsd.fields:
        if field.must_exist or (field.exists is None and settled(field.version_id) > version_id):
            continue
        if _same_state(field) and field.vmsd is not None:
            yield from _members(field.vmsd, _version(field, field.vmsd), f"subsections of {field.name}")
        else:
            yield _member(field, version_id)
    yield subsections / _Subsections(vmsd)


def _same_state(field: Field) -> bool:
    return field.attr == "." and field.info is None


def _version(field: Field, vmsd: VMStateDescription) -> int:
    return settled(vmsd.version_id) if field.struct_version is None else field.struct_version


def _member(field: Field, version_id: int) -> Construct:
    declared, name, exists = _elements(field), member_name(field), field.exists
    if exists is not None:
        # Several fields may share an attribute: an absent one keeps the value of the other.
        absent = Computed(lambda ctx: ctx.get(name))
        declared = Uncompiled(
            construct.IfThenElse(lambda ctx: exists(Scope(ctx), version_id), declared, absent)
        )
        declared.flagbuildnone = True  # then its key may be missing
    return declared if name is None else name / declared


def member_name(field: Field) -> str | None:
    """Return the key of a field's value: its attribute, with the part of it that is on the wire."""
    if field.attr is None:
        return None
    if field.index is not None:
        return f"{field.attr}[{field.index}]"
    whole = not field.start and not (field.shape and isinstance(field.info, Bytes))
    return field.attr if whole else f"{field.attr}[{field.start}:{field.start}+{field.count or field.size}]"


def _elements(field: Field) -> Construct:
    if field.attr is None and isinstance(field.info, Bytes):
        count, size = _count(field), _size(field)
        return Uncompiled(construct.Padding(lambda ctx: count(ctx) * size(ctx)))
    element = _element(field)
    if field.count is None:
        return element
    if isinstance(field.count, int) and isinstance(field.info, Scalar) and not field.pointers:
        return Numbers(field.count, element)
    if field.marked:
        element = Maybe(element)
    elif field.pointers:
        element = construct.IfThenElse(_is_null(field), Null(), element)
    return Uncompiled(construct.Array(_count(field), element))


def _element(field: Field) -> Construct:
    info, vmsd = field.info, field.vmsd
    if info is None and vmsd is not None:
        return Known(_body(vmsd, _version(field, vmsd)), lambda ctx: _child(ctx, field))
    if isinstance(info, Scalar):
        return _number(info.code)
    if isinstance(info, Group):
        codes = info.item.format.lstrip(">")
        return construct.Struct(*(m / _number(c) for m, c in zip(info.members, codes, strict=True)))
    if isinstance(info, NullPointer):
        return Null()
    if isinstance(info, Bytes):
        return Uncompiled(construct.Bytes(_size(field)))
    if info is BYTE_ARRAY:
        return Uncompiled(construct.Prefixed(construct.Int32ub, construct.GreedyBytes))
    if info is BITMAP:
        return Words(construct.Array(lambda ctx: -(-_size(field)(ctx) // 64), construct.Int64ub))
    if vmsd is not None:
        return _composite(field, vmsd)
    raise DeclarationError(f"{field.name}: its wire type {type_name(field)} has no counterpart in construct")


def _number(code: str) -> Construct:
    return Number(">", _CODES.get(code, code))


def _composite(field: Field, vmsd: VMStateDescription) -> Construct:
    version = settled(field.version_id)
    element = _body(vmsd, version)
    if isinstance(field.info, TmpInfo):
        return element
    if isinstance(field.info, QueueInfo):
        return _within(Marked(element), vmsd, version)
    if isinstance(field.info, TreeInfo):
        key = construct.Int64ub if field.key is None else _body(field.key, version)
        declared = _within(Counted(Marked(construct.Sequence(key, element))), vmsd, version)
        return declared if field.key is None else _within(declared, field.key, version)
    raise DeclarationError(f"{field.name}: its wire type {type_name(field)} has no counterpart in construct")


def _within(subcon: Construct, vmsd: VMStateDescription, version_id: int) -> Construct:
    focused = construct.FocusedSeq("value", "window" / Window(vmsd, version_id), "value" / subcon)
    return Uncompiled(focused)


# ---- facts from the state


def _local(ctx: Container) -> Any:
    """Return the local object of a description: the caller's, or the one that its parent found."""
    above = ctx["_"]
    return above.get("local") if above is ctx["_params"] else above.get("_next")


def _held(ctx: Container, field: Field) -> Any:
    return getattr(ctx.get("_local"), field.attr or "", None)


def _child(ctx: Container, field: Field) -> Any:
    """Return the local object of a nested description; None if there is none."""
    known = _held(ctx, field)
    index = field.index if field.count is None else field.start + ctx["_index"]
    if index is None or known is None:
        return known
    if isinstance(known, dict):
        return known.get(index)
    return known[index] if index < len(known) else None


def _is_null(field: Field) -> Asked:
    """Return the test for a null pointer: by the value when building, by the local object when parsing."""
    name = member_name(field)

    def test(ctx: Container) -> bool:
        if ctx["_building"]:
            return ctx[name][ctx["_index"]] is None
        known = _held(ctx, field)
        enough = known is not None and len(known) >= field.start + count_of(field, Scope(ctx))
        return enough and known[field.start + ctx["_index"]] is None

    return test


def _size(field: Field) -> Asked:
    def size(ctx: Container) -> int:
        try:
            return size_of(field, Scope(ctx))
        except DeclarationError as why:
            raise construct.RangeError(str(why)) from None

    return size


def _count(field: Field) -> Asked:
    def count(ctx: Container) -> int:
        try:
            wanted = count_of(field, Scope(ctx))
        except DeclarationError as why:
            raise construct.RangeError(str(why)) from None
        if ctx["_parsing"] and wanted > EMPTY_ELEMENTS + _left(ctx["_io"]):
            raise construct.RangeError(f"{field.name}: a count far beyond what the bytes can hold")
        return wanted

    return count


def _left(stream: Any) -> int:
    at = stream.tell()
    end = stream.seek(0, 2)
    stream.seek(at)
    return int(end - at)


# ---- subsections

HEADER = construct.Struct(
    "mark" / construct.Const(SUBSECTION, construct.Byte),
    "idstr" / construct.Prefixed(construct.Byte, construct.GreedyBytes),
    "version_id" / construct.Int32sb,  # QEMU keeps only its low byte
)


class _Subsections(Construct):
    """The subsections after a description's fields (vmstate_subsection_load, vmstate_subsection_save)."""

    def __init__(self, vmsd: VMStateDescription) -> None:
        super().__init__()
        self.flagbuildnone = True
        self._vmsd = vmsd
        self._known = {s.name.encode(): s for s in reversed(vmsd.subsections)}

    def _parse(self, stream: Any, context: Container, path: str) -> ListContainer:
        found = ListContainer()
        context["_seen"] = [*context.get("_seen", ())]
        prefix = self._vmsd.name.encode()
        while True:
            start = stream.tell()
            peeked = stream.read(2)
            name = stream.read(peeked[1]) if len(peeked) == 2 and peeked[0] == SUBSECTION else b""
            stream.seek(start)
            if len(name) <= len(prefix) or len(name) != peeked[1] or not name.startswith(prefix):
                return found
            found.append(self._one(stream, context, path))

    def _one(self, stream: Any, context: Container, path: str) -> Container:
        header = HEADER._parse(stream, context, path)  # noqa: SLF001
        idstr = header["idstr"].split(b"\0", 1)[0]
        vmsd = self._known.get(idstr)
        if vmsd is None:
            raise construct.CheckError(f"unknown subsection {idstr!r} of {self._vmsd.name}", path=path)
        version_id = header["version_id"]
        context["_next"] = Scope(context)
        state = _body(vmsd, version_id & 0xFF)._parse(stream, context, path)  # noqa: SLF001
        context["_seen"].append(state)
        return Container(idstr=vmsd.name, version_id=version_id, state=state)

    def _build(self, obj: Any, stream: Any, context: Container, path: str) -> Any:
        context["_seen"] = [*context.get("_seen", ())]
        for one in obj or ():
            idstr, version_id = one["idstr"].encode(), one["version_id"]
            HEADER._build({"idstr": idstr, "version_id": version_id}, stream, context, path)  # noqa: SLF001
            context["_next"] = Scope(context)
            body = _body(self._known[idstr], version_id & 0xFF)
            body._build(one["state"], stream, context, path)  # noqa: SLF001
            context["_seen"].append(one["state"])
        return obj


# ---- states as containers


def _members_of(vmsd: VMStateDescription, state: Any, version_id: int) -> Iterator[tuple[str, Any]]:
    plan = plan_of(vmsd)
    for field, step in zip(vmsd.fields, plan.fine, strict=True):
        name = member_name(field)
        if field.must_exist or name is None or not step.present(state, version_id):
            continue
        if _same_state(field) and field.vmsd is not None:
            inner = dict(_members_of(field.vmsd, state, _version(field, field.vmsd)))
            yield f"subsections of {field.name}", inner.pop("subsections")
            yield from inner.items()
        else:
            yield name, _value_of(field, state)
    sent = []
    for subsection, version in plan.came(state):
        body = container_of(subsection.vmsd, state, version & 0xFF)
        sent.append(Container(idstr=subsection.vmsd.name, version_id=version, state=body))
    yield "subsections", sent


def _value_of(field: Field, state: Any) -> Any:
    value = fetch(field, state)
    if field.count is not None:
        part = value[field.start : field.start + count_of(field, state)]
        return [_element_of(field, element) for element in part]
    if field.shape and isinstance(field.info, Bytes):
        value = value[field.start : field.start + size_of(field, state)]
    return _element_of(field, value)


def _element_of(field: Field, value: Any) -> Any:
    vmsd, info = field.vmsd, field.info
    if value is None:
        return None
    if isinstance(info, Group):
        row = value if isinstance(value, tuple) else tuple(getattr(value, m) for m in info.members)
        return Container(zip(info.members, row, strict=True))
    if isinstance(info, Bytes) or info is BYTE_ARRAY:
        return bytes(value)
    if vmsd is None:
        return value
    if info is None:
        return container_of(vmsd, value, _version(field, vmsd))
    version = settled(field.version_id)
    if isinstance(info, TreeInfo):
        key = field.key
        return [
            [k if key is None else container_of(key, k, version), container_of(vmsd, v, version)]
            for k, v in value
        ]
    if isinstance(info, QueueInfo):
        return [container_of(vmsd, element, version) for element in value]
    return container_of(vmsd, value, version)
