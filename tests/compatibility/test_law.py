"""The law of comparison: compatible means that every state loads with the same meaning; the codec judges."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import AFTER, laws
from vmstate.compatibility import Direction, compare
from vmstate.describe import Cursor, Record, encode, plan_of
from vmstate.describe.infos import SCALARS
from vmstate.errors import StreamError
from vmstate.schema import Description, Knows, Origin, Schema, SchemaField, as_declaration

KNOWN = frozenset(Knows) - {Knows.MEMORY}
SCALAR = ("uint8", "int8", "uint16", "int32", "uint32", "uint64", "bool")
WIDTHS = {kind: SCALARS[kind].width for kind in SCALAR}


class Author:
    """Draws a description, and changes of it."""

    def __init__(self, draw):
        self.draw, self.numbers = draw, count()

    def name(self):
        return f"f{next(self.numbers)}"

    def field(self, depth, counters):
        kinds = ["scalar", "scalar", "scalar", "array", "buffer", "unused"]
        kinds += ["struct", "structs", "queue"] if depth else []
        kinds += ["counted"] if counters else []
        kind = self.draw(st.sampled_from(kinds))
        name, version = self.name(), self.draw(st.sampled_from((0, 0, 0, 2)))
        scalar = self.draw(st.sampled_from(SCALAR))
        if kind == "array":
            return SchemaField(name, scalar, version, WIDTHS[scalar], self.draw(st.integers(1, 3)))
        if kind == "buffer":
            return SchemaField(name, "buffer", version, self.draw(st.integers(1, 4)))
        if kind == "unused":
            return SchemaField("unused", "unused_buffer", version, self.draw(st.integers(1, 4)))
        if kind == "struct":
            return SchemaField(name, "struct", version, vmsd=self.description(name, depth - 1))
        if kind == "structs":
            return SchemaField(name, "struct", version, count=2, vmsd=self.description(name, depth - 1))
        if kind == "queue":
            inner = self.description(name, 0)
            return SchemaField(name, "qtailq", inner.version_id, vmsd=inner)
        if kind == "counted":
            return SchemaField(name, scalar, version, WIDTHS[scalar], self.draw(st.sampled_from(counters)))
        return SchemaField(name, scalar, version, WIDTHS[scalar])

    def description(self, name, depth=2):
        fields = []
        for _ in range(self.draw(st.integers(1, 4))):
            counters = [f.name for f in fields if f.kind == "uint8" and not f.count and not f.version_id]
            fields.append(self.field(depth, counters))
        subsections = []
        if depth and self.draw(st.booleans()):
            subsections = [self.description(f"{name}/{self.name()}", depth - 1)]
        subsections = tuple(replace(one, conditional=True) for one in subsections)
        return Description(name, 2, 1, tuple(fields), subsections)

    def changed(self, one, depth=2):
        """Draw a change of a description: anything that a patch might do."""
        how = self.draw(
            st.sampled_from(("field", "add", "remove", "swap", "version", "tail", "inner", "same"))
        )
        fields, at = list(one.fields), self.draw(st.integers(0, len(one.fields) - 1))
        if how == "field":
            counting = {f.count for f in fields}
            fields[at] = fields[at] if fields[at].name in counting else self.altered(fields[at])
        elif how == "add":
            fields.insert(at, self.field(0, []))
        elif how == "remove" and len(fields) > 1:
            gone = fields.pop(at)
            fields = [replace(f, count=1) if f.count == gone.name else f for f in fields]
        elif how == "swap" and not any(isinstance(f.count, str) for f in fields):
            other = self.draw(st.integers(0, len(fields) - 1))
            fields[at], fields[other] = fields[other], fields[at]
        elif how == "version":
            newest, oldest = self.draw(st.sampled_from(((3, 1), (2, 2), (1, 1), (3, 3))))
            return replace(one, version_id=newest, minimum_version_id=oldest)
        elif how == "tail":
            new = replace(self.description(f"{one.name}/{self.name()}", 0), conditional=True)
            return replace(one, subsections=() if one.subsections else (new,))
        elif how == "inner" and fields[at].vmsd is not None:
            inner = self.changed(fields[at].vmsd, 0)
            fields[at] = replace(fields[at], vmsd=inner)
            if fields[at].kind == "qtailq":
                fields[at] = replace(fields[at], version_id=inner.version_id)
        return replace(one, fields=tuple(fields))

    def altered(self, field):
        """Draw another name, type, length or count of a field."""
        how = self.draw(st.sampled_from(("name", "type", "unused", "length", "unroll", "version")))
        if how == "name":
            return replace(field, name=self.name())
        if how == "type" and field.kind in SCALAR and not isinstance(field.count, str):
            kind = self.draw(st.sampled_from(SCALAR))
            return replace(field, kind=kind, size=WIDTHS[kind])
        if how == "unused" and field.kind in SCALAR and field.count is None:
            return SchemaField("unused", "unused_buffer", field.version_id, field.size)
        if how == "length" and isinstance(field.count, int):
            return replace(field, count=self.draw(st.integers(1, 3)))
        if how == "unroll" and field.kind == "uint8" and isinstance(field.count, int):
            return replace(field, kind="buffer", size=field.count, count=None)
        if how == "version":
            return replace(field, version_id=0) if field.kind != "qtailq" else field
        return field


@st.composite
def pairs(draw):
    author = Author(draw)
    old = new = author.description("dev")
    for _ in range(draw(st.integers(0, 2))):
        new = author.changed(new)
    return old, new


def schema(one):
    return Schema(one.name, Origin.DECLARATIONS, {one.name: one}, KNOWN)


# ---- the judge: states that tell differences apart


PATTERNS = ("ones", "zeros", "ordinal", "top")


def number(kind, pattern, serial):
    if kind == "bool":
        return pattern in ("ones", "top")
    size = WIDTHS[kind]
    raw = {
        "ones": b"\xff" * size,
        "zeros": bytes(size),
        "top": b"\x80" + bytes(size - 1),
        "ordinal": (serial * 7 % 250 + 2).to_bytes(1, "big") * size,
    }[pattern]
    return struct.unpack(">" + SCALARS[kind].code, raw)[0]


def state(one, pattern, serial, *, sent, counts):
    """Return a state of a description: numbers by a pattern, counts as given, subsections or not."""
    counters = {f.count for f in one.fields if isinstance(f.count, str)}
    made = Record(sent=[s.name for s in one.subsections] if sent else [])
    fill(made, one, "", pattern, serial, counters, sent=sent, counts=counts)
    return made


def fill(made, one, prefix, pattern, serial, counters, *, sent, counts):
    numbers = {f.name: counts for f in one.fields if f.name in counters}
    for i, field in enumerate(one.fields):

        def element(field=field):
            if field.vmsd is not None:
                return state(field.vmsd, pattern, serial, sent=sent, counts=counts)
            if field.kind in ("buffer", "unused_buffer"):
                return bytes((next(serial) * 7 % 250 + 2) & 0xFF for _ in range(field.size))
            return number(field.kind, pattern, next(serial))

        if field.name in counters:
            value = counts
        elif field.kind == "qtailq":
            value = [element() for _ in range(counts)]
        elif field.count is None:
            value = element()
        else:
            length = numbers[field.count] if isinstance(field.count, str) else field.count
            value = [element() for _ in range(length)]
        setattr(made, f"{prefix}f{i}", value)
    for sub in one.subsections:
        more = {f.count for f in sub.fields if isinstance(f.count, str)}
        if sub.name in made.sent:
            made.sent += [s.name for s in sub.subsections] if sent else []
            fill(made, sub, f"{prefix}{sub.name}:", pattern, serial, more, sent=sent, counts=counts)


def names(one):
    """Return the names of all fields of a description, and of those inside it."""
    return {f.name for f in one.fields}.union(*(names(inner) for inner in one.inner()))


def meaning(one, state, version, shared, prefix=""):
    """Yield every value that was sent or loaded, in wire order, with its kind.

    A field that both sides have by name, as listed in ``shared``, means that field and no other.
    """
    for i, field in enumerate(one.fields):
        if field.version_id > version:
            continue
        value = getattr(state, f"{prefix}f{i}", None)
        yield from [("field", field.name)] if field.name in shared else []
        values = [value] if field.count is None and field.kind != "qtailq" else list(value)
        for each in values:
            if field.kind == "unused_buffer":
                yield from [("unused", 0)] * field.size
            elif field.kind == "buffer":
                yield from (("uint8", byte) for byte in bytes(each))
            elif field.vmsd is not None:
                if field.kind == "qtailq":
                    yield ("element", 1)
                inner = field.vmsd.version_id if field.kind != "qtailq" else field.version_id
                yield from meaning(field.vmsd, each, inner, shared)
            else:
                yield (field.kind, each)
    if one.subsections and hasattr(state, "sent"):
        for sub in one.subsections:
            if sub.name in state.sent:
                yield ("subsection", sub.name)
                yield from meaning(sub, state, sub.version_id, shared, f"{prefix}{sub.name}:")


def loads(old, new, sent_state):
    """Return True if the destination loads the state completely, and every value means the same."""
    data = encode(as_declaration(old), sent_state)
    loaded = Record(sent=[])
    cur = Cursor(memoryview(data + AFTER), judge=True)
    plan = plan_of(as_declaration(new))
    try:
        plan.load(cur, loaded, old.version_id)
    except StreamError:
        return False
    if cur.pos != len(data):
        return False
    skipped = [f for f in new.fields if old.version_id < f.version_id <= new.version_id]
    if skipped:
        return False
    shared = (names(old) & names(new)) - {"unused"}
    with suppress(TypeError, AttributeError):
        mark(loaded, sent_state)
        sent = [*meaning(old, sent_state, old.version_id, shared)]
        return sent == [*meaning(new, loaded, old.version_id, shared)]
    return False


def mark(loaded, sent):
    """Note in a loaded state, and in those inside it, which subsections the source sent."""
    loaded.sent = list(sent.sent)
    for name, value in vars(sent).items():
        other = getattr(loaded, name, None)
        if isinstance(value, Record) and isinstance(other, Record):
            mark(other, value)
        elif isinstance(value, list) and value and isinstance(value[0], Record) and other is not None:
            for one, two in zip(value, other, strict=False):
                if isinstance(two, Record):
                    mark(two, one)


def every_state_loads(old, new):
    return all(
        loads(old, new, state(old, pattern, count(), sent=sent, counts=counts))
        for pattern in PATTERNS
        for sent in (True, False)
        for counts in (0, 1, 2)
    )


@laws
@given(pairs())
def test_compatible_holds_exactly_when_every_state_loads_with_the_same_meaning(pair):
    old, new = pair
    comparison = compare(schema(old), schema(new))
    for direction, source, target in (
        (Direction.FORWARD, old, new),
        (Direction.BACKWARD, new, old),
    ):
        verdict = comparison.compatible(direction)
        assert verdict == every_state_loads(source, target), (direction, comparison.issues)


@laws
@given(pairs())
def test_a_description_is_compatible_with_itself(pair):
    for one in pair:
        comparison = compare(schema(one), schema(one))
        assert all(comparison.compatible(direction) for direction in Direction)


@laws
@given(pairs())
def test_what_is_forward_is_backward_with_the_sides_turned(pair):
    old, new = (schema(one) for one in pair)
    there, back = compare(old, new), compare(new, old)
    assert there.compatible(Direction.FORWARD) == back.compatible(Direction.BACKWARD)
    assert there.breaks(Direction.FORWARD) == back.breaks(Direction.BACKWARD)
