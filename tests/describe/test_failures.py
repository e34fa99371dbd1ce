"""How loading fails: the reports in QEMU's order, the errno, the place."""

from __future__ import annotations

import pytest

from tests.support.wire import END, wire
from vmstate.describe import (
    Cursor,
    GTree,
    Int32,
    Int32Equal,
    Int32PositiveLe,
    LoadFailure,
    Pointers,
    QList,
    QTailQ,
    Record,
    Struct,
    Tmp,
    UInt8,
    UInt8Equal,
    UInt16,
    UInt16Equal,
    UInt32,
    UInt32Equal,
    UInt64Equal,
    Validate,
    VMStateDescription,
    VStruct,
    plan_of,
)
from vmstate.describe.diagnostics import (
    ElementFailed,
    ElementVersion,
    FieldFailed,
    NotEqual,
    NotPositiveLe,
    NullMarkerMissing,
    TooNew,
    TooOld,
    TreeInconsistent,
    ValidationFailed,
)
from vmstate.errors import StreamError, Truncated


def vmsd(name, *fields, version=1, oldest=1, **more):
    return VMStateDescription(name, version, oldest, fields=fields, **more)


def failure(description, data, state=None, version_id=None):
    """Return the reports of a destination that refuses, and the error."""
    cur = Cursor(memoryview(data), judge=True)
    version_id = description.version_id if version_id is None else version_id
    with pytest.raises(StreamError) as caught:
        plan_of(description).load(cur, Record() if state is None else state, version_id)
    return cur.diagnostics, caught.value


def refused(*args, **more):
    """Return the reports alone; the stream goes on after ``data``."""
    return failure(args[0], args[1] + END, *args[2:], **more)[0]


@pytest.mark.parametrize(
    ("version", "report"), [(2, TooOld("d", 2, 3)), (6, TooNew("d", 6, 5)), (-1, TooOld("d", -1, 3))]
)
def test_versions_outside_the_window_are_refused(version, report):
    reports, error = failure(vmsd("d", UInt8("a"), version=5, oldest=3), b"\1", version_id=version)
    assert reports == [report]
    assert (error.ret, error.found) == (-22, version)


def test_a_struct_in_a_version_of_its_own_is_checked_like_a_section():
    inner = vmsd("inner", UInt8("a"), UInt8("b", 3), version=3, oldest=2)
    good = vmsd("d", VStruct("inner", inner, 2), UInt8("z"))
    cur = Cursor(memoryview(b"\1\2"), judge=True)
    state = Record()
    plan_of(good).load(cur, state, 1)
    assert (vars(state.inner), state.z) == ({"a": 1}, 2)
    reports = refused(vmsd("d", VStruct("inner", inner, 4)), b"")
    assert reports == [TooNew("inner", 4, 3), FieldFailed("d", "inner", None, False, -22)]


EQUAL = [
    (UInt8Equal, 0xAB, "0c", "ab", "c", "uint8 equal"),
    (UInt16Equal, 1, "abcd", "1", "abcd", "uint16 equal"),
    (UInt32Equal, 0, "0000abcd", "0", "abcd", "uint32 equal"),
    (UInt64Equal, 1 << 63, "0000000000000010", "8000000000000000", "10", "int64 equal"),
    (Int32Equal, -1, "00000001", "ffffffff", "1", "int32 equal"),
]


@pytest.mark.parametrize(("maker", "local", "text", "mine", "theirs", "type_name"), EQUAL)
def test_a_number_that_must_be_equal_is_compared_not_loaded(maker, local, text, mine, theirs, type_name):
    state = Record(n=local)
    reports, error = failure(vmsd("d", maker("n", hint="try again")), wire(text) + END, state)
    assert reports == [NotEqual(mine, theirs, "try again"), FieldFailed("d", "n", type_name, False, -22)]
    assert (error.ret, error.offset, error.place.path) == (-22, 0, "n")
    assert state.n == local


