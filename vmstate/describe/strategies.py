"""Random states and payloads for any description, as hypothesis strategies (extra ``fuzz``).

    from vmstate.describe.strategies import payloads, states
    @given(payloads(MY_DEVICE.at("7.2")))
    def test_my_parser(payload: bytes): ...

Counts are small, so that people can read the examples.  Hypothesis is imported only when it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from vmstate.describe.composites import QueueInfo, TmpInfo, TreeInfo
from vmstate.describe.description import Record, VMStateDescription
from vmstate.describe.fields import Field
from vmstate.describe.infos import BITMAP, BYTE_ARRAY, Bytes, Group, Int32PositiveLe, NullPointer, Scalar
from vmstate.describe.payload import encode
from vmstate.describe.steps import count_of, size_of
from vmstate.errors import DeclarationError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Draw = Callable[["SearchStrategy[Any]"], Any]
MOST = 3  # the largest count that is drawn, and the most elements of a queue or tree


def states(vmsd: VMStateDescription) -> SearchStrategy[Record]:
    """Return a strategy for states that the resolved description can save.

    Attributes that count something but are not fields of the description are drawn too.  ``needed`` and
    ``exists`` tests see the finished state.
    """
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: Draw) -> Record:
        return _record(draw, vmsd)

    return drawn()


def payloads(vmsd: VMStateDescription) -> SearchStrategy[bytes]:
    """Return a strategy for payloads that the resolved description writes; its hooks run."""
    return states(vmsd).map(lambda state: encode(vmsd, state))


def _record(draw: Draw, vmsd: VMStateDescription) -> Record:
    state = Record()
    _fill(draw, vmsd, state)
    return state


def _fill(draw: Draw, vmsd: VMStateDescription, state: Any) -> None:
    counts = {name for field in _fields(vmsd) for name in (field.count, field.size) if isinstance(name, str)}
    for name in sorted(counts):
        setattr(state, name, draw(_between(0, MOST)))
    for field in _fields(vmsd):
        if field.attr is not None and not field.must_exist and field.attr not in counts:
            _draw_field(draw, field, state)


def _fields(vmsd: VMStateDescription) -> Iterator[Field]:
    """Yield the fields that share a state: the description's own and those of its subsections."""
    for field in vmsd.fields:
        if field.attr == "." and field.vmsd is not None and field.info is None:
            yield from _fields(field.vmsd)
        else:
            yield field
    for subsection in vmsd.subsections:
        yield from _fields(subsection)


def _draw_field(draw: Draw, field: Field, state: Any) -> None:
    assert field.attr is not None
    if isinstance(field.info, TmpInfo):
        if field.make is not None and field.vmsd is not None:
            _fill(draw, field.vmsd, field.make(state))
        return
    if field.count is None:
        value = _value(draw, field, state)
        if field.shape and isinstance(field.info, Bytes):
            value = bytes(field.start) + value + bytes(field.shape[0] - field.start - len(value))
    else:
        parts = [_element(draw, field, state) for _ in range(count_of(field, state))]
        before = getattr(state, field.attr, [])
        value = [*before, *parts[:1] * (field.start - len(before)), *parts]
    if field.index is None:
        setattr(state, field.attr, value)
    else:
        state.__dict__.setdefault(field.attr, {})[field.index] = value


def _element(draw: Draw, field: Field, state: Any) -> Any:
    return None if field.pointers and draw(_numbers("?")) else _value(draw, field, state)


def _value(draw: Draw, field: Field, state: Any) -> Any:
    info = field.info
    if isinstance(info, Int32PositiveLe):
        return draw(_between(0, (1 << 31) - 1))
    if isinstance(info, Scalar):
        return draw(_numbers(info.code))
    if isinstance(info, Group):
        codes = info.item.format.lstrip(">")
        return tuple(draw(_numbers(code)) for code in codes)
    if isinstance(info, NullPointer):
        return None
    if isinstance(info, Bytes):
        return draw(_bytes(size_of(field, state)))
    if info is BYTE_ARRAY:
        return draw(_bytes(draw(_between(0, MOST))))
    if info is BITMAP:
        return draw(_between(0, (1 << size_of(field, state)) - 1))
    if field.vmsd is None:
        raise DeclarationError(f"{field.name}: no values are known for its wire type {info!r}")
    return _composite(draw, field, field.vmsd)


def _composite(draw: Draw, field: Field, vmsd: VMStateDescription) -> Any:
    if isinstance(field.info, QueueInfo):
        return [_record(draw, vmsd) for _ in range(draw(_between(0, MOST)))]
    if isinstance(field.info, TreeInfo):
        keys: list[Any] = sorted({draw(_numbers("Q")) for _ in range(draw(_between(0, MOST)))})
        if field.key is not None:
            keys = [_record(draw, field.key) for _ in keys]
        return [(key, _record(draw, vmsd)) for key in keys]
    return _record(draw, vmsd)


@cache
def _between(low: int, high: int) -> SearchStrategy[int]:
    from hypothesis import strategies as st

    return st.integers(low, high)


@cache
def _bytes(size: int) -> SearchStrategy[bytes]:
    from hypothesis import strategies as st

    return st.binary(min_size=size, max_size=size)


@cache
def _numbers(code: str) -> SearchStrategy[Any]:
    """Return a strategy for the numbers of a struct format character, those at the edges first."""
    from hypothesis import strategies as st

    if code == "?":
        return st.booleans()
    bits = 8 * struct.calcsize(">" + code)
    low = -(1 << bits - 1) if code.islower() else 0
    high = low + (1 << bits) - 1
    edges = (0, 1, high, low, high - 1, low + 1, high // 2, high // 2 + 1)
    return st.one_of(st.sampled_from(sorted({*edges}, key=abs)), _between(low, high))
