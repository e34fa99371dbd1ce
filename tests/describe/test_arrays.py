"""Views of the wire behave like lists of the same values."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.describe import (
    Cursor,
    Record,
    UInt32,
    VMStateDescription,
    WireArray,
    WireRecord,
    WireRecords,
    plan_of,
)
from vmstate.describe.arrays import zeros
from vmstate.errors import EncodeError

RANGES = {
    "?": st.booleans(),
    **{
        c: st.integers(-(1 << 8 * n - 1), (1 << 8 * n - 1) - 1)
        for c, n in zip("bhiq", (1, 2, 4, 8), strict=True)
    },
    **{c: st.integers(0, (1 << 8 * n) - 1) for c, n in zip("BHIQ", (1, 2, 4, 8), strict=True)},
}


@st.composite
def arrays(draw):
    code = draw(st.sampled_from(sorted(RANGES)))
    values = draw(st.lists(RANGES[code], max_size=12))
    return code, values, struct.pack(f">{len(values)}{code}", *values)


@given(arrays())
def test_a_wire_array_is_a_sequence_of_its_values(case):
    code, values, raw = case
    array = WireArray(code, raw)
    assert list(array) == values
    assert array == values
    assert array == WireArray(code, bytes(raw))
    assert len(array) == len(values)
    assert [array[i] for i in range(-len(values), len(values))] == values + values
    assert list(reversed(array)) == values[::-1]
    assert all(v in array for v in values)
    for i in (len(values), -len(values) - 1):
        with pytest.raises(IndexError):
            array[i]


@given(arrays(), st.data())
def test_a_slice_of_a_wire_array_is_a_view_of_the_same_slice(case, data):
    code, values, raw = case
    cut = data.draw(st.slices(len(values)).filter(lambda s: s.step in (None, 1)))
    part = WireArray(code, raw)[cut]
    assert isinstance(part, WireArray)
    assert part == values[cut]


@given(arrays(), st.data())
def test_assigning_copies_first(case, data):
    code, values, raw = case
    if not values:
        return
    array = WireArray(code, raw)
    before = bytes(raw)
    i = data.draw(st.integers(-len(values), len(values) - 1))
    value = data.draw(RANGES[code])
    array[i] = value
    values[i] = value
    assert array == values
    assert raw == before


@given(arrays(), arrays())
def test_arrays_are_equal_when_their_values_are(one, other):
    equal = WireArray(one[0], one[2]) == WireArray(other[0], other[2])
    assert equal == (one[1] == other[1])


@given(arrays())
def test_a_wire_array_is_a_numpy_array_too(case):
    code, values, raw = case
    assert WireArray(code, raw).numpy().tolist() == values


def test_a_wire_array_is_not_equal_to_what_is_no_sequence():
    assert WireArray("B", b"\1") != 1
    assert WireArray("B", b"\1") != [2]
    assert WireArray("B", b"\1") != [1, 1]


def test_filled_arrays_of_zeros_share_their_memory():
    assert WireArray.filled("Q", 3) == [0, 0, 0]
    assert WireArray.filled("h", 2, -1) == [-1, -1]
    assert WireArray.filled("Q", 1 << 16).raw.obj is WireArray.filled("I", 1 << 17).raw.obj
    assert bytes(zeros(0)) == b""


def test_a_long_array_shows_its_beginning():
    assert repr(WireArray.filled("B", 100)) == "WireArray('B', 100: 0, 0, 0, 0, 0, 0, …)"


def test_a_wire_array_slices_in_steps_of_one_only():
    with pytest.raises(ValueError, match="step 1"):
        WireArray("B", b"\1\2\3")[::2]


ROWS = st.lists(st.tuples(RANGES["B"], RANGES["h"]), max_size=8)
ITEM = struct.Struct(">Bh")


def records(rows):
    return WireRecords(("kind", "level"), ITEM, b"".join(ITEM.pack(*row) for row in rows))


@given(ROWS)
def test_wire_records_are_a_sequence_of_records(rows):
    view = records(rows)
    assert [(r.kind, r.level) for r in view] == rows
    assert len(view) == len(rows)
    assert [(r.kind, r.level) for r in view[1:3]] == rows[1:3]
    assert view.column("level") == [level for _, level in rows]
    assert view == records(rows)
    assert view == [_Plain(*row) for row in rows]
    with pytest.raises(IndexError):
        view[len(rows)]


class _Plain:
    def __init__(self, kind, level):
        self.kind, self.level = kind, level


@given(ROWS.filter(bool), st.data())
def test_setting_a_member_of_a_record_copies_first(rows, data):
    view = records(rows)
    other = records(rows)
    i = data.draw(st.integers(-len(rows), len(rows) - 1))
    view[i].level = 77
    assert view[i].level == 77
    assert other == [_Plain(*row) for row in rows]
    assert [r.kind for r in view] == [kind for kind, _ in rows]


def test_a_record_knows_its_members_only():
    record = records([(1, 2)])[0]
    assert isinstance(record, WireRecord)
    assert repr(record) == "WireRecord(kind=1, level=2)"
    with pytest.raises(AttributeError):
        _ = record.colour
    with pytest.raises(AttributeError):
        record.colour = 3


def test_a_value_that_does_not_fit_is_an_encode_error():
    with pytest.raises(EncodeError, match="uint8"):
        WireArray("B", b"\1")[0] = 256
    with pytest.raises(EncodeError, match="level"):
        records([(1, 2)])[0].level = 1 << 15


def test_records_differ_from_shorter_and_from_other_things():
    assert records([(1, 2)]) != records([])
    assert records([(1, 2)]) != [object()]
    assert records([(1, 2)]) != 5


@given(ROWS.filter(lambda rows: len(rows) > 1))
def test_records_iterate_like_lists(rows):
    assert [(r.kind, r.level) for r in reversed(records(rows))] == rows[::-1]


@pytest.mark.parametrize("code", ["I", "Q"])
def test_a_part_that_is_loaded_replaces_those_elements_only(code):
    """An array of numbers of the same width stays one; of others it becomes a list."""
    local = WireArray(code, bytes(range(48)))
    state = Record(f=local)
    part = VMStateDescription("part", 1, 1, fields=[UInt32("f").part(2, 3)])
    plan_of(part).load(Cursor(memoryview(bytes(8) + struct.pack(">I", 7) + b"~" * 300), judge=True), state, 1)
    assert list(state.f) == [*local[0:2], 0, 0, 7, *local[5:]]
    assert bytes(local.raw) == bytes(range(48))
    assert isinstance(state.f, WireArray) == (code == "I")
