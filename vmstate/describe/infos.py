"""Wire types: how one element of a field is encoded (QEMU's VMStateInfo).

A *scalar* has a fixed width and a :mod:`struct` code; other types have code to read and write them.  Names
are those that QEMU writes into the vmdesc (migration/vmstate-types.c).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from vmstate.describe.arrays import limits
from vmstate.describe.cursor import Cursor, Writer
from vmstate.describe.diagnostics import EINVAL, LoadFailure, NotEqual, NotPositiveLe, NullMarkerMissing
from vmstate.errors import EncodeError

if TYPE_CHECKING:
    from vmstate.describe.fields import Field
    from vmstate.describe.nodes import Node

NULL_MARKER = 0x30  # VMS_MARKER_PTR_NULL, the character '0'
VALID_MARKER = 0x31  # VMS_MARKER_PTR_VALID, the character '1'


class Info:
    """A wire type.  ``width``: bytes of every element, or None if elements differ.

    ``lasting``: True if the state object has the value, False if it exists only while saving and loading.
    """

    name: str
    width: int | None = None
    lasting = True

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        """Read one element; ``size`` is the field's size in bytes (or bits), ``old`` the local value."""
        raise NotImplementedError

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        """Write one element.  Raises EncodeError if the value does not fit."""
        raise NotImplementedError

    def inside(self, data: memoryview, start: int, end: int) -> list[Node]:
        """Return nodes for the parts of one element, which cover all of it; none if it has no known parts."""
        return []


class Scalar(Info):
    """A number of fixed width; ``code`` is its :mod:`struct` format character."""

    order = ">"

    def __init__(self, name: str, code: str) -> None:
        self.name = name
        self.code = code
        self._item = struct.Struct(self.order + code)
        self.width = self._item.size

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        item, pos = self._item, cur.pos
        if item.size <= cur.end - pos:
            cur.pos = pos + item.size
            return item.unpack_from(cur.data, pos)[0]
        return item.unpack(cur.number(item.size))[0]

    def number(self, raw: bytes | memoryview) -> int:
        """Return the number that some bytes are."""
        value: int = self._item.unpack(raw)[0]
        return value

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        try:
            out.put(self._item.pack(value))
        except (struct.error, TypeError, ValueError, OverflowError):
            raise EncodeError(f"{field.name} = {self.misfit(value)}") from None

    def misfit(self, value: Any) -> str:
        """Say why a value is not one of this type."""
        if not hasattr(value, "__index__"):
            return f"{value!r:.60} is not a number, which {self.name} needs"
        low, high = limits(self._item.size, signed=self.code.islower())
        return f"{value!r:.60} does not fit {self.name}, which holds {low} to {high}"

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _local(field: Field, value: Any, offset: int) -> Any:
    if value is None:  # a count from the stream exceeds the local array
        raise LoadFailure(
            -EINVAL, f"{field.name}: the destination has nothing to compare with", offset=offset
        )
    return value


class LittleEndian(Scalar):
    """A number in little-endian order, as registers and devices' own structures have it (``le16``)."""

    order = "<"


class Equal(Scalar):
    """A number that must equal the destination's (VMSTATE_*_EQUAL); it is not stored."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        at = cur.pos
        incoming = super().get(cur, field, state, size, old)
        if cur.judge and incoming != _local(field, old, at):
            mask = (1 << 8 * self._item.size) - 1
            differs = NotEqual(f"{old & mask:x}", f"{incoming & mask:x}", field.hint)
            message = f"{field.name} must be equal"
            raise cur.fail(differs, message, offset=at, expected=old, found=incoming)
        return incoming


class Int32PositiveLe(Scalar):
    """A 32-bit number between 0 and the local value (VMSTATE_INT32_POSITIVE_LE)."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        at = cur.pos
        loaded = super().get(cur, field, state, size, old)
        if cur.judge and not 0 <= loaded <= _local(field, old, at):
            message = f"{field.name} out of range"
            expected = f"0..{old}"
            raise cur.fail(NotPositiveLe(loaded, old), message, offset=at, expected=expected, found=loaded)
        return loaded


class Group(Info):
    """Several numbers that are one element (an SLB entry, a vector register): ``codes``, one per member.

    A single value is a tuple of the members; an array is a view whose elements have the members as
    attributes.
    """

    def __init__(self, name: str, codes: str, members: tuple[str, ...]) -> None:
        self.name = name
        self.members = members
        self.item = struct.Struct(">" + codes)
        self.width = self.item.size

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        return self.item.unpack(cur.take(self.item.size))

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        row = value if isinstance(value, tuple) else tuple(getattr(value, m) for m in self.members)
        try:
            out.put(self.item.pack(*row))
        except struct.error as why:
            raise EncodeError(f"{field.name} = {row!r:.60} does not fit {self.name}: {why}") from None

    def __repr__(self) -> str:
        return f"<{self.name}>"


