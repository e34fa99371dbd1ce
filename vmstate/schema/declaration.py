"""Between a schema's descriptions and those that the codec runs (:mod:`vmstate.describe`).

A declaration becomes a description without its hooks and conditions, of which only the presence remains.  A
description becomes a declaration that saves and loads the same bytes: attributes are ``f0``, ``f1`` and so on
by place, as names may repeat, and counts are read from the field of the name that the description gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.dataclass import replace
from vmstate.describe import Field, Priority, Record, VMStateDescription
from vmstate.describe.composites import GTREE, QLIST, QTAILQ, TMP
from vmstate.describe.from_vmdesc import Groups
from vmstate.describe.history import settled
from vmstate.describe.infos import BITMAP, BUFFER, BYTE_ARRAY, NULLPTR, SCALARS, UNUSED, Bytes, Info
from vmstate.describe.plan import type_name
from vmstate.errors import DeclarationError
from vmstate.schema.model import Description, SchemaField

STRUCT, VSTRUCT = "struct", "vstruct"
QUEUES = {"qtailq": QTAILQ, "qlist": QLIST}
_HOOKS = ("pre_load", "post_load", "pre_save", "post_save", "dev_unplug_pending")

Present = Callable[[str], bool]


def as_description(declared: VMStateDescription) -> Description:
    """Return a declaration, resolved for a release, as a description."""
    return _Reader().description(declared)


class _Reader:
    """Reads declarations; one that several fields name stays one object."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[VMStateDescription, Description]] = {}

    def description(self, declared: VMStateDescription) -> Description:
        known = self._known.get(id(declared))
        if known is None:
            known = self._known[id(declared)] = (declared, self._description(declared))
        return known[1]

    def _description(self, declared: VMStateDescription) -> Description:
        return Description(
            declared.name,
            settled(declared.version_id),
            settled(declared.minimum_version_id),
            tuple(self._field(one, declared.fields) for one in declared.fields),
            tuple(map(self.description, declared.subsections)),
            conditional=settled(declared.needed) is not None,
            unmigratable=declared.unmigratable,
            early_setup=declared.early_setup,
            priority=int(declared.priority),
            hooks=tuple(hook for hook in _HOOKS if settled(getattr(declared, hook)) is not None),
        )

    def _field(self, one: Field, beside: Any) -> SchemaField:
        count, size = one.count, _size(one)
        if isinstance(one.info, Groups):
            key, vmsd = self._groups(one.info)
        else:
            key = None if one.key is None else self.description(one.key)
            vmsd = None if one.vmsd is None else self.description(one.vmsd)
        return SchemaField(
            one.name,
            type_name(one),
            settled(one.version_id),
            _source(size, beside) if isinstance(size, str) else size,
            _source(count, beside) if isinstance(count, str) else count,
            multiply=one.multiply,
            start=one.start,
            pointers=one.pointers,
            marked=one.marked,
            allocated=bool(settled(one.allocated)),
            conditional=one.exists is not None and not one.must_exist,
            must_exist=one.must_exist,
            struct_version=one.struct_version,
            vmsd=vmsd,
            key=key,
        )

    def _groups(self, sent: Groups) -> tuple[Description | None, Description | None]:
        """Return key and element of a queue or tree, of which a stream describes every element sent."""
        names = [vmsd.name for vmsd in sent.vmsds]
        keyed = sent.name == GTREE.name and len(set(names)) > 1
        described = [self.description(vmsd) for vmsd in sent.vmsds[:2]]
        return (described[0] if keyed else None, described[-1] if described else None)


