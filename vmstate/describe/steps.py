"""The steps of a plan: one field (or a run of plain ones), ready to load and save.

The order of checks is that of QEMU's migration/vmstate.c (vmstate_load_state, vmstate_save_state_v).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from vmstate.describe.arrays import WireArray, WireRecords, zeros
from vmstate.describe.cursor import Cursor, Writer
from vmstate.describe.fields import Field
from vmstate.describe.history import settled
from vmstate.describe.infos import NULLPTR, Bytes, Group, Info, Scalar
from vmstate.errors import DeclarationError, EncodeError, StreamError

_COPIED = 64
EMPTY_ELEMENTS = 1 << 16  # no real stream has more elements than this that take no bytes


class Step:
    """Load and save one field of ``vmsd``."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.version_id = settled(field.version_id)

    def present(self, state: Any, version_id: int) -> bool:
        """Return True if the field is on the wire, by its test or its version (vmstate_field_exists)."""
        field = self.field
        if field.exists is not None:
            return bool(field.exists(state, version_id))
        return self.version_id <= version_id

    def load(self, cur: Cursor, state: Any) -> Any:
        """Read the field's elements into ``state``; return the value for the tree."""
        raise NotImplementedError

    def save(self, out: Writer, state: Any) -> None:
        """Write the field's elements from ``state``."""
        raise NotImplementedError


def count_of(field: Field, state: Any) -> int:
    """Return the number of elements (vmstate_n_elems); 0 for a negative count."""
    count = field.count
    if count is None:
        return 1
    if isinstance(count, str):
        return max(0, number_of(field, state, count)) * field.multiply
    return count


def size_of(field: Field, state: Any) -> int:
    """Return the size of an element in bytes, or bits (vmstate_size)."""
    if isinstance(field.size, str):
        return number_of(field, state, field.size) * field.multiply
    return field.size


def number_of(field: Field, state: Any, attr: str) -> int:
    """Return the count or size in an attribute.  Raises DeclarationError if there is none."""
    value = getattr(state, attr, None)
    if not isinstance(value, int):
        raise DeclarationError(
            f"{field.name}: the state has no number {attr!r} to take its count or size from"
        )
    return value


def fetch(field: Field, state: Any) -> Any:
    """Return the field's value in the state object."""
    if field.attr is None:
        return None
    value = getattr(state, field.attr)
    return value if field.index is None else value[field.index]


def old(field: Field, state: Any) -> Any:
    """Return the field's value in the state object; None if it has none yet."""
    value = getattr(state, field.attr, None) if field.attr else None
    if field.index is None or value is None:
        return value
    return value.get(field.index) if isinstance(value, dict) else value[field.index]


def store(field: Field, state: Any, value: Any) -> Any:
    """Put a value into the state object; return the value."""
    if field.attr is None:
        return value
    if field.index is None:
        setattr(state, field.attr, value)
        return value
    holder = getattr(state, field.attr, None)
    if holder is None:
        holder = {}
        setattr(state, field.attr, holder)
    holder[field.index] = value
    return value


def wrong_length(field: Field, values: Sequence[Any], count: int) -> EncodeError:
    """Return the error that an array has another length than its description."""
    message = f"{field.name}: an array of {len(values)} where the description has one of {count}"
    return EncodeError(message)


class Run(Step):
    """Consecutive plain numbers of one version, unpacked and packed at once."""

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__(fields[0])
        self.fields = fields
        self.names = tuple(str(f.attr) for f in fields)
        self.item = struct.Struct(">" + "".join(f.info.code for f in fields))  # type: ignore[union-attr]
        # attrgetter takes a dot for a path, but attributes from a vmdesc may have dots in their names.
        dotted = any("." in name for name in self.names)
        self._values = self._each if dotted or len(fields) == 1 else attrgetter(*self.names)
        self._plain: dict[type, bool] = {}

    def load(self, cur: Cursor, state: Any) -> None:
        names, values = self.names, self.item.unpack_from(cur.data, cur.pos)
        cur.pos += self.item.size
        kind = type(state)
        plain = self._plain.get(kind)
        if plain is None:
            plain = self._plain[kind] = holds_plainly(kind, names)
        if plain and len(names) == 1:
            state.__dict__[names[0]] = values[0]
            return
        if plain:
            state.__dict__.update(zip(names, values, strict=True))
            return
        for name, value in zip(names, values, strict=True):
            setattr(state, name, value)

    def _each(self, state: Any) -> tuple[Any, ...]:
        return tuple(getattr(state, name) for name in self.names)

    def save(self, out: Writer, state: Any) -> None:
        values = self._values(state)
        try:
            out.put(self.item.pack(*values))
        except (struct.error, TypeError, ValueError, OverflowError):
            for field in self.fields:
                self._save_one(out, field, state)

    @staticmethod
    def _save_one(out: Writer, field: Field, state: Any) -> None:
        """Write one field of the run, to name it if it does not fit."""
        try:
            _info(field).put(out, field, state, 0, fetch(field, state))
        except EncodeError as error:
            error.inside(field.name)
            raise


