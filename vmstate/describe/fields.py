"""The field vocabulary: what include/migration/vmstate.h has, as values.

A field is a name, a wire type (or a description, for a struct), and a count.  ``UInt64("gpr")[32]`` is
an array, ``UInt64("table")["nb_table"]`` one whose count another field holds.  ``attr`` is the attribute
of the device's state object; by default the last part of the name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from vmstate.describe import infos
from vmstate.describe.history import ALWAYS, History, Points, Span
from vmstate.describe.infos import Info
from vmstate.errors import DeclarationError

if TYPE_CHECKING:
    from vmstate.describe.description import VMStateDescription

Exists = Callable[[Any, int], bool]


def shown(declaration: Any) -> str:
    """A declaration as its class and whatever differs from the defaults."""
    told = (f for f in fields(declaration) if f.repr and getattr(declaration, f.name) is not f.default)
    parts = (f"{f.name}={v!r}" for f in told if (v := getattr(declaration, f.name)) != f.default)
    return f"{type(declaration).__name__}({', '.join(parts)})"


@dataclass(frozen=True, eq=False, repr=False)
class Field:
    """One line of a description (VMStateField).

    ``count`` None: a single element; an int: an array; a str: the attribute that holds the count.
    ``size``: bytes of a buffer (bits of a bitmap), or the attribute that holds it.
    ``pointers``: of an array, each may be None; ``marked``: each has a marker before it.
    ``multiply``: factor on a count or size from an attribute.  ``exists`` replaces the version test.
    ``allocated``: the destination makes room when it loads, so many bytes for each element (VMS_ALLOC).
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
    span: Span = ALWAYS

    __repr__ = shown

    def __getitem__(self, count: int | str | tuple[int, ...]) -> Field:
        """This field as an array: a fixed count, several dimensions, or the attribute with the count."""
        if self.count is not None:
            raise DeclarationError(f"{self.name} is an array already")
        if isinstance(count, tuple):
            return replace(self, count=prod(count), shape=count)
        return replace(self, count=count)

    def times(self, factor: int) -> Field:
        """Multiply the count (or the buffer's size) that is taken from an attribute."""
        return replace(self, multiply=factor)

    def part(self, start: int, count: int) -> Field:
        """Only elements ``start`` … ``start + count`` of the attribute's array (SUB_ARRAY)."""
        return replace(self, start=start, count=count)


def Allocated(field: Field, element: int = 1) -> Field:
    """The destination makes room for what comes: ``element`` bytes of its memory for each (VMS_ALLOC).

    From 11.1 on a count is not negative any more: there is room, or the stream ends before.
    """
    return replace(field, allocated=History(element, ("11.1", 0)))


T = TypeVar("T", "Field", "VMStateDescription")


def Since(points: Points, thing: T) -> T:
    """``thing`` (a field or subsection) exists from these releases on."""
    return replace(thing, span=replace(thing.span, since=points))


def Until(points: Points, thing: T) -> T:
    """``thing`` (a field or subsection) exists before these releases only."""
    return replace(thing, span=replace(thing.span, until=points))


def attribute(name: str) -> str:
    """The attribute that a field name stands for: its last part, without index."""
    return name.rsplit(".", 1)[-1].rsplit(">", 1)[-1].split("[", 1)[0]


def scalar(info: Info) -> Callable[..., Field]:
    """A constructor of fields of that wire type, for types of one's own."""

    def declare(
        name: str, version_id: int | History[int] = 0, *, attr: str | None = None, **more: Any
    ) -> Field:
        return Field(name, info, attr=attr or attribute(name), version_id=version_id, **more)

    declare.__doc__ = f"A field of wire type {info.name!r}."
    return declare


Bool = scalar(infos.BOOL)
Int8, Int16, Int32, Int64 = map(scalar, (infos.INT8, infos.INT16, infos.INT32, infos.INT64))
UInt8, UInt16, UInt32, UInt64 = map(scalar, (infos.UINT8, infos.UINT16, infos.UINT32, infos.UINT64))
UInt8Equal, UInt16Equal = scalar(infos.UINT8_EQUAL), scalar(infos.UINT16_EQUAL)
UInt32Equal, UInt64Equal = scalar(infos.UINT32_EQUAL), scalar(infos.UINT64_EQUAL)
Int32Equal, Int32PositiveLe = scalar(infos.INT32_EQUAL), scalar(infos.INT32_LE)
Double, Float64, Timer = scalar(infos.DOUBLE), scalar(infos.FLOAT64), scalar(infos.TIMER)


def Struct(name: str, vmsd: VMStateDescription, version_id: int = 0, **more: Any) -> Field:
    """An embedded description, always in its newest version (VMSTATE_STRUCT and its pointer forms)."""
    return Field(name, vmsd=vmsd, version_id=version_id, **{"attr": attribute(name), **more})


def VStruct(
    name: str, vmsd: VMStateDescription, struct_version: int, version_id: int = 0, **more: Any
) -> Field:
    """An embedded description in a version of its own (VMSTATE_VSTRUCT)."""
    return Struct(name, vmsd, version_id, struct_version=struct_version, **more)


def Pointers(field: Field, *, allocated: bool = False) -> Field:
    """An array of pointers: a null element is one byte, the marker ``'0'`` (VMSTATE_ARRAY_OF_POINTER).

    Both sides must have null pointers at the same places, unless they are ``allocated`` by the
    destination: then a marker ``'1'`` stands before each element (VMS_ARRAY_OF_POINTER_AUTO_ALLOC, 11.1).
    """
    return replace(field, pointers=True, marked=allocated)


def Buffer(name: str, size: int | str, version_id: int = 0, *, start: int = 0, **more: Any) -> Field:
    """Raw bytes: ``size`` of them, or as many as an attribute says; from ``start`` on (BUFFER, VBUFFER)."""
    kept = {"attr": attribute(name), **more}
    return Field(name, infos.BUFFER, size=size, start=start, version_id=version_id, **kept)


def ByteArray(name: str, version_id: int = 0, **more: Any) -> Field:
    """Bytes that say themselves how many they are (vmstate_info_g_byte_array)."""
    return Field(name, infos.BYTE_ARRAY, version_id=version_id, **{"attr": attribute(name), **more})


def Unused(size: int, version_id: int = 0, **more: Any) -> Field:
    """Bytes that mean nothing any more: written as zeros, skipped when read (VMSTATE_UNUSED)."""
    return Field("unused", infos.UNUSED, size=size, version_id=version_id, **more)


def Bitmap(name: str, bits: int | str, version_id: int = 0, **more: Any) -> Field:
    """A bitmap of so many bits, or as many as an attribute says; the value is an int (VMSTATE_BITMAP)."""
    return Field(name, infos.BITMAP, size=bits, version_id=version_id, **{"attr": attribute(name), **more})


def Validate(name: str, test: Exists) -> Field:
    """No bytes: loading (and saving) fails if ``test`` says no (VMSTATE_VALIDATE)."""
    return Field(name, infos.BUFFER, count=0, exists=test, must_exist=True)
