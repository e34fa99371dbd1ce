"""The field vocabulary: the macros of include/migration/vmstate.h as values.

A field is a name, a wire type (or a description, for a struct), and a count.  ``UInt64("gpr")[32]`` is an
array, ``UInt64("table")["nb_table"]`` an array whose count is in another attribute.  ``attr`` is the
attribute of the device's state object, by default the last part of the name.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from vmstate.dataclass import dataclass, fields, replace
from vmstate.describe import infos
from vmstate.describe.history import ALWAYS, History, Points, Span
from vmstate.describe.infos import Info
from vmstate.describe.words import Words
from vmstate.errors import DeclarationError

if TYPE_CHECKING:
    from vmstate.describe.description import VMStateDescription

Exists = Callable[[Any, int], bool]


def shown(declaration: Any) -> str:
    """Return a declaration as its class and the attributes that differ from the defaults."""
    changed = (f for f in fields(declaration) if f.repr and getattr(declaration, f.name) is not f.default)
    parts = (f"{f.name}={v!r}" for f in changed if (v := getattr(declaration, f.name)) != f.default)
    return f"{type(declaration).__name__}({', '.join(parts)})"


@dataclass(frozen=True, eq=False, repr=False)
class Field:
    """One line of a description (VMStateField).

    ``count``: None for a single element, an int for an array, a str for the attribute with the count.
    ``size``: bytes of a buffer (bits of a bitmap), or the attribute with that number.
    ``pointers``: the elements of an array may be None; ``marked``: each has a marker before it.
    ``multiply``: a factor on a count or size from an attribute.  ``exists`` replaces the version test.
    ``allocated``: bytes that the destination allocates for each element as it loads (VMS_ALLOC).
    ``words``: names of its values, for people.
    """

    name: str
    info: Info | None = None
    vmsd: VMStateDescription | None = None
    attr: str | None = None
    index: int | None = None
    count: int | str | None = None
    shape: tuple[int, ...] = ()
    multiply: int = 1
    start: int = 0
    size: int | str = 0
    pointers: bool = False
    marked: bool = False
    allocated: int | History[int] = 0
    version_id: int | History[int] = 0
    exists: Exists | None = None
    must_exist: bool = False
    struct_version: int | None = None
    hint: str | None = None
    make: Callable[[Any], Any] | None = None
    key: VMStateDescription | None = None
    words: Words | None = None
    span: Span = ALWAYS

    __repr__ = shown

    def __getitem__(self, count: int | str | tuple[int, ...]) -> Field:
        """Return this field as an array: with a fixed count, several dimensions, or an attribute as count."""
        if self.count is not None:
            raise DeclarationError(f"{self.name} is an array already")
        if isinstance(count, tuple):
            return replace(self, count=prod(count), shape=count)
        return replace(self, count=count)

    def times(self, factor: int) -> Field:
        """Return this field with the count (or size) from an attribute multiplied by ``factor``."""
        return replace(self, multiply=factor)

    def part(self, start: int, count: int) -> Field:
        """Return this field as ``count`` elements of the attribute's array, from ``start`` on (SUB_ARRAY)."""
        return replace(self, start=start, count=count)


def Allocated(field: Field, element: int = 1) -> Field:
    """Declare that the destination allocates ``element`` bytes for each incoming element (VMS_ALLOC).

    From 11.1 on a count is never negative: the allocation succeeds, or the stream ends first.
    """
    return replace(field, allocated=History(element, ("11.1", 0)))


T = TypeVar("T", "Field", "VMStateDescription")


def Since(points: Points, thing: T) -> T:
    """Return ``thing`` (a field or subsection) as one that exists from these releases on."""
    return replace(thing, span=replace(thing.span, since=points))


def Until(points: Points, thing: T) -> T:
    """Return ``thing`` (a field or subsection) as one that exists only before these releases."""
    return replace(thing, span=replace(thing.span, until=points))


