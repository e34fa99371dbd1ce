"""The JSON of QEMU's ``-dump-vmstate`` as a schema (dump_vmstate_json_to_file, migration/savevm.c).

It has device types only, without wire types, kinds of arrays and conditions of subsections; ``size`` is that
of the C type.  The number of elements is there for fixed arrays; a field without it may be a variable one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vmstate.dataclass import replace
from vmstate.errors import ConfigurationError
from vmstate.schema.model import Description, DescriptionFacts, FieldFacts, Knows, Origin, Schema, SchemaField

MACHINE = "vmschkmachine"
_KNOWS = frozenset({Knows.VERSIONS, Knows.UNSENT, Knows.CONDITIONS})
_DEPTH = 64  # nesting of descriptions; real ones have fewer than ten


def is_dump(document: object) -> bool:
    """Return True if a JSON document looks like the output of ``-dump-vmstate``."""
    return isinstance(document, dict) and (
        MACHINE in document
        or any(isinstance(one, dict) and {"Name", "version_id"} <= one.keys() for one in document.values())
    )


def schema_of_dump(text: str | bytes, source: str) -> Schema:
    """Read the output of ``-dump-vmstate``.  Raises ConfigurationError if it is something else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as why:
        raise ConfigurationError(f"{source}: not JSON: {why}") from None
    if not is_dump(document):
        raise ConfigurationError(f"{source}: not the output of -dump-vmstate")
    machine = document.get(MACHINE, {})
    name = machine.get("Name") if isinstance(machine, dict) else None
    notes = []
    descriptions = {}
    for label, entry in document.items():
        if label == MACHINE:
            continue
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{source}: {label!r} is not an object")
        if "Description" not in entry:
            notes.append(f"{label} has no description")
            descriptions[label] = Description(label, _number(entry, "version_id", label), opaque=True)
            continue
        described = _description(entry["Description"], label, _DEPTH)
        section = (_number(entry, "version_id", label), _number(entry, "minimum_version_id", label))
        if section != (described.version_id, described.minimum_version_id):
            notes.append(f"{label}: the versions of the section and of its description differ")
            # Both are the same in QEMU: what either refuses is refused.
            newest, oldest = min(section[0], described.version_id), max(section[1], _minimum(described))
            described = replace(described, version_id=newest, minimum_version_id=oldest)
        descriptions[label] = described
    return Schema(
        source,
        Origin.DUMP,
        descriptions,
        _KNOWS,
        machine=name if isinstance(name, str) else None,
        notes=tuple(notes),
    )


def _minimum(one: Description) -> int:
    return 0 if one.minimum_version_id is None else one.minimum_version_id


def _description(entry: Any, path: str, depth: int) -> Description:
    if not isinstance(entry, dict) or not depth:
        raise ConfigurationError(f"{path}: not a description")
    fields = [_field(one, path, depth - 1) for one in _objects(entry, "Fields", path)]
    subsections = [_subsection(s, path, depth - 1) for s in _objects(entry, "Subsections", path)]
    return Description(
        str(entry.get("name", path)),
        _number(entry, "version_id", path),
        _number(entry, "minimum_version_id", path),
        tuple(fields),
        tuple(subsections),
    )


def _subsection(entry: Any, path: str, depth: int) -> Description:
    """Read a subsection; a dump does not have its needed function, which practically all have."""
    return replace(_description(entry, path, depth), conditional=True)


def _field(entry: Mapping[str, Any], path: str, depth: int) -> SchemaField:
    name = str(entry.get("field", "?"))
    where = f"{path}.{name}"
    size = _number(entry, "size", where)
    inner = entry.get("Description")
    vmsd = None
    if isinstance(inner, dict):
        vmsd = _description(inner, where, depth)
        vmsd = _with_size(vmsd, size)
    return SchemaField(
        name,
        None if vmsd is None else "struct",
        _number(entry, "version_id", where),
        size=None,
        count=_number(entry, "num", where) if "num" in entry else None,
        conditional=entry.get("field_exists") is True,
        vmsd=vmsd,
        facts=FieldFacts(size=size, num=entry.get("num")),
    )


def _with_size(vmsd: Description, size: int) -> Description:
    return replace(vmsd, facts=DescriptionFacts(struct_size=size))


def _objects(entry: Mapping[str, Any], name: str, path: str) -> list[Mapping[str, Any]]:
    listed = entry.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ConfigurationError(f"{path}: {name!r} is not a list of objects")
    return listed


def _number(entry: Mapping[str, Any], name: str, path: str) -> int:
    value = entry.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{path}: {name!r} is not a number")
    return value