def holds_plainly(kind: type, names: Sequence[str]) -> bool:
    """Return True if setting these attributes only adds entries to the object's dictionary."""
    ordinary = (object, SimpleNamespace)
    watched = any("__setattr__" in vars(each) for each in kind.__mro__ if each not in ordinary)
    described = any(hasattr(getattr(kind, name, None), "__set__") for name in names)
    return kind.__dictoffset__ != 0 and not watched and not described


def _info(field: Field) -> Info:
    if field.info is None:
        raise DeclarationError(f"{field.name} has neither a wire type nor a description")
    return field.info


class Single(Step):
    """One element of any wire type."""

    def load(self, cur: Cursor, state: Any) -> Any:
        field = self.field
        info = _info(field)
        value = info.get(cur, field, state, size_of(field, state), old(field, state))
        if field.shape and isinstance(info, Bytes):
            value = _splice(old(field, state), field.start, value, field.shape[0])
        return store(field, state, value) if info.lasting or not cur.judge else value

    def save(self, out: Writer, state: Any) -> None:
        field = self.field
        size = size_of(field, state)
        value: Any = fetch(field, state) if _info(field).lasting or out.replay else None
        if isinstance(field.info, Bytes):
            if field.attr is None:
                value = zeros(size)
            elif field.shape:
                value = memoryview(value)[field.start : field.start + size]
        _info(field).put(out, field, state, size, value)


class Raw(Single):
    """Bytes of a fixed number, kept as a view."""

    def __init__(self, field: Field, size: int) -> None:
        super().__init__(field)
        self.size = size
        self.lasting = _info(field).lasting

    def load(self, cur: Cursor, state: Any) -> Any:
        value = cur.take(self.size)
        return store(self.field, state, value) if self.lasting or not cur.judge else value


def _splice(whole: Any, start: int, part: memoryview, total: int) -> bytes:
    kept = bytes(whole) if whole is not None else bytes(total)
    return kept[:start] + bytes(part) + kept[start + len(part) :]


class Numbers(Step):
    """An array of plain numbers, kept as a view."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        assert isinstance(field.info, Scalar)
        self.code = field.info.code
        self.width = struct.calcsize(">" + self.code)

    def load(self, cur: Cursor, state: Any) -> WireArray:
        field = self.field
        count = count_of(field, state)
        array = WireArray(self.code, cur.take(count * self.width))
        if not field.start:
            store(field, state, array)
            return array
        whole = old(field, state)
        if isinstance(whole, WireArray) and whole.code == self.code and field.start + count <= len(whole):
            raw = bytearray(whole.raw)
            raw[field.start * self.width : (field.start + count) * self.width] = array.raw
            store(field, state, WireArray(self.code, raw))
            return array
        values = [0] * field.start if whole is None else list(whole)
        values[field.start : field.start + count] = array
        store(field, state, values)
        return array

    def save(self, out: Writer, state: Any) -> None:
        field = self.field
        count = count_of(field, state)
        values = fetch(field, state)
        if field.start or (len(values) > count and field.count is not None):
            values = values[field.start : field.start + count]
        if len(values) != count:
            raise wrong_length(field, values, count)
        if isinstance(values, WireArray) and values.code == self.code:
            out.put(values.raw)
            return
        try:
            out.put(struct.pack(f">{count}{self.code}", *values))
        except (struct.error, TypeError, ValueError, OverflowError) as why:
            raise _misfit(field, values) from why


def _misfit(field: Field, values: Sequence[Any]) -> EncodeError:
    """Return the error that names the first element that is not of the array's type."""
    info = _info(field)
    assert isinstance(info, Scalar)
    for index, value in enumerate(values):
        try:
            struct.pack(">" + info.code, value)
        except (struct.error, TypeError, ValueError, OverflowError):
            return EncodeError(f"{field.name}[{index}] = {info.misfit(value)}")
    return EncodeError(f"{field.name}: the elements do not fit {info.name}")


