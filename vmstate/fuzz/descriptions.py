"""Whole random descriptions: nested structs, arrays, queues, trees, subsections, versions, history."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any, Protocol

from hypothesis import strategies as st

from vmstate import describe as d
from vmstate.dataclass import replace
from vmstate.describe import Field, History, Record, Since, Until, VMStateDescription
from vmstate.describe.history import Points

#: The releases at which drawn things change: mainline ones, and one with stable releases before it.
POINTS: tuple[Points, ...] = ("2.11", ("2.11.2", "2.12.1", "3.0"), "3.0", "5.2", "10.0")

_PLAIN = (d.Bool, d.Int8, d.Int16, d.Int32, d.Int64)
PLAIN = (*_PLAIN, d.UInt8, d.UInt16, d.UInt32, d.UInt64, d.Double, d.Timer)
COMPARED = (d.UInt8Equal, d.UInt16Equal, d.UInt32Equal, d.UInt64Equal, d.Int32Equal, d.Int32PositiveLe)
KEY = VMStateDescription("key", 9, 0, fields=[d.UInt16("hi"), d.UInt8("lo")])

Count = int | str | tuple[int, ...]


class Draw(Protocol):
    """The ``draw`` function that hypothesis passes to a composite strategy."""

    def __call__(self, strategy: st.SearchStrategy[Any], /) -> Any:
        """Draw a value from the strategy."""


@cache
def one_of(*options: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for one of these values; cached, as making it costs more than drawing from it."""
    return st.sampled_from(options)


@cache
def between(low: int, high: int) -> st.SearchStrategy[int]:
    """Return a strategy for numbers from ``low`` to ``high``; also cached."""
    return st.integers(low, high)


