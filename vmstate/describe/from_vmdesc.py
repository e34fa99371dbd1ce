"""Descriptions made from the JSON at the end of a stream, to decode that stream.

Such a description is fixed: the vmdesc describes the bytes that were written, not those that could have been.
A field of an unknown type becomes bytes with that type's name, as the vmdesc always gives the size.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from vmstate.dataclass import replace
from vmstate.describe.composites import with_node
from vmstate.describe.cursor import Cursor, Writer
from vmstate.describe.description import Record, VMStateDescription
from vmstate.describe.fields import Field
from vmstate.describe.infos import BITMAP, BUFFER, NULLPTR, SCALARS, UINT32, UINT64, UNUSED, Bytes, Info
from vmstate.describe.nodes import Known
from vmstate.describe.plan import plan_of
from vmstate.describe.vmdesc import fixed_size
from vmstate.errors import StreamError
from vmstate.pattern import pattern

Pairs = list[tuple[str, Any]]
MAX_DEPTH = 64  # nesting of structs; real streams have fewer than ten

_PAIR = rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\xed[\xa0-\xbf][\x80-\xbf]"
_SURROGATES = pattern(b"(" + _PAIR + b")|" + _HALF)


def whole_characters(text: bytes) -> bytes:
    """Return JSON text with a question mark for each lone surrogate, escaped or encoded."""
    if b"\\u" not in text and b"\xed" not in text:
        return text
    return _SURROGATES.sub(lambda found: found[1] or b"?", text)


def parse_json(text: bytes | bytearray | memoryview) -> Pairs:
    """Return the vmdesc as nested lists of pairs: keys may repeat, and their order counts.

    Raises StreamError if it is not a JSON object.
    """
    try:
        parsed = json.loads(whole_characters(bytes(text)), object_pairs_hook=_Object)
    except (ValueError, RecursionError) as why:
        raise StreamError(f"the vmdescription is not JSON: {why}") from None
    if not isinstance(parsed, _Object):
        raise StreamError("the vmdescription is not a JSON object")
    return parsed


class _Object(Pairs):
    """A JSON object as pairs."""


def member(pairs: Pairs, key: str, kind: type, default: Any = None) -> Any:
    """Return the first member of that name; raises StreamError if it has another type."""
    for k, value in pairs:
        if k == key:
            if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
                return value
            raise StreamError(f"vmdescription: {key!r} is {type(value).__name__}, not {kind.__name__}")
    if default is None:
        raise StreamError(f"vmdescription: {key!r} is missing")
    return default


def from_vmdesc(entry: Pairs, owner: str = "", known: Known | None = None) -> VMStateDescription:
    """Return the description of an entry of ``devices``, or of the ``configuration`` object.

    ``owner``: the prefix of the attributes in the section's state.  ``known`` knows the inside of some bytes
    that the vmdesc does not describe.  Raises StreamError if the entry is not
    one that QEMU writes.
    """
    name = member(entry, "vmsd_name", str, member(entry, "name", str, "?"))
    return _description(entry, name, known, MAX_DEPTH, owner)


def _description(
    entry: Pairs, name: str, known: Known | None, depth: int, owner: str = ""
) -> VMStateDescription:
    """Make a description; ``owner``: the prefix of its attributes in the section's state."""
    if depth == 0:
        raise StreamError(f"vmdescription: structs nested deeper than {MAX_DEPTH}", path=name)
    version = member(entry, "version", int, 0)
    if not -(1 << 31) <= version < 1 << 32:
        raise StreamError("vmdescription: a version of more than 32 bits", path=name, found=version)
    fields = [_field(f, name, known, depth - 1) for f in _objects(entry, "fields")]
    total = Counter(field.name for field in fields)
    single = {f.name for f in fields if f.vmsd is not None and f.count is None}
    seen: Counter[str] = Counter()
    for i, field in enumerate(fields):
        if not field.attr:
            continue
        nth, own = seen[field.name], field.name
        seen[field.name] += 1
        if total[own] > 1 and own in single:  # elements described one by one, without a number
            own = f"{own}[{nth}]"
        elif nth:  # null pointers split an array into entries of one name
            own = f"{own}#{nth}"
        if owner or own != field.name:
            fields[i] = replace(field, name=own, attr=f"{owner}{own}")
    subsections = []
    for inner in _objects(entry, "subsections"):
        title = member(inner, "vmsd_name", str)
        subsections.append(_description(inner, title, known, depth - 1, f"{owner}{title}:"))
    return VMStateDescription(name, version, min(0, version), fields, subsections)


def _objects(entry: Pairs, key: str) -> list[_Object]:
    items = member(entry, key, list, [None])
    if items == [None]:
        return []
    if isinstance(items, _Object) or not all(isinstance(i, _Object) for i in items):
        raise StreamError(f"vmdescription: {key!r} is not a list of objects")
    return items  # type: ignore[no-any-return]


