"""Declarations of device state: one declaration writes and reads the bytes, as in QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe.arrays import WireArray, WireRecord, WireRecords
from vmstate.describe.composites import GTree, QList, QTailQ, Tmp
from vmstate.describe.cursor import Cursor, Writer
from vmstate.describe.description import Priority, Record, VMStateDescription
from vmstate.describe.diagnostics import Aborts, LoadFailure
from vmstate.describe.fields import (
    Allocated,
    Bitmap,
    Bool,
    Buffer,
    ByteArray,
    Double,
    Field,
    Float64,
    Int8,
    Int16,
    Int32,
    Int32Equal,
    Int32PositiveLe,
    Int64,
    Pointers,
    Since,
    Struct,
    Timer,
    UInt8,
    UInt8Equal,
    UInt16,
    UInt16Equal,
    UInt32,
    UInt32Equal,
    UInt64,
    UInt64Equal,
    Until,
    Unused,
    Validate,
    VStruct,
    scalar,
)
from vmstate.describe.history import History, Release, Span
from vmstate.describe.infos import Info
from vmstate.describe.nodes import Node
from vmstate.describe.payload import DecodeResult, decode, encode
from vmstate.describe.plan import NotMigratable, Plan, SaveFailure, plan_of

if TYPE_CHECKING:
    from vmstate.describe.construct_codec import as_construct, container_of

__all__ = [
    "Aborts",
    "Allocated",
    "Bitmap",
    "Bool",
    "Buffer",
    "ByteArray",
    "Cursor",
    "DecodeResult",
    "Double",
    "Field",
    "Float64",
    "GTree",
    "History",
    "Info",
    "Int8",
    "Int16",
    "Int32",
    "Int32Equal",
    "Int32PositiveLe",
    "Int64",
    "LoadFailure",
    "Node",
    "NotMigratable",
    "Plan",
    "Pointers",
    "Priority",
    "QList",
    "QTailQ",
    "Record",
    "Release",
    "SaveFailure",
    "Since",
    "Span",
    "Struct",
    "Timer",
    "Tmp",
    "UInt8",
    "UInt8Equal",
    "UInt16",
    "UInt16Equal",
    "UInt32",
    "UInt32Equal",
    "UInt64",
    "UInt64Equal",
    "Until",
    "Unused",
    "VMStateDescription",
    "VStruct",
    "Validate",
    "WireArray",
    "WireRecord",
    "WireRecords",
    "Writer",
    "as_construct",
    "container_of",
    "decode",
    "encode",
    "plan_of",
    "scalar",
]

if not TYPE_CHECKING:  # the construct package is imported only for its users

    def __getattr__(name: str) -> object:
        if name not in ("as_construct", "container_of"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from vmstate.describe import construct_codec

        return getattr(construct_codec, name)