class Groups(Step):
    """An array of number groups, kept as a view."""

    def __init__(self, field: Field, info: Group) -> None:
        super().__init__(field)
        self.info = info

    def load(self, cur: Cursor, state: Any) -> WireRecords:
        size = count_of(self.field, state) * self.info.item.size
        records = WireRecords(self.info.members, self.info.item, cur.take(size))
        store(self.field, state, records)
        return records

    def save(self, out: Writer, state: Any) -> None:
        field = self.field
        count = count_of(field, state)
        values = fetch(field, state)
        if len(values) != count:
            raise wrong_length(field, values, count)
        if isinstance(values, WireRecords) and values.item.format == self.info.item.format:
            out.put(values.raw)
            return
        for value in values:
            self.info.put(out, field, state, 0, value)


class Elements(Step):
    """An array of elements that are read one by one: pointers, composites, ``equal`` numbers.

    Buffers that are all there are cut out of the stream, and written, at once.
    """

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.buffers = type(field.info) is Bytes and not field.pointers and not field.marked

    def load(self, cur: Cursor, state: Any) -> list[Any]:
        field = self.field
        size = size_of(field, state)
        before = old(field, state)
        count = count_of(field, state)
        whole = count * size
        if self.buffers and not field.start and 0 < whole <= cur.end - cur.pos:
            raw = cur.take(whole)
            made: list[Any] = (
                [value for (value,) in _buffer(size).iter_unpack(raw)]  # copies of few bytes are made sooner
                if size <= _COPIED
                else [raw[at : at + size] for at in range(0, whole, size)]
            )
            if before is not None:
                made += before[count:]
            return list(store(field, state, made))
        known = before is not None and len(before) >= field.start + count
        values: list[Any] = list(before) if known else [None] * field.start
        for here in range(field.start, field.start + count):
            at = cur.pos
            value = values[here] if known else None
            if field.marked and NULLPTR.absent(cur):
                value = None
            else:
                null = field.pointers and not field.marked and known and value is None
                value = (NULLPTR if null else _info(field)).get(cur, field, state, size, value)
            if known:
                values[here] = value
            else:
                values.append(value)
            check(cur, at, here)
        return list(store(field, state, values))

    def save(self, out: Writer, state: Any) -> None:
        field = self.field
        values = fetch(field, state)
        size = size_of(field, state)
        if self.buffers and size and values is not None:
            raw = _joined(values[field.start : field.start + count_of(field, state)], size)
            if len(raw) == size * count_of(field, state):
                out.put(raw)
                return
        for i in range(count_of(field, state)):
            value = zeros(size) if values is None else values[field.start + i]
            null = mark(out, field, value)
            if not (null and field.marked):
                (NULLPTR if null else _info(field)).put(out, field, state, size, value)


@lru_cache
def _buffer(size: int) -> struct.Struct:
    return struct.Struct(f"{size}s")


def _joined(values: Sequence[Any], size: int) -> bytes:
    """Return buffers of one size as one; no bytes if one of them is something else."""
    try:
        return b"".join(values) if all(len(value) == size for value in values) else b""
    except TypeError:
        return b""


def mark(out: Writer, field: Field, value: Any) -> bool:
    """Return True if an element is a null pointer; write the marker if every element has one."""
    null = field.pointers and value is None
    if field.marked:
        out.put(b"0" if null else b"1")
    return null


def check(cur: Cursor, start: int, index: int) -> None:
    """Check, after an element, for QEMU's file error and for too many elements without bytes."""
    if cur.short:
        cur.take(cur.end - cur.pos + 1)
    if cur.pos == start and index >= EMPTY_ELEMENTS:
        raise StreamError(
            "a count far beyond what the bytes can hold", offset=start, found=f"more than {index}"
        )


class Nothing(Step):
    """A validator: no bytes; its test ran before."""

    def load(self, cur: Cursor, state: Any) -> None:
        return None

    def save(self, out: Writer, state: Any) -> None:
        return None


def fusible(field: Field) -> bool:
    """Return True if a field may join a run: one plain number, without a test, an index or a count."""
    return type(field.info) is Scalar and field.exists is None and field.count is None and field.index is None
