"""The wire layout of a description: what is on the wire, in order, without names of C.

Structs are taken apart, so that a struct and the fields that it consists of are the same.  A *run* is a
number of elements of one fixed width; other items are what has no fixed length.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.dataclass import dataclass, replace
from vmstate.schema.model import Description, Schema, SchemaField

STRUCTS = frozenset({"struct", "vstruct", "tmp"})
QUEUES = frozenset({"qtailq", "qlist", "gtree"})
#: Types whose number of bytes is the size of the field.
BYTES = frozenset({"buffer", "unused_buffer"})
#: Bytes of an element on the wire, by wire type.
WIDTHS = {
    **{f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": 1,
    "timer": 8,
    "CPU_Double_U": 8,
    "float64": 8,
    "nullptr": 1,
    "int32 le": 4,
    "uint8 equal": 1,
    "uint16 equal": 2,
    "uint32 equal": 4,
    "int32 equal": 4,
    "int64 equal": 8,
    "uint64 equal": 8,
}


#: Other types whose bytes are known once their size is.
_SIZED = frozenset({"bitmap", None})


@dataclass(frozen=True)
class Run:
    """Elements of a fixed width in bytes; ``kind`` is None where the type is not known.

    ``by_c``: the width is that of the C type, as the source does not know the one on the wire.
    """

    path: str
    kind: str | None
    width: int
    count: int = 1
    by_c: bool = False


@dataclass(frozen=True)
class Blob:
    """Bytes that only QEMU's code knows; ``width``: their number, None if not known or if states differ."""

    path: str
    kind: str | None
    c_size: int | None = None
    width: int | None = None


@dataclass(frozen=True)
class Many:
    """As many elements as another field says; ``source`` is its place on the wire, or None if not known."""

    path: str
    source: tuple[int, str] | None
    multiply: int
    inner: tuple[Item, ...]


@dataclass(frozen=True)
class Pointers:
    """An array of pointers, each of which may be null: then there is a marker in place of the element."""

    path: str
    count: int
    marked: bool
    inner: tuple[Item, ...]


@dataclass(frozen=True)
class Queue:
    """Elements with a byte before each of them, until a byte of zero."""

    path: str
    kind: str
    key: tuple[Item, ...] | None
    inner: tuple[Item, ...] | None


@dataclass(frozen=True)
class Repeat:
    """A fixed number of structs."""

    path: str
    count: int
    inner: tuple[Item, ...]


@dataclass(frozen=True)
class Maybe:
    """A field that is sent only under a condition, which is code."""

    path: str
    test: str | None
    inner: tuple[Item, ...]


@dataclass(frozen=True)
class Subsections:
    """The place behind a description's fields where its subsections are, in any order."""

    path: str
    owner: Description

    def __repr__(self) -> str:
        return f"Subsections({self.path!r})"


Item = Run | Blob | Many | Pointers | Queue | Repeat | Maybe | Subsections


@dataclass(frozen=True)
class Side:
    """One side of a migration: its schema, and if it sends or loads."""

    schema: Schema
    sends: bool

    def version_of(self, one: SchemaField) -> int:
        """Return the version at which the content of a field is saved or loaded.

        A struct's version is not on the wire: each side uses its own (vmstate_save_state_v,
        vmstate_load_state).  Scratch objects and queues are loaded at the version of the field.
        """
        assert one.vmsd is not None
        if one.kind == "vstruct" and one.struct_version is not None:
            return one.struct_version
        if not self.sends and (one.kind == "tmp" or one.kind in QUEUES):
            return one.version_id
        return one.vmsd.version_id

    def items(self, one: Description, version: int, *, tail: bool = True) -> tuple[Item, ...]:
        """Return the layout of a description at a version; ``tail``: with its subsections, if it has any."""
        items = [item for field in self.fields(one, version) for item in self.of_field(one, field)]
        if tail and one.subsections:
            items.append(Subsections(one.name, one))
        return tuple(items)

    @staticmethod
    def fields(one: Description, version: int) -> list[SchemaField]:
        """Return the fields that a version has; a condition replaces the comparison of versions."""
        return [f for f in one.fields if not f.must_exist and (f.conditional or f.version_id <= version)]

    def of_field(self, owner: Description, one: SchemaField) -> tuple[Item, ...]:
        """Return the layout of one field of a description."""
        path = f"{owner.name}.{one.name}"
        items = self._counted(owner, one, path)
        if one.conditional and items:
            return (Maybe(path, one.facts.exists if one.facts else None, items),)
        return items

    def _counted(self, owner: Description, one: SchemaField, path: str) -> tuple[Item, ...]:
        inner = self.element(owner, one, path)
        if one.pointers or one.marked:
            return (self._pointers(owner, one, path, inner),)
        if isinstance(one.count, str):
            return (Many(path, _source(owner, one, one.count), one.multiply, inner),)
        count = 1 if one.count is None else one.count
        if count <= 0 or not inner:
            return ()
        if len(inner) == 1 and isinstance(inner[0], Run):
            return (replace(inner[0], count=inner[0].count * count),)
        if count == 1:
            return inner
        return (Repeat(path, count, inner),)

    def _pointers(self, owner: Description, one: SchemaField, path: str, inner: tuple[Item, ...]) -> Item:
        if isinstance(one.count, str):
            each: tuple[Item, ...] = (Pointers(path, 1, one.marked, inner),)
            return Many(path, _source(owner, one, one.count), one.multiply, each)
        return Pointers(path, 1 if one.count is None else one.count, one.marked, inner)

    def element(self, owner: Description, one: SchemaField, path: str) -> tuple[Item, ...]:
        """Return the layout of one element of a field."""
        kind = one.kind
        if kind in QUEUES:
            key = None if one.key is None else self.items(one.key, self._queued(one, one.key))
            inner = None if one.vmsd is None else self.items(one.vmsd, self._queued(one, one.vmsd))
            return (Queue(path, str(kind), key, inner),)
        if one.vmsd is not None and (kind is None or kind in STRUCTS):
            return self.items(one.vmsd, self.version_of(one))
        c_size = one.facts.size if one.facts else None
        width = WIDTHS.get(kind or "", one.size)
        if kind is None and one.size is None:
            return (Run(path, None, c_size, by_c=True),) if c_size else (Blob(path, None),)
        if isinstance(width, str):
            return (Many(path, _source(owner, one, width), one.multiply, (Run(path, kind, 1),)),)
        if width is None or (kind not in BYTES and kind not in WIDTHS and kind not in _SIZED):
            return (Blob(path, kind, c_size, width),) if width != 0 else ()
        if kind in BYTES:
            return (Run(path, kind, 1, width),) if width > 0 else ()
        return (Run(path, kind, width),) if width > 0 else ()

    def _queued(self, one: SchemaField, vmsd: Description) -> int:
        return vmsd.version_id if self.sends else one.version_id


