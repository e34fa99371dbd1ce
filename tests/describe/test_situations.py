"""The situations of QEMU's own unit test of vmstate, each as one row that is saved, loaded and cut short."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.wire import loaded, saved, wire
from vmstate.describe import (
    Bool,
    GTree,
    Int8,
    Int16,
    Int32,
    Int64,
    Pointers,
    QList,
    QTailQ,
    Record,
    Struct,
    Tmp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    VMStateDescription,
    decode,
)
from vmstate.describe.construct_codec import as_construct, container_of
from vmstate.errors import Truncated


def description(name, *fields, version=1, oldest=1, **more):
    return VMStateDescription(name, version, oldest, fields=fields, **more)


PLAIN = description(
    "clock",
    *(Bool("running"), Bool("armed"), UInt8("mode"), UInt16("divider"), UInt32("period"), UInt64("total")),
    *(Int8("up"), Int8("down"), Int16("right"), Int16("left"), Int32("east"), Int32("west")),
    *(Int64("future"), Int64("past")),
)
TABLE = description("table", UInt16("row")[3])
AGED = description("aged", UInt32("a"), UInt32("b", 2), UInt32("c"), UInt64("d"), UInt64("e", 2), version=2)
CHOSEN = description(
    "chosen",
    UInt32("a"),
    UInt32("c", exists=lambda s, version_id: not s.short),
    UInt64("d"),
    UInt32("e", exists=lambda s, version_id: not s.short),
    UInt64("f", 2),
    version=2,
)
POINT = description("point", Int32("x"))
POINTS = description("points", Pointers(Struct("at", POINT)[4]))
NUMBERS = description("numbers", Pointers(Int32("at")[4]))
JOB = description("job", Bool("urgent"), UInt8("cost"))
QUEUE = description("queue", Int16("before"), QTailQ("jobs", JOB), Int32("after"))
LIST = description("list", UInt32("owner"), QList("jobs", JOB))
SPAN = description("span", UInt64("first"), UInt64("last"))
PAGE = description("page", UInt64("address"), UInt32("rights"))
SPACE = description("space", Int32("id"), GTree("pages", PAGE, SPAN))
UNIT = description("unit", Int32("id"), GTree("spaces", SPACE))


def _before_saving(scratch):
    scratch.gap = scratch.parent.high - scratch.parent.low
    return 0


def _after_loading(scratch, version_id):
    scratch.parent.high = scratch.parent.low + scratch.gap
    return 0


BACK = VMStateDescription("back", fields=[UInt64("serial")])
SCRATCH = VMStateDescription(
    "scratch",
    fields=[Int64("gap"), Struct("parent", BACK)],
    pre_save=_before_saving,
    post_load=_after_loading,
)
WITH_TMP = description("with tmp", UInt32("low"), Tmp(SCRATCH, lambda parent: Record(parent=parent)))


@dataclass
class Row:
    name: str
    vmsd: VMStateDescription
    state: dict[str, Any]
    wire: str
    before: dict[str, Any] = field(default_factory=dict)  # what the destination has
    version: int | None = None
    saves: bool = True


def R(**members):
    return Record(**members)


SMALL = {"running": True, "armed": False, "mode": 200, "divider": 300, "period": 1 << 16, "total": 1 << 40}
SIGNED = {
    "up": 17,
    "down": -17,
    "right": 300,
    "left": -300,
    "east": 1 << 17,
    "west": -2,
    "future": 1,
    "past": -1,
}
PAGES = [
    (R(first=0, last=0xFFF), R(address=0xA000, rights=5)),
    (R(first=0x1000, last=0x1FFF), R(address=7, rights=1)),
]
PAGES_WIRE = (
    "00000002 | 01 0000000000000000 0000000000000fff 000000000000a000 00000005"
    "         | 01 0000000000001000 0000000000001fff 0000000000000007 00000001 | 00"
)
ROWS = [
    Row(
        "plain numbers",
        PLAIN,
        SMALL | SIGNED,
        "01 00 c8 012c 00010000 0000010000000000 | 11 ef 012c fed4 00020000 fffffffe"
        "0000000000000001 ffffffffffffffff",
    ),
    Row("an array", TABLE, {"row": [0x0102, 3, 0xFFFF]}, "0102 0003 ffff"),
    Row(
        "an old version lacks the new fields",
        AGED,
        {"a": 1, "b": 77, "c": 3, "d": 4, "e": 88},
        "00000001 00000003 0000000000000004",
        before={"b": 77, "e": 88},
        version=1,
        saves=False,
    ),
    Row(
        "the newest version has all fields",
        AGED,
        {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
        "00000001 00000002 00000003 0000000000000004 0000000000000005",
    ),
    Row(
        "a test lets fields exist",
        CHOSEN,
        {"a": 1, "c": 3, "d": 4, "e": 5, "f": 6, "short": False},
        "00000001 00000003 0000000000000004 00000005 0000000000000006",
        before={"short": False},
    ),
    Row(
        "a test skips fields",
        CHOSEN,
        {"a": 1, "c": 30, "d": 4, "e": 50, "f": 6, "short": True},
        "00000001 0000000000000004 0000000000000006",
        before={"short": True, "c": 30, "e": 50},
    ),
    Row(
        "an array of pointers to structs",
        POINTS,
        {"at": [R(x=5), R(x=-1), R(x=0), R(x=9)]},
        "00000005 ffffffff 00000000 00000009",
        before={"at": [R(x=0), R(x=0), R(x=0), R(x=0)]},
    ),
    Row(
        "a null pointer to a struct",
        POINTS,
        {"at": [R(x=5), None, R(x=0), R(x=9)]},
        "00000005 | 30 | 00000000 00000009",
        before={"at": [R(x=0), None, R(x=0), R(x=0)]},
    ),
    Row(
        "a null pointer to a number",
        NUMBERS,
        {"at": [None, -1, 0, 9]},
        "30 | ffffffff 00000000 00000009",
        before={"at": [None, 1, 1, 1]},
    ),
    Row(
        "a queue",
        QUEUE,
        {"before": -2, "jobs": [R(urgent=True, cost=3), R(urgent=False, cost=250)], "after": 1},
        "fffe | 01 01 03 | 01 00 fa | 00 | 00000001",
    ),
    Row(
        "a list",
        LIST,
        {"owner": 9, "jobs": [R(urgent=False, cost=1), R(urgent=True, cost=0)]},
        "00000009 | 01 00 01 | 01 01 00 | 00",
    ),
    Row("a tree with struct keys", SPACE, {"id": 3, "pages": PAGES}, "00000003 | " + PAGES_WIRE),
    Row(
        "a tree of trees, with plain keys",
        UNIT,
        {"id": -1, "spaces": [(4, R(id=8, pages=[])), (6, R(id=3, pages=PAGES))]},
        "ffffffff | 00000002 | 01 0000000000000004 00000008 00000000 00 | 01 0000000000000006 00000003 "
        + PAGES_WIRE
        + "| 00",
    ),
    Row(
        "scratch state",
        WITH_TMP,
        {"low": 10, "high": 13, "serial": 99},
        "0000000a | 0000000000000003 0000000000000063",
    ),
]
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def copy(value):
    """Return a deep copy of records and lists: a destination must not see the source's objects."""
    if isinstance(value, Record):
        return Record(**{k: copy(v) for k, v in vars(value).items()})
    return [copy(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("row", [r for r in ROWS if r.saves], ids=lambda row: row.name)
def test_a_source_sends_these_bytes(row):
    assert saved(row.vmsd, copy(Record(**row.state))) == wire(row.wire)


@each
def test_a_destination_loads_this_state(row):
    state = loaded(row.vmsd, wire(row.wire), copy(Record(**row.before)), row.version)
    assert same(state, Record(**row.state))


@each
def test_construct_reads_and_builds_the_row(row):
    version = row.vmsd.version_id if row.version is None else row.version
    data, local = wire(row.wire), copy(Record(**row.before))
    declared = as_construct(row.vmsd, version)
    _, state, error = decode(row.vmsd, memoryview(data), 0, version, state=copy(Record(**row.before)))
    assert error is None
    assert declared.build(declared.parse(data, local=local), local=local) == data
    assert declared.build(container_of(row.vmsd, state, version), local=local) == data


@each
def test_cut_short_anywhere_it_is_truncated_there(row):
    data = wire(row.wire)
    version = row.vmsd.version_id if row.version is None else row.version
    for cut in range(len(data)):
        before = copy(Record(**row.before))
        _, _, error = decode(row.vmsd, memoryview(data[:cut]), 0, version, state=before)
        assert isinstance(error, Truncated)
        assert error.offset + error.available == cut


def same(got, wanted):
    """Return True if two states are equal, regardless of their kinds of arrays and records."""
    if isinstance(wanted, (Record, SimpleNamespace)):
        return all(same(getattr(got, name), value) for name, value in vars(wanted).items())
    if isinstance(wanted, (list, tuple)):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    return got == wanted