def _field(entry: Pairs, owner: str, known: Known | None, depth: int) -> Field:
    name = member(entry, "name", str)
    kind = member(entry, "type", str)
    size = member(entry, "size", int)
    if size < 0:
        raise StreamError(f"vmdescription: negative size of {name}")
    keys = {k for k, _ in entry}
    count = max(0, member(entry, "array_len", int)) if "array_len" in keys else None
    blob = None if known is None else known(owner, name, kind, size)
    if "index" in keys:
        name = f"{name}[{member(entry, 'index', int)}]"
    if count is not None and size == 0:
        count = 0  # elements without bytes: nothing to read, however many are claimed
    groups = sent_groups(entry)
    if "struct" in keys:
        inner = member(entry, "struct", list)
        if not isinstance(inner, _Object):
            raise StreamError(f"vmdescription: 'struct' of {name} is not an object")
        return _struct(name, inner, kind, size, count, known, depth)
    if groups:
        return _composite(name, kind, size, count, groups, known, depth)
    return _plain(name, kind, size, count, blob)


def _plain(name: str, kind: str, size: int, count: int | None, blob: Info | None) -> Field:
    if blob is not None:
        return Field(name, blob, attr=name, size=size, count=count)
    info: Info | None = SCALARS.get(kind)
    if info is not None and info.width == size:
        return Field(name, info, attr=name, count=count)
    if kind == "nullptr" or (kind == "uint64" and size == 1):
        return Field(name, NULLPTR, attr=name, count=count)
    if kind == UNUSED.name:
        return Field(name, UNUSED, size=size, count=count)
    if kind == BITMAP.name and size % 8 == 0:
        return Field(name, BITMAP, attr=name, size=8 * size, count=count)
    return Field(name, BUFFER if kind == BUFFER.name else Bytes(kind), attr=name, size=size, count=count)


def _struct(
    name: str, inner: Pairs, kind: str, size: int, count: int | None, known: Known | None, depth: int
) -> Field:
    if not inner:
        return Field(name, NULLPTR if size == 1 else Bytes(kind), attr=name, size=size, count=count)
    vmsd = _description(inner, member(inner, "vmsd_name", str, name), known, depth)
    fixed = fixed_size(plan_of(vmsd), _version(vmsd))
    if fixed is not None and fixed != size:
        # A variable array inside a compressed one is described wrongly, but its bytes are there.
        return Field(name, Bytes(kind), attr=name, size=size, count=count)
    return Field(name, vmsd=vmsd, attr=name, count=count)


def _version(vmsd: VMStateDescription) -> int:
    return vmsd.version_id if isinstance(vmsd.version_id, int) else 0


def sent_groups(entry: Pairs) -> list[Pairs]:
    """Return the descriptions written straight into a field: vmsd_name, version, fields, subsections."""
    groups: list[Pairs] = []
    for key, value in entry:
        if key == "vmsd_name":
            groups.append(_Object())
        if groups and key in {"vmsd_name", "version", "fields", "subsections"}:
            groups[-1].append((key, value))
    return groups


def _composite(
    name: str, kind: str, size: int, count: int | None, groups: list[Pairs], known: Known | None, depth: int
) -> Field:
    vmsds = [_description(g, member(g, "vmsd_name", str), known, depth) for g in groups]
    if kind in {"vstruct", "tmp"} and len(vmsds) == 1:
        return Field(name, vmsd=vmsds[0], attr=name, count=count, struct_version=_version(vmsds[0]))
    if kind in {"qtailq", "qlist", "gtree"} and count is None:
        return Field(name, Groups(kind, vmsds), attr=name, size=size)
    return Field(name, Bytes(kind), attr=name, size=size, count=count)


class Groups(Info):
    """A queue or tree as a vmdesc describes it: one description for each element."""

    def __init__(self, name: str, vmsds: Sequence[VMStateDescription]) -> None:
        self.name = name
        self.vmsds = vmsds

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> list[tuple[Any, ...]]:
        start = cur.pos
        keyed = 1
        if self.name == "gtree":
            nodes = UINT32.get(cur, field, state, 0, None)
            keyed = 2 if nodes and len(self.vmsds) == 2 * nodes else 1
        elements: list[tuple[Any, ...]] = []
        for at in range(0, len(self.vmsds), keyed):
            self._mark(cur, 1)
            direct = (UINT64.get(cur, field, state, 0, None),) if self.name == "gtree" and keyed == 1 else ()
            records = tuple(Record() for _ in range(keyed))
            for vmsd, record in zip(self.vmsds[at : at + keyed], records, strict=False):
                with_node(cur, at // keyed, plan_of(vmsd), record, _version(vmsd))
            elements.append(direct + records)
        self._mark(cur, 0)
        if cur.pos - start != size:
            raise StreamError(
                "the vmdescription gives another size", offset=start, expected=size, found=cur.pos - start
            )
        return elements

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        if self.name == "gtree":
            UINT32.put(out, field, state, 0, len(value))
        vmsds = iter(self.vmsds)
        for element in value:
            out.put(b"\1")
            for part in element:
                if isinstance(part, int):
                    UINT64.put(out, field, state, 0, part)
                else:
                    plan_of(next(vmsds)).save(out, part)
        out.put(b"\0")

    @staticmethod
    def _mark(cur: Cursor, wanted: int) -> None:
        at = cur.pos
        found = cur.byte()
        if bool(found) != bool(wanted):
            raise StreamError(
                "a queue's element marker differs from the vmdescription", offset=at, found=found
            )
