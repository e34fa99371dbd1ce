"""Whole random descriptions: nested structs, arrays, queues, trees, subsections, versions, history."""

from __future__ import annotations

from dataclasses import replace
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
        version = draw(st.integers(1, 3))
        anchor, flags = self.attr(), self.attr()
        fields = [UInt8(anchor), UInt8(flags)]  # always there: the counts and tests of the others
        fields += [
            self.field(name, anchor, flags, version, depth) for _ in range(draw(st.integers(0, 5)))
        ]
        inner = []
        if subsections and depth:
            for i in range(draw(st.integers(0, 2))):
                sub = self.description(f"{name}/s{i}", depth - 1)
                inner.append(self.dated(replace(sub, needed=_bit(flags, i))))
        newest = version if not self.history else draw(self.versions(version))
        oldest = draw(st.integers(0, version))
        return VMStateDescription(name, newest, oldest, fields, inner)

    def versions(self, version):
        later = st.builds(lambda p, more: History(version, (p, version + more)), st.sampled_from(POINTS), st.just(1))
        return st.one_of(st.just(version), later)

    def field(self, owner, anchor, flags, version, depth):
        field = self.plain(owner, anchor, version, depth)
        kind = self.draw(st.sampled_from(("always", "always", "version", "exists")))
        if kind == "version" and (field.vmsd is None or field.info is None):
            field = replace(field, version_id=self.draw(st.integers(0, version)))
        elif kind == "exists" and not field.must_exist:
            test = _bit(flags, self.draw(st.integers(4, 7)))
            field = replace(field, exists=lambda state, version_id: test(state))
        return self.dated(field)

    def dated(self, thing):
        if not self.history:
            return thing
        kind = self.draw(st.sampled_from(("always", "always", "since", "until")))
        if kind == "always":
            return thing
        return (Since if kind == "since" else Until)(self.draw(st.sampled_from(POINTS)), thing)

    def plain(self, owner, anchor, version, depth):
        draw = self.draw
        makers = [self.number, self.array, self.raw, self.odd]
        if depth:
            makers += [self.struct, self.structs, self.composite]
        return draw(st.sampled_from(makers))(owner, anchor, depth)

    def number(self, owner, anchor, depth):
        return self.draw(st.sampled_from(PLAIN if self.fresh else PLAIN + COMPARED))(self.attr())

    def array(self, owner, anchor, depth):
        draw = self.draw
        field = draw(st.sampled_from(PLAIN if self.fresh else (*PLAIN, UInt16Equal)))(self.attr())
        counts = st.sampled_from((0, 1, 3, (2, 2), anchor))
        array = field[draw(counts)]
        if array.count == anchor:
            return array.times(draw(st.integers(1, 2)))
        if not self.fresh and draw(st.booleans()) and isinstance(array.count, int):
            return Pointers(array)
        return array

    def raw(self, owner, anchor, depth):
        draw = self.draw
        size = draw(st.sampled_from((0, 1, 5, anchor)))
        return draw(
            st.sampled_from((
                Buffer(self.attr(), size),
                Unused(draw(st.integers(0, 9))),
                Bitmap(self.attr(), draw(st.sampled_from((1, 64, 70, anchor)))),
            ))
        )

    def odd(self, owner, anchor, depth):
        return self.draw(
            st.sampled_from((
                Validate("checked", lambda state, version_id: True),
                UInt32(self.attr()).part(2, 3),
                Buffer(self.attr(), 2, start=1, shape=(4,)),
            ))
        )

    def inner(self, depth):
        return self.description(f"in{next(self.numbers)}", depth - 1)

    def struct(self, owner, anchor, depth):
        inner = self.inner(depth)
        oldest = inner.minimum_version_id
        newest = inner.version_id if isinstance(inner.version_id, int) else inner.version_id.first
        if self.draw(st.booleans()):
            return VStruct(self.attr(), inner, self.draw(st.integers(oldest, newest)))
        return Struct(self.attr(), inner)

    def structs(self, owner, anchor, depth):
        counts = self.draw(st.sampled_from((0, 2, anchor)))
        self.fresh += counts == anchor
        array = Struct(self.attr(), self.inner(depth))[counts]
        self.fresh -= counts == anchor
        if not self.fresh and self.draw(st.booleans()) and isinstance(array.count, int):
            return Pointers(array)
        return array

    def composite(self, owner, anchor, depth):
        draw = self.draw
        self.fresh += 1
        inner = self.inner(depth)
        self.fresh -= 1
        version = inner.version_id  # elements are saved in their newest version, and loaded in the field's
        key = draw(st.sampled_from((None, KEY)))
        kind = draw(st.sampled_from(("queue", "list", "tree", "tmp")))
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