def test_an_equal_number_beyond_the_local_ones_is_refused():
    description = vmsd("d", UInt8("n"), UInt8Equal("x")["n"])
    reports, error = failure(description, b"\2\0\0" + END, Record(x=[0]))
    assert "nothing to compare" in str(error)
    assert reports == [FieldFailed("d", "x", "uint8 equal", False, -22)]


@pytest.mark.parametrize(("text", "loaded"), [("ffffffff", -1), ("00000008", 8), ("80000000", -(1 << 31))])
def test_a_number_beyond_the_local_one_is_refused(text, loaded):
    reports = refused(vmsd("d", Int32PositiveLe("n")), wire(text), Record(n=7))
    assert reports == [NotPositiveLe(loaded, 7), FieldFailed("d", "n", "int32 le", False, -22)]


@pytest.mark.parametrize("value", [0, 3, 7])
def test_a_number_up_to_the_local_one_replaces_it(value):
    state = Record(n=7)
    plan_of(vmsd("d", Int32PositiveLe("n"))).load(
        Cursor(memoryview(bytes((0, 0, 0, value))), judge=True), state, 1
    )
    assert state.n == value


def test_a_validator_stops_with_minus_one_and_names_itself():
    inner = vmsd("inner", UInt8("a"), Validate("a is even", lambda s, v: s.a % 2 == 0), version=7, oldest=0)
    reports, error = failure(vmsd("d", Struct("inner", inner)), b"\3" + END)
    assert reports == [ValidationFailed("inner", "a is even", 7), FieldFailed("d", "inner", None, False, -1)]
    assert (error.ret, error.offset) == (-1, 1)


def test_every_enclosing_description_tells_of_the_field_that_failed():
    deep = vmsd("deep", UInt16("x"), UInt8Equal("n"))
    middle = vmsd("middle", Struct("deep", deep)[2])
    outer = vmsd("outer", UInt8("first"), Struct("middle", middle))
    local = Record(middle=Record(deep=[Record(n=1), Record(n=1)]))
    reports, error = failure(outer, wire("00 | 0000 01 | 0000 02") + END, local)
    assert reports == [
        NotEqual("1", "2", None),
        FieldFailed("deep", "n", "uint8 equal", False, -22),
        FieldFailed("middle", "deep", None, False, -22),
        FieldFailed("outer", "middle", None, False, -22),
    ]
    assert (error.offset, error.place.path) == (6, "middle.deep.n")


@pytest.mark.parametrize("element", [Int32("p"), Struct("p", vmsd("point", Int32("x")))])
def test_a_null_pointer_wants_its_marker(element):
    reports = refused(vmsd("d", Pointers(element[2])), wire("31"), Record(p=[None, None]))
    assert reports == [NullMarkerMissing(0x31), FieldFailed("d", "p", "nullptr", False, -22)]


def test_a_marker_where_the_destination_has_no_null_is_read_as_the_element():
    state = Record(p=[1, 2])
    cur = Cursor(memoryview(wire("30 00000002 ") + END), judge=True)
    plan_of(vmsd("d", Pointers(Int32("p")[2]))).load(cur, state, 1)
    assert state.p[0] == 0x30000000
    assert cur.pos == 8


# ---- queues, lists and trees

JOB = vmsd("job", UInt8Equal("n"))
BAD = vmsd("job", UInt8("n"), post_load=lambda s, v: -22)


def test_a_queue_says_nothing_about_an_element_that_fails_itself():
    reports = refused(vmsd("d", QTailQ("jobs", JOB, make=lambda d: Record(n=1))), wire("01 02"))
    assert reports == [
        NotEqual("1", "2", None),
        FieldFailed("job", "n", "uint8 equal", False, -22),
        FieldFailed("d", "jobs", "qtailq", False, -22),
    ]