class NullPointer(Info):
    """The byte for a null pointer in an array of pointers."""

    name = "nullptr"
    width = 1

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        at = cur.pos
        found = cur.byte()
        if found != NULL_MARKER:
            raise self._missing(cur, at, found)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(b"0")

    def absent(self, cur: Cursor) -> bool:
        """Read the marker before an element; return True if it is null (vmstate_ptr_marker_load)."""
        at = cur.pos
        found = cur.byte()
        if found not in (NULL_MARKER, VALID_MARKER):
            raise self._missing(cur, at, found)
        return found == NULL_MARKER

    def _missing(self, cur: Cursor, at: int, found: int) -> LoadFailure:
        message, expected = "no null pointer marker", f"{NULL_MARKER:#x}"
        missing = NullMarkerMissing(found)
        return cur.fail(missing, message, offset=at, expected=expected, found=f"{found:#x}")


class Bytes(Info):
    """Raw bytes of the field's size: buffers and unused space.

    If another field gives the size, only that many bytes of a longer buffer are sent.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        return cur.take(size)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        if value is None:
            raise EncodeError(f"{field.name}: nothing where the description has a buffer of size {size}")
        raw: bytes | bytearray | memoryview = value
        if type(value) is not memoryview or value.format != "B":
            raw = raw_bytes(field.name, value)
        if len(raw) != size:
            if len(raw) < size or not isinstance(field.size, str):
                raise EncodeError(
                    f"{field.name}: a buffer of size {len(raw)} where the description has one of size {size}"
                )
            raw = raw[:size]
        out.put(raw)


def raw_bytes(name: str, value: Any) -> bytes | bytearray | memoryview:
    """Return bytes as they are, and another buffer as a view of its bytes; EncodeError for anything else."""
    if isinstance(value, bytes | bytearray):
        return value
    try:
        return memoryview(value).cast("B")
    except (TypeError, ValueError):
        raise EncodeError(f"{name} = {value!r:.60} is not bytes") from None


class ByteArray(Info):
    """Bytes, with their number as a u32 before them (GByteArray, from 11.1 on)."""

    name = "GByteArray"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> memoryview:
        return cur.take(int.from_bytes(cur.number(4), "big"))

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        raw = raw_bytes(field.name, value)
        out.put(struct.pack(">I", len(raw)))
        out.put(raw)


class Bitmap(Info):
    """``size`` bits as big-endian 64-bit words, lowest word first; the value is an int (bit i = bit i).

    migration/vmstate-types.c put_bitmap; the number of bits is not on the wire.
    """

    name = "bitmap"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        words = -(-size // 64)
        raw = cur.take(8 * words)
        return int.from_bytes(struct.pack(f"<{words}Q", *struct.unpack(f">{words}Q", raw)), "little")

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        words = -(-size // 64)
        if not 0 <= value < 1 << 64 * words:
            raise EncodeError(f"{field.name}: the bitmap has bits beyond its {words} words")
        raw = value.to_bytes(8 * words, "little")
        out.put(struct.pack(f">{words}Q", *struct.unpack(f"<{words}Q", raw)))


BOOL = Scalar("bool", "?")
INT8, INT16, INT32, INT64 = (Scalar(f"int{8 * struct.calcsize('>' + c)}", c) for c in "bhiq")
UINT8, UINT16, UINT32, UINT64 = (Scalar(f"uint{8 * struct.calcsize('>' + c)}", c) for c in "BHIQ")
UINT8_EQUAL, UINT16_EQUAL, UINT32_EQUAL = (Equal(f"{u.name} equal", u.code) for u in (UINT8, UINT16, UINT32))
INT32_EQUAL = Equal("int32 equal", "i")
UINT64_EQUAL = Equal("int64 equal", "Q")  # QEMU's own slip: unsigned, but named int64
INT32_LE = Int32PositiveLe("int32 le", "i")
LE16, LE32, LE64 = (LittleEndian(f"le{8 * struct.calcsize('<' + code)}", code) for code in "HIQ")
FLOAT64 = Scalar("float64", "Q")  # the bits of the number; no device has one after 5.2
DOUBLE = Scalar("CPU_Double_U", "Q")  # upper then lower word: one 64-bit number
TIMER = Scalar("timer", "Q")
NULLPTR = NullPointer()
BUFFER = Bytes("buffer")
UNUSED = Bytes("unused_buffer")
BYTE_ARRAY = ByteArray()
BITMAP = Bitmap()

#: Little-endian numbers by name; no vmdesc has these types, only what is inside bytes written by hand.
LITTLE = {info.name: info for info in (LE16, LE32, LE64)}

SCALARS = {
    info.name: info
    for info in (
        *(BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64),
        *(
            UINT8_EQUAL,
            UINT16_EQUAL,
            UINT32_EQUAL,
            INT32_EQUAL,
            UINT64_EQUAL,
            INT32_LE,
            FLOAT64,
            DOUBLE,
            TIMER,
        ),
    )
}
