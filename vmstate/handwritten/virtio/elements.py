"""Requests that a device has taken from a queue but not answered (``qemu_put_virtqueue_element``).

QEMU writes its own structure, with the order and the padding of a host: little-endian, of 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.describe import (
    Buffer,
    Cursor,
    Field,
    Record,
    Struct,
    UInt32,
    VMStateDescription,
    Writer,
    plan_of,
    scalar,
)
from vmstate.describe.infos import LE32, LE64, Info
from vmstate.errors import StreamError

MOST_SEGMENTS = 1024  # VIRTQUEUE_MAX_SIZE
_ADDRESS, _SEGMENT = 8, 16

_Le32, _Le64 = scalar(LE32), scalar(LE64)
SEGMENT = VMStateDescription("iovec", fields=[_Le64("iov_base"), _Le64("iov_len")])


class Request(Record):
    """The addresses and lengths of one request; the rest of the four arrays is not used.

    Raises StreamError for more segments than the arrays have.
    """

    in_num: int
    out_num: int

    @property
    def in_used(self) -> int:
        """Segments that the device writes."""
        return _within(self.in_num)

    @property
    def out_used(self) -> int:
        """Segments that the device reads."""
        return _within(self.out_num)

    @property
    def in_free(self) -> int:
        """Unused segments of those that the device would write."""
        return MOST_SEGMENTS - self.in_num

    @property
    def out_free(self) -> int:
        """Unused segments of those that the device would read."""
        return MOST_SEGMENTS - self.out_num


def _within(number: int) -> int:
    if number > MOST_SEGMENTS:
        raise StreamError("a request has too many segments", expected=MOST_SEGMENTS, found=number)
    return number


def _halves(name: str, make: Callable[[str], Field], size: int) -> tuple[Field, ...]:
    """Return the used and the unused part of the arrays of a kind, for input and output."""
    return tuple(
        one
        for way in ("in", "out")
        for one in (
            make(f"{way}_{name}")[f"{way}_used"],
            Buffer(f"{way}_{name}_unused", f"{way}_free").times(size),
        )
    )


_FIELDS = (
    *(_Le32(name) for name in ("index", "out_num", "in_num")),
    Buffer("padding", 4),
    *_halves("addr", _Le64, _ADDRESS),
    *_halves("sg", lambda name: Struct(name, SEGMENT), _SEGMENT),
)


class Element(Info):
    """One request; ``packed``: the device offers packed queues, and sends its number of descriptors first."""

    name = "VirtQueueElement"

    def __init__(self, *, packed: bool) -> None:
        first = [UInt32("ndescs")] if packed else []
        self.description = VMStateDescription(self.name, fields=[*first, *_FIELDS])

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Request:
        request = Request()
        plan_of(self.description).load(cur, request, 0)
        return request

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(self.description).save(out, value)


def Elem(*, packed: bool, **more: Any) -> Field:
    """Declare a request of a queue."""
    return Field("elem", Element(packed=packed), attr="elem", **more)