def test_a_list_names_the_element_that_failed():
    reports = refused(vmsd("d", QList("jobs", JOB, make=lambda d: Record(n=1))), wire("01 02"))
    assert reports[2:] == [
        ElementFailed("list", "jobs", "job", -22),
        FieldFailed("d", "jobs", "qlist", False, -22),
    ]


def test_a_tree_names_the_key_or_value_that_failed():
    tree = vmsd("d", GTree("t", vmsd("value", UInt8("v")), BAD))
    reports = refused(tree, wire("00000001 01 07"))
    assert reports[1:] == [ElementFailed("tree", "t", "job", -22), FieldFailed("d", "t", "gtree", False, -22)]
    tree = vmsd("d", GTree("t", BAD))
    reports = refused(tree, wire("00000001 01 0000000000000001 07"))
    assert reports[1:] == [ElementFailed("tree", "t", "job", -22), FieldFailed("d", "t", "gtree", False, -22)]


@pytest.mark.parametrize(
    "text", ["00000001 00", "00000001 01 0000000000000001 05 01 0000000000000002 06 00", "ffffffff 00"]
)
def test_a_tree_counts_its_nodes(text):
    tree = vmsd("d", GTree("t", vmsd("value", UInt8("v"))))
    assert refused(tree, wire(text)) == [TreeInconsistent("t"), FieldFailed("d", "t", "gtree", False, -22)]


@pytest.mark.parametrize("maker", [QTailQ, QList, GTree])
@pytest.mark.parametrize(("version", "what"), [(4, "too new"), (1, "too old")])
def test_the_fields_version_must_suit_the_elements(maker, version, what):
    element = vmsd("e", UInt8("v"), version=3, oldest=2)
    reports = refused(vmsd("d", maker("t", element, version_id=version), version=9), b"")
    assert reports[0] == ElementVersion("e", what)
    assert reports[1].type in {"qtailq", "qlist", "gtree"}


def test_scratch_state_that_fails_names_its_field():
    reports = refused(
        vmsd("d", Tmp(vmsd("t", UInt8("v"), oldest=0, post_load=lambda s, v: -1), lambda d: Record())), b"\1"
    )
    assert reports[1:] == [FieldFailed("d", "tmp", "tmp", False, -1)]


# ---- streams that end too early


def test_the_innermost_field_that_misses_bytes_blames_the_stream():
    inner = vmsd("inner", UInt32("x"), UInt32("y"))
    reports, error = failure(vmsd("d", Struct("inner", inner), UInt8("z")), wire("00000001 0000"))
    assert reports == [
        FieldFailed("inner", "y", "uint32", True, -5),
        FieldFailed("d", "inner", None, False, -5),
    ]
    assert isinstance(error, Truncated)
    assert error.ret == -5


def test_a_struct_that_looked_for_subsections_beyond_the_end_fails_in_its_parent():
    whole = vmsd("d", Struct("inner", vmsd("inner", UInt8("x"))))
    reports, _ = failure(whole, b"\1")
    assert reports == [FieldFailed("d", "inner", None, True, -5)]


def test_a_section_that_ends_with_the_stream_is_loaded():
    cur = Cursor(memoryview(b"\1"), judge=True)
    plan_of(vmsd("d", UInt8("x"))).load(cur, Record(), 1)
    assert cur.short  # the footer, which is missing, is not the section's affair


def test_a_failing_load_keeps_what_was_loaded_before():
    state = Record(n=1)
    with pytest.raises(LoadFailure):
        plan_of(vmsd("d", UInt8("a"), UInt8Equal("n"))).load(
            Cursor(memoryview(b"\7\2"), judge=True), state, 1
        )
    assert state.a == 7


def test_a_count_beyond_the_bytes_is_refused_in_time_that_does_not_depend_on_it():
    empty = vmsd("empty")
    for field in (UInt32("x")["n"], Struct("x", vmsd("one", UInt8("b")))["n"], Struct("x", empty)["n"]):
        description = vmsd("d", UInt32("n"), field)
        _, error = failure(description, wire("ffffffff") + END)
        assert error.offset is not None
