"""Uniform arrays as views of the stream's bytes; an element is converted when it is used."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, overload

from vmstate.errors import EncodeError

if TYPE_CHECKING:
    import numpy


_AT_ONCE = 4096  # numbers that are converted together


@cache
def _zero_block(bits: int) -> memoryview:
    return memoryview(bytes(1 << bits))


def zeros(size: int) -> memoryview:
    """Return ``size`` zero bytes; all callers share their memory, so large ones cost nothing."""
    return _zero_block(max(16, (size - 1).bit_length() if size else 0))[:size]


def limits(size: int, *, signed: bool) -> tuple[int, int]:
    """Return the smallest and the largest number that ``size`` bytes can hold."""
    return (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if signed else (0, (1 << 8 * size) - 1)


@cache
def _item(code: str) -> struct.Struct:
    return struct.Struct(">" + code)


@lru_cache(maxsize=32)
def _repeated(code: str, count: int, value: int) -> bytes:
    return _item(code).pack(value) * count


class WireArray(Sequence[Any]):
    """A view of big-endian numbers of one width; ``code`` is a format character of :mod:`struct`.

    Assigning to an element first copies the bytes: the stream itself never changes.  A value that does not
    fit raises EncodeError.
    """

    __slots__ = ("_item", "code", "raw")

    def __init__(self, code: str, raw: bytes | bytearray | memoryview) -> None:
        self.code = code
        self._item = _item(code)
        self.raw = memoryview(raw)

    @classmethod
    def filled(cls, code: str, count: int, value: int = 0) -> WireArray:
        """Return an array of ``count`` elements with the same value."""
        return cls(code, _repeated(code, count, value) if value else zeros(_item(code).size * count))

    @property
    def width(self) -> int:
        """The number of bytes of an element."""
        return self._item.size

    @property
    def type_name(self) -> str:
        """The wire type of the elements, by its name in the vmdesc."""
        return "bool" if self.code == "?" else f"{'' if self.code.islower() else 'u'}int{8 * self.width}"

    def __len__(self) -> int:
        return len(self.raw) // self._item.size

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> WireArray: ...
    def __getitem__(self, index: int | slice) -> Any:
        size = self._item.size
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError("a WireArray slices with step 1 only")
            return WireArray(self.code, self.raw[start * size : max(start, stop) * size])
        return self._item.unpack_from(self.raw, self._at(index))[0]

    def _at(self, index: int) -> int:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return index * self._item.size

    def __setitem__(self, index: int, value: Any) -> None:
        at = self._at(index)
        if self.raw.readonly:
            self.raw = memoryview(bytearray(self.raw))
        try:
            self._item.pack_into(self.raw, at, value)
        except struct.error as why:
            raise EncodeError(f"element {index} = {value!r} does not fit {self.type_name}: {why}") from None

    def __iter__(self) -> Iterator[Any]:
        size = self._item.size * _AT_ONCE
        if len(self.raw) <= size:
            return self._values(self.raw)
        pieces = (self.raw[at : at + size] for at in range(0, len(self.raw), size))
        return chain.from_iterable(map(self._values, pieces))

    def _values(self, raw: memoryview) -> Iterator[Any]:
        return iter(struct.unpack(f">{len(raw) // self._item.size}{self.code}", raw))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, WireArray) and other.code == self.code:
            return self.raw == other.raw
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]

    def numpy(self) -> numpy.ndarray[Any, Any]:
        """Return the same bytes as a numpy array, without a copy."""
        import numpy

        return numpy.frombuffer(self.raw, dtype=_dtype(self.code))

    def __repr__(self) -> str:
        shown = ", ".join(str(v) for v in self[:6])
        return f"WireArray({self.code!r}, {len(self)}: {shown}{', …' if len(self) > 6 else ''})"


def _same(a: object, b: object) -> bool:
    return a == b


def _dtype(code: str) -> str:
    return "?" if code == "?" else (">i" if code.islower() else ">u") + str(struct.calcsize(">" + code))


class WireRecords(Sequence[Any]):
    """A view of structs with one fixed layout; an element is a :class:`WireRecord`."""

    __slots__ = ("item", "names", "raw")

    def __init__(
        self, names: tuple[str, ...], item: struct.Struct, raw: bytes | bytearray | memoryview
    ) -> None:
        self.names = names
        self.item = item
        self.raw = memoryview(raw)

    def __len__(self) -> int:
        return len(self.raw) // self.item.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return WireRecord(self, index)

    def column(self, name: str) -> list[Any]:
        """Return one member of all elements."""
        k = self.names.index(name)
        return [row[k] for row in self.item.iter_unpack(self.raw)]

    def assign(self, index: int, name: str, value: Any) -> None:
        """Copy the bytes, and set a member of an element.  Raises EncodeError if the value does not fit."""
        if name not in self.names:
            raise AttributeError(name)
        if self.raw.readonly:
            self.raw = memoryview(bytearray(self.raw))
        row = list(self.item.unpack_from(self.raw, index * self.item.size))
        row[self.names.index(name)] = value
        try:
            self.item.pack_into(self.raw, index * self.item.size, *row)
        except struct.error as why:
            raise EncodeError(f"{name} = {value!r} of element {index} does not fit: {why}") from None

    def __eq__(self, other: object) -> bool:
        if (
            isinstance(other, WireRecords)
            and other.names == self.names
            and other.item.format == self.item.format
        ):
            return self.raw == other.raw
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(
            all(getattr(a, n) == getattr(b, n, None) for n in self.names)
            for a, b in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"WireRecords({', '.join(self.names)}: {len(self)})"


class WireRecord:
    """One struct of a :class:`WireRecords`; its members are attributes."""

    __slots__ = ("_index", "_records")
    _records: WireRecords
    _index: int

    def __init__(self, records: WireRecords, index: int) -> None:
        object.__setattr__(self, "_records", records)
        object.__setattr__(self, "_index", index)

    def __getattr__(self, name: str) -> Any:
        records = self._records
        try:
            place = records.names.index(name)
        except ValueError:
            raise AttributeError(name) from None
        return records.item.unpack_from(records.raw, self._index * records.item.size)[place]

    def __setattr__(self, name: str, value: Any) -> None:
        self._records.assign(self._index, name, value)

    def __repr__(self) -> str:
        return "WireRecord(" + ", ".join(f"{n}={getattr(self, n)}" for n in self._records.names) + ")"
