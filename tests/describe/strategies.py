"""Whole random descriptions: nested structs, arrays, queues, trees, subsections, versions, history."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import count

from hypothesis import strategies as st

from vmstate.describe import (
    Bitmap,
    Bool,
    Buffer,
    Double,
    GTree,
    History,
    Int8,
    Int16,
    Int32,
    Int32Equal,
    Int32PositiveLe,
    Int64,
    Pointers,
    QList,
    QTailQ,
    Record,
    Since,
    Struct,
    Timer,
    Tmp,
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
    VMStateDescription,
    VStruct,
)

RELEASES = ("2.9.1", "2.11.2", "2.12.0", "3.1.0", "7.2.22", "11.1.3")
POINTS = ("2.11", ("2.11.2", "2.12.1", "3.0"), "3.0", "5.2", "10.0")

PLAIN = (Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Double, Timer)
COMPARED = (UInt8Equal, UInt16Equal, UInt32Equal, UInt64Equal, Int32Equal, Int32PositiveLe)

releases = st.sampled_from(RELEASES)


@cache
def one_of(*options):
    """One of some hashable things; the strategy is kept, as making one costs more than drawing from it."""
    return st.sampled_from(options)


@cache
def between(low, high):
    return st.integers(low, high)


@st.composite
def descriptions(draw, *, depth=2, name="t", history=True):
    """A description with history, whose attribute names are unique within all of it."""
    return _Author(draw, history=history).description(name, depth)


class _Author:
    def __init__(self, draw, *, history):
        self.draw = draw
        self.history = history
        self.numbers = count()
        self.fresh = 0  # inside what a destination makes while it loads: nothing to compare with is there

    def attr(self):
        return f"f{next(self.numbers)}"

    def description(self, name, depth, subsections=True):
        draw = self.draw
        version = draw(between(1, 3))
        anchor, flags = self.attr(), self.attr()
        fields = [UInt8(anchor), UInt8(flags)]  # always there: the counts and tests of the others
        fields += [self.field(name, anchor, flags, version, depth) for _ in range(draw(between(0, 5)))]
        inner = []
        if subsections and depth:
            for i in range(draw(between(0, 2))):
                sub = self.description(f"{name}/s{i}", depth - 1)
                inner.append(self.dated(replace(sub, needed=_bit(flags, i))))
        newest = version
        if self.history and draw(one_of(False, True)):
            newest = History(version, (draw(one_of(*POINTS)), version + 1))
        oldest = draw(between(0, version))
        return VMStateDescription(name, newest, oldest, fields, inner)

    def field(self, owner, anchor, flags, version, depth):
        field = self.plain(owner, anchor, version, depth)
        kind = self.draw(one_of("always", "always", "version", "exists"))
        if kind == "version" and (field.vmsd is None or field.info is None):
            field = replace(field, version_id=self.draw(between(0, version)))
        elif kind == "exists" and not field.must_exist:
            test = _bit(flags, self.draw(between(4, 7)))
            field = replace(field, exists=lambda state, version_id: test(state))
        return self.dated(field)

    def dated(self, thing):
        if not self.history:
            return thing
        kind = self.draw(one_of("always", "always", "since", "until"))
        if kind == "always":
            return thing
        return (Since if kind == "since" else Until)(self.draw(one_of(*POINTS)), thing)

    def plain(self, owner, anchor, version, depth):
        draw = self.draw
        kinds = ("number", "array", "raw", "odd") + ("struct", "structs", "composite") * (depth > 0)
        return getattr(self, draw(one_of(*kinds)))(owner, anchor, depth)

    def number(self, owner, anchor, depth):
        return self.draw(one_of(*PLAIN) if self.fresh else one_of(*PLAIN, *COMPARED))(self.attr())

    def array(self, owner, anchor, depth):
        draw = self.draw
        field = draw(one_of(*PLAIN) if self.fresh else one_of(*PLAIN, UInt16Equal))(self.attr())
        array = field[self.count(anchor, 0, 1, 3, (2, 2))]
        if array.count == anchor:
            return array.times(draw(between(1, 2)))
        if not self.fresh and draw(one_of(False, True)) and isinstance(array.count, int):
            return Pointers(array)
        return array

    def raw(self, owner, anchor, depth):
        kind = self.draw(one_of("buffer", "unused", "bitmap"))
        if kind == "buffer":
            return Buffer(self.attr(), self.count(anchor, 0, 1, 5))
        if kind == "unused":
            return Unused(self.draw(between(0, 9)))
        return Bitmap(self.attr(), self.count(anchor, 1, 64, 70))

    def odd(self, owner, anchor, depth):
        kind = self.draw(one_of("validator", "part", "partial buffer"))
        if kind == "validator":
            return Validate("checked", lambda state, version_id: True)
        if kind == "part":
            return UInt32(self.attr()).part(2, 3)
        return Buffer(self.attr(), 2, start=1, shape=(4,))

    def count(self, anchor, *fixed):
        drawn = self.draw(one_of(*fixed, "counted"))
        return anchor if drawn == "counted" else drawn

    def inner(self, depth):
        return self.description(f"in{next(self.numbers)}", depth - 1)

    def struct(self, owner, anchor, depth):
        inner = self.inner(depth)
        oldest = inner.minimum_version_id
        newest = inner.version_id if isinstance(inner.version_id, int) else inner.version_id.first
        if self.draw(one_of(False, True)):
            return VStruct(self.attr(), inner, self.draw(between(oldest, newest)))
        return Struct(self.attr(), inner)

    def structs(self, owner, anchor, depth):
        counts = self.count(anchor, 0, 2)
        self.fresh += counts == anchor
        array = Struct(self.attr(), self.inner(depth))[counts]
        self.fresh -= counts == anchor
        if not self.fresh and self.draw(one_of(False, True)) and isinstance(array.count, int):
            return Pointers(array)
        return array

    def composite(self, owner, anchor, depth):
        draw = self.draw
        self.fresh += 1
        inner = self.inner(depth)
        self.fresh -= 1
        version = inner.version_id  # elements are saved in their newest version, and loaded in the field's
        key = draw(one_of(None, KEY))
        kind = draw(one_of("queue", "list", "tree", "tmp"))
        if kind == "tree":
            return GTree(self.attr(), inner, key, version)
        if kind == "tmp":
            return Tmp(inner, _scratch(self.attr()), version)
        return (QTailQ if kind == "queue" else QList)(self.attr(), inner, version)


KEY = VMStateDescription("key", 9, 0, fields=[UInt16("hi"), UInt8("lo")])


def _bit(attr, bit):
    return lambda state: bool(getattr(state, attr) >> bit & 1)


def _scratch(attr):
    """A tmp whose scratch object stays with its parent, so that laws can look at it."""
    return lambda parent: parent.__dict__.setdefault(attr, Record())