def _source(owner: Description, one: SchemaField, name: str) -> tuple[int, str] | None:
    """Return the place of the field that counts another, among those in front of it, and its name."""
    if not name:
        return None
    place = 0
    for other in owner.fields:
        if other is one:
            break
        if other.name == name:
            return (place, name)
        place += not other.must_exist
    return (-1, name)


def words(items: Sequence[Item]) -> str:
    """Return a layout for people, in one line."""
    return ", ".join(text for item in items if (text := _words(item))) or "nothing"


def _words(item: Item) -> str:
    if isinstance(item, Run):
        if item.kind in BYTES:
            return f"{item.kind} of {item.count} byte{'s' * (item.count != 1)}"
        kind = item.kind or f"{item.width} byte{'s' * (item.width != 1)}"
        return kind if item.count == 1 else f"{kind}[{item.count}]"
    if isinstance(item, Blob):
        return item.kind or "an unknown type"
    if isinstance(item, Many):
        return f"{words(item.inner)}, as many as {item.source[1] if item.source else 'code'} says"
    if isinstance(item, Pointers):
        return f"{item.count} pointers to {words(item.inner)}"
    if isinstance(item, Queue):
        return item.kind
    if isinstance(item, Repeat):
        return f"{item.count} times ({words(item.inner)})"
    if isinstance(item, Maybe):
        return f"{words(item.inner)} (under a condition)"
    return ""


def signature(items: Sequence[Item]) -> tuple[object, ...]:
    """Return a layout without paths, to compare with others."""
    return tuple(map(_signature, items))


def _signature(item: Item) -> tuple[object, ...]:
    if isinstance(item, Run):
        return ("run", item.kind, item.width, item.count)
    if isinstance(item, Blob):
        return ("blob", item.kind)
    if isinstance(item, Many):
        return ("many", item.multiply, signature(item.inner))
    if isinstance(item, Pointers):
        return ("pointers", item.count, item.marked, signature(item.inner))
    if isinstance(item, Queue):
        key, inner = (None if part is None else signature(part) for part in (item.key, item.inner))
        return ("queue", item.kind, key, inner)
    if isinstance(item, Repeat):
        return ("repeat", item.count, signature(item.inner))
    if isinstance(item, Maybe):
        return ("maybe", signature(item.inner))
    return ("subsections", tuple(one.name for one in item.owner.subsections))


def by_hand(items: Sequence[Item]) -> bool:
    """Return True if only QEMU's code knows a part of the bytes."""
    for item in items:
        if isinstance(item, Blob) and item.width is None:
            return True
        if isinstance(item, Many | Maybe | Pointers | Repeat) and by_hand(item.inner):
            return True
    return False


def width_of(items: Sequence[Item]) -> int | None:
    """Return the number of bytes of a layout; None if it is not fixed."""
    total = 0
    for item in items:
        if isinstance(item, Run):
            total += item.width * item.count
        elif isinstance(item, Blob) and item.width is not None:
            total += item.width
        elif isinstance(item, Repeat):
            inner = width_of(item.inner)
            if inner is None:
                return None
            total += inner * item.count
        elif not isinstance(item, Subsections) or item.owner.subsections:
            return None
    return total