def attribute(name: str) -> str:
    """Return the attribute of a field name: its last part, without an index."""
    return name.rsplit(".", 1)[-1].rsplit(">", 1)[-1].split("[", 1)[0]


def scalar(info: Info) -> Callable[..., Field]:
    """Return a maker of fields of a wire type, for types of your own."""

    def declare(
        name: str, version_id: int | History[int] = 0, *, attr: str | None = None, **more: Any
    ) -> Field:
        return Field(name, info, attr=attr or attribute(name), version_id=version_id, **more)

    declare.__doc__ = f"Declare a field of wire type {info.name!r}."
    return declare


Bool = scalar(infos.BOOL)
Int8, Int16, Int32, Int64 = map(scalar, (infos.INT8, infos.INT16, infos.INT32, infos.INT64))
UInt8, UInt16, UInt32, UInt64 = map(scalar, (infos.UINT8, infos.UINT16, infos.UINT32, infos.UINT64))
UInt8Equal, UInt16Equal = scalar(infos.UINT8_EQUAL), scalar(infos.UINT16_EQUAL)
UInt32Equal, UInt64Equal = scalar(infos.UINT32_EQUAL), scalar(infos.UINT64_EQUAL)
Int32Equal, Int32PositiveLe = scalar(infos.INT32_EQUAL), scalar(infos.INT32_LE)
Double, Float64, Timer = scalar(infos.DOUBLE), scalar(infos.FLOAT64), scalar(infos.TIMER)


def Struct(name: str, vmsd: VMStateDescription, version_id: int = 0, **more: Any) -> Field:
    """Declare an embedded description at its newest version (VMSTATE_STRUCT and its pointer forms)."""
    return Field(name, vmsd=vmsd, version_id=version_id, **{"attr": attribute(name), **more})


def VStruct(
    name: str, vmsd: VMStateDescription, struct_version: int, version_id: int = 0, **more: Any
) -> Field:
    """Declare an embedded description at a version of its own (VMSTATE_VSTRUCT)."""
    return Struct(name, vmsd, version_id, struct_version=struct_version, **more)


def Pointers(field: Field, *, allocated: bool = False) -> Field:
    """Declare an array of pointers; a null element is the byte ``'0'`` (VMSTATE_ARRAY_OF_POINTER).

    Both sides must have null pointers in the same places, unless they are ``allocated`` by the destination:
    then a marker ``'1'`` comes before each element (VMS_ARRAY_OF_POINTER_AUTO_ALLOC, 11.1).
    """
    return replace(field, pointers=True, marked=allocated)


def Buffer(name: str, size: int | str, version_id: int = 0, *, start: int = 0, **more: Any) -> Field:
    """Declare raw bytes, ``size`` of them or as many as an attribute says (VMSTATE_BUFFER, VBUFFER)."""
    kept = {"attr": attribute(name), **more}
    return Field(name, infos.BUFFER, size=size, start=start, version_id=version_id, **kept)


def ByteArray(name: str, version_id: int = 0, **more: Any) -> Field:
    """Declare bytes with their number in front of them (vmstate_info_g_byte_array)."""
    return Field(name, infos.BYTE_ARRAY, version_id=version_id, **{"attr": attribute(name), **more})


def Unused(size: int, version_id: int = 0, **more: Any) -> Field:
    """Declare bytes without meaning: written as zeros, skipped when read (VMSTATE_UNUSED)."""
    return Field("unused", infos.UNUSED, size=size, version_id=version_id, **more)


def Bitmap(name: str, bits: int | str, version_id: int = 0, **more: Any) -> Field:
    """Declare a bitmap of ``bits`` bits, or as many as an attribute says; an int (VMSTATE_BITMAP)."""
    return Field(name, infos.BITMAP, size=bits, version_id=version_id, **{"attr": attribute(name), **more})


def Validate(name: str, test: Exists) -> Field:
    """Declare a check without bytes: loading and saving fail if ``test`` returns False (VMSTATE_VALIDATE)."""
    return Field(name, infos.BUFFER, count=0, exists=test, must_exist=True)
