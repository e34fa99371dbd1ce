"""A stream's vmdesc as a schema: each section as it was sent, in one state.

A vmdesc does not say which arrays are counted by a field, what was not sent, or what a destination accepts.
Sections without an entry (guest memory, the hash table) are opaque.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmstate.dataclass import replace
from vmstate.describe.from_vmdesc import Pairs, from_vmdesc, member, parse_json
from vmstate.errors import StreamError
from vmstate.schema.declaration import as_description
from vmstate.schema.model import Description, Knows, Origin, Schema, SchemaField
from vmstate.stream import Stream
from vmstate.tree.decoded import Entries, description_of

_KNOWS = frozenset({Knows.TYPES, Knows.SECTIONS})
_NUMBERED = re.compile(r"(.*?)(?:\[(\d+)\])?(?:#\d+)?\Z", re.DOTALL)


def schema_of_stream(stream: Stream, source: str) -> Schema:
    """Return the schema of a stream's sections, by their names."""
    entries = Entries(stream)
    found: dict[str, Description] = {}
    notes = []
    for section in stream.sections:
        text = entries.text_of(section) if section in stream.devices else None
        version = section.version_id or 0
        one = Description(section.idstr, version, opaque=True)
        if text is not None and b'"vmsd_name"' in text:
            try:
                one = description_sent(text, version)
            except StreamError as why:
                notes.append(f"{section.idstr}: {why}")
        _add(found, section.idstr, section.instance_id, one)
    if not entries.text:
        notes.append("the stream has no vmdesc: only the names and versions of its sections are known")
    machine = stream.configuration.machine if stream.configuration is not None else None
    return Schema(source, Origin.STREAM, found, _KNOWS, machine=machine, notes=tuple(notes))


def is_vmdesc(document: object) -> bool:
    """Return True if a JSON document looks like a vmdesc, as cut from a stream."""
    return isinstance(document, dict) and isinstance(document.get("devices"), list)


def schema_of_vmdesc(text: bytes, source: str) -> Schema:
    """Return the schema of a vmdesc.  Raises StreamError if it is not one that QEMU writes."""
    found: dict[str, Description] = {}
    notes = []
    devices = member(parse_json(text), "devices", list)
    for entry in devices:
        if not isinstance(entry, list):
            raise StreamError("vmdescription: 'devices' is not a list of objects")
        pairs: Pairs = entry
        name = member(pairs, "name", str)
        version = member(pairs, "version", int, 0)
        if all(key != "vmsd_name" for key, _ in pairs):
            one = Description(name, version, opaque=True)
        else:
            try:
                one = _sent(from_vmdesc(pairs), version)
            except StreamError as why:
                notes.append(f"{name}: {why}")
                one = Description(name, version, opaque=True)
        _add(found, name, member(pairs, "instance_id", int, 0), one)
    return Schema(source, Origin.STREAM, found, _KNOWS, notes=tuple(notes))


def _add(found: dict[str, Description], idstr: str, instance: int, one: Description) -> None:
    """Add a section; instances that are described alike are one."""
    if any(known == one for label, known in found.items() if label.partition("[")[0] == idstr):
        return
    found[idstr if idstr not in found else f"{idstr}[{instance}]"] = one


def description_sent(entry: bytes, version: int) -> Description:
    """Return what a device's entry in a vmdesc says was sent.  Raises StreamError if QEMU writes no such."""
    return _sent(description_of(entry), version)


def _sent(declared: object, version: int) -> Description:
    described = _description(as_description(declared))  # type: ignore[arg-type]
    return replace(described, version_id=version)


def _description(one: Description) -> Description:
    return replace(
        one,
        minimum_version_id=None,
        fields=tuple(_folded(map(_field, one.fields))),
        subsections=tuple(map(_description, one.subsections)),
    )


def _field(one: SchemaField) -> SchemaField:
    return replace(one, vmsd=None if one.vmsd is None else _description(one.vmsd))


def _folded(fields: Iterator[SchemaField]) -> Iterator[SchemaField]:
    """Yield fields; elements of an array that are described one by one become the array again.

    Numbers that QEMU appends to names are left out: to those of elements, and of fields of one name.
    """
    last: SchemaField | None = None
    for one in fields:
        found = _NUMBERED.match(one.name)
        assert found is not None
        name, index = found[1], found[2]
        if index is None:
            named = one
        elif last is not None and _continues(last, one, name, int(index)):
            last = replace(last, count=int(index) + 1)
            continue
        else:
            named = replace(one, name=name, count=1 if index == "0" and one.count is None else one.count)
        if last is not None:
            yield last
        last = named
    if last is not None:
        yield last


def _continues(last: SchemaField, one: SchemaField, name: str, index: int) -> bool:
    return last.count == index and replace(one, name=name, count=index) == last