class Author:
    """The author of one random description; attribute names are unique within it.

    ``history``: fields and versions change with releases, so that ``.at(release)`` must resolve them.
    """

    def __init__(self, draw: Draw, *, history: bool) -> None:
        self.draw = draw
        self.history = history
        self.numbers = count()
        self.fresh = 0  # depth of objects that a destination makes while loading: nothing to compare with

    def attr(self) -> str:
        """Return an unused name."""
        return f"f{next(self.numbers)}"

    def description(self, name: str, depth: int) -> VMStateDescription:
        """Draw a description with structs and subsections down to ``depth``."""
        draw = self.draw
        version = draw(between(1, 3))
        anchor, flags = self.attr(), self.attr()
        fields = [d.UInt8(anchor), d.UInt8(flags)]  # always present: the counts and tests of the others
        fields += [self.field(anchor, flags, version, depth) for _ in range(draw(between(0, 5)))]
        inner = []
        if depth:
            for i in range(draw(between(0, 2))):
                sub = self.description(f"{name}/s{i}", depth - 1)
                inner.append(self.dated(replace(sub, needed=_bit(flags, i))))
        newest: int | History[int] = version
        if self.history and draw(one_of(False, True)):
            newest = History(version, (draw(one_of(*POINTS)), version + 1))
        return VMStateDescription(name, newest, draw(between(0, version)), fields, inner)

    def field(self, anchor: str, flags: str, version: int, depth: int) -> Any:
        """Draw a field that is present always, from a version on, or if a bit of ``flags`` is set."""
        field = self.plain(anchor, depth)
        kind = self.draw(one_of("always", "always", "version", "exists"))
        if kind == "version" and (field.vmsd is None or field.info is None):
            field = replace(field, version_id=self.draw(between(0, version)))
        elif kind == "exists" and not field.must_exist:
            test = _bit(flags, self.draw(between(4, 7)))
            field = replace(field, exists=lambda state, _version_id: test(state))
        return self.dated(field)

    def dated(self, thing: Any) -> Any:
        """Draw the same thing as it is, or since or until some release."""
        if not self.history:
            return thing
        kind = self.draw(one_of("always", "always", "since", "until"))
        if kind == "always":
            return thing
        return (Since if kind == "since" else Until)(self.draw(one_of(*POINTS)), thing)

    def plain(self, anchor: str, depth: int) -> Field:
        """Draw a field of any kind."""
        kinds: list[Callable[[str, int], Field]] = [self.number, self.array, self.raw, self.odd]
        if depth > 0:
            kinds += [self.struct, self.structs, self.composite]
        index: int = self.draw(between(0, len(kinds) - 1))
        return kinds[index](anchor, depth)

    def number(self, anchor: str, depth: int) -> Field:
        """Draw a number, perhaps one that must be equal on both sides."""
        kinds = PLAIN if self.fresh else (*PLAIN, *COMPARED)
        made: Field = self.draw(one_of(*kinds))(self.attr())
        return made

    def array(self, anchor: str, depth: int) -> Field:
        """Draw an array of numbers: of fixed length, counted by another field, or of pointers."""
        kinds = PLAIN if self.fresh else (*PLAIN, d.UInt16Equal)
        array: Field = self.draw(one_of(*kinds))(self.attr())[self.count(anchor, 0, 1, 3, (2, 2))]
        if array.count == anchor:
            return array.times(self.draw(between(1, 2)))
        return self._pointers(array)

    def _pointers(self, array: Field) -> Field:
        maybe = not self.fresh and self.draw(one_of(False, True)) and isinstance(array.count, int)
        return d.Pointers(array) if maybe else array

    def raw(self, anchor: str, depth: int) -> Field:
        """Draw bytes: a buffer, unused bytes, or a bitmap."""
        kind = self.draw(one_of("buffer", "unused", "bitmap"))
        if kind == "buffer":
            return d.Buffer(self.attr(), self.count(anchor, 0, 1, 5))
        if kind == "unused":
            return d.Unused(self.draw(between(0, 9)))
        return d.Bitmap(self.attr(), self.count(anchor, 1, 64, 70))

    def odd(self, anchor: str, depth: int) -> Field:
        """Draw a check without bytes, a part of an array, or a part of a buffer."""
        kind = self.draw(one_of("validator", "part", "partial buffer"))
        if kind == "validator":
            return d.Validate("checked", lambda _state, _version_id: True)
        if kind == "part":
            return d.UInt32(self.attr()).part(2, 3)
        return d.Buffer(self.attr(), 2, start=1, shape=(4,))

    def count(self, anchor: str, *fixed: Any) -> Any:
        """Draw a count: one of ``fixed``, or the field ``anchor``."""
        drawn = self.draw(one_of(*fixed, "counted"))
        return anchor if drawn == "counted" else drawn

    def inner(self, depth: int) -> VMStateDescription:
        """Draw the description of a struct."""
        return self.description(f"in{next(self.numbers)}", depth - 1)

    def struct(self, anchor: str, depth: int) -> Field:
        """Draw a struct, perhaps at a version of its own."""
        inner = self.inner(depth)
        oldest = inner.minimum_version_id
        newest = inner.version_id if isinstance(inner.version_id, int) else inner.version_id.first
        if self.draw(one_of(False, True)):
            return d.VStruct(self.attr(), inner, self.draw(between(oldest, newest)))
        return d.Struct(self.attr(), inner)

    def structs(self, anchor: str, depth: int) -> Field:
        """Draw an array of structs, or of pointers to them."""
        counts = self.count(anchor, 0, 2)
        self.fresh += counts == anchor
        array = d.Struct(self.attr(), self.inner(depth))[counts]
        self.fresh -= counts == anchor
        return self._pointers(array)

    def composite(self, anchor: str, depth: int) -> Field:
        """Draw a queue, a list, a tree, or a scratch object."""
        draw = self.draw
        self.fresh += 1
        inner = self.inner(depth)
        self.fresh -= 1
        version: Any = (
            inner.version_id
        )  # elements are saved in their newest version, and loaded in the field's
        key = draw(one_of(None, KEY))
        kind = draw(one_of("queue", "list", "tree", "tmp"))
        if kind == "tree":
            return d.GTree(self.attr(), inner, key, version)
        if kind == "tmp":
            return d.Tmp(inner, _scratch(self.attr()), version)
        return (d.QTailQ if kind == "queue" else d.QList)(self.attr(), inner, version)


def _bit(attr: str, bit: int) -> Callable[[Any], bool]:
    return lambda state: bool(getattr(state, attr) >> bit & 1)


def _scratch(attr: str) -> Callable[[Any], Any]:
    """Return a tmp whose scratch object stays with its parent, so that tests can inspect it."""
    return lambda parent: parent.__dict__.setdefault(attr, Record())