def _size(one: Field) -> int | str | None:
    if one.info is None:
        return None
    if one.info.width is not None:
        return one.info.width
    if one.info is BITMAP:
        return -(-one.size // 64) * 8 if isinstance(one.size, int) else one.size
    return one.size if isinstance(one.info, Bytes) else None


def _source(attribute: str, beside: Any) -> str:
    """Return the name of the field with an attribute; "" if the description has none."""
    return next((one.name for one in beside if one.attr == attribute and one.index is None), "")


def _always(_path: str) -> bool:
    return True


def as_declaration(description: Description, present: Present = _always) -> VMStateDescription:
    """Return a declaration that saves and loads what a description has on the wire.

    ``present(path)`` decides on each conditional field.  Subsections are sent if the state lists their names
    in ``sent``.  Raises DeclarationError for a type of which only QEMU's code knows the bytes.
    """
    return _declaration(description, present, description.name, "")


def _declaration(one: Description, present: Present, path: str, prefix: str) -> VMStateDescription:
    if one.opaque:
        raise DeclarationError(f"{path} is written by hand: its bytes are not described")
    attributes: dict[str, str] = {}
    fields = []
    for i, inner in enumerate(one.fields):
        fields.append(_field(inner, f"{prefix}f{i}", attributes, present, path))
        attributes[inner.name] = f"{prefix}f{i}"
    subsections = [
        replace(
            _declaration(sub, present, f"{path}/{sub.name}", f"{prefix}{sub.name}:"),
            needed=_listed(sub.name),
        )
        for sub in one.subsections
    ]
    minimum = 0 if one.minimum_version_id is None else one.minimum_version_id
    known = {int(p): p for p in Priority}
    return VMStateDescription(
        one.name,
        one.version_id,
        minimum,
        fields,
        subsections,
        priority=known.get(one.priority, Priority.DEFAULT),
        unmigratable=one.unmigratable,
        early_setup=one.early_setup,
    )


def _listed(name: str) -> Callable[[Any], bool]:
    return lambda state: name in getattr(state, "sent", ())


def _field(
    one: SchemaField, attribute: str, attributes: dict[str, str], present: Present, path: str
) -> Field:
    where = f"{path}.{one.name}"
    if one.must_exist:
        check = Field(one.name, BUFFER, count=0, exists=lambda _state, _version: True, must_exist=True)
        return replace(check, version_id=one.version_id)
    count = one.count
    if isinstance(count, str):
        count = _counted(attributes, count, where)
    made = Field(
        one.name,
        attr=attribute,
        count=count,
        multiply=one.multiply,
        pointers=one.pointers,
        marked=one.marked,
        version_id=one.version_id,
        struct_version=one.struct_version,
        vmsd=None if one.vmsd is None else _declaration(one.vmsd, present, where, ""),
        key=None if one.key is None else _declaration(one.key, present, f"{where}.key", ""),
    )
    if one.conditional:
        there = present(where)
        made = replace(made, exists=lambda _state, _version: there)
    return _typed(made, one, attributes, where)


def _counted(attributes: dict[str, str], name: str, where: str) -> str:
    if name not in attributes:
        raise DeclarationError(f"{where}: it is not known which field gives its number")
    return attributes[name]


def _typed(made: Field, one: SchemaField, attributes: dict[str, str], where: str) -> Field:
    kind = one.kind
    if kind in (STRUCT, VSTRUCT) and made.vmsd is not None:
        return made
    if kind in QUEUES and made.vmsd is not None:
        return replace(made, info=QUEUES[kind])
    if kind == GTREE.name and made.vmsd is not None:
        return replace(made, info=GTREE)
    if kind == TMP.name and made.vmsd is not None:
        return replace(made, info=TMP, make=_scratch(made.attr or ""))
    info: Info | None = NULLPTR if kind == NULLPTR.name else SCALARS.get(kind or "")
    if info is not None:
        return replace(made, info=info)
    if kind == BYTE_ARRAY.name:
        return replace(made, info=BYTE_ARRAY)
    if kind is None or one.size is None:
        raise DeclarationError(f"{where}: the bytes of type {kind or 'unknown'} are not described")
    size = _counted(attributes, one.size, where) if isinstance(one.size, str) else one.size
    if kind == BITMAP.name:
        return replace(made, info=BITMAP, size=8 * size if isinstance(size, int) else size)
    return replace(made, info={BUFFER.name: BUFFER, UNUSED.name: UNUSED}.get(kind, Bytes(kind)), size=size)


def _scratch(attribute: str) -> Callable[[Any], Any]:
    return lambda parent: parent.__dict__.setdefault(attribute, Record())
