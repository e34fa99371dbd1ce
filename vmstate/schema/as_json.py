"""A schema as JSON and back, without loss (docs/compare.md has the format).

``descriptions`` lists each description once, those that others contain first; ``labels`` and the members
``vmsd``, ``key`` and ``subsections`` give places in that list.  Members with their default are left out, and
keys have a fixed order, so that equal schemas have equal text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vmstate.dataclass import MISSING, fields
from vmstate.errors import ConfigurationError
from vmstate.schema.model import (
    CompatProperty,
    Description,
    DescriptionFacts,
    FieldFacts,
    Knows,
    Origin,
    Schema,
    SchemaField,
)

MEMBER = "vmstate-schema"
VERSION = 1
_PLAIN = (str, int, type(None))


def schema_to_json(schema: Schema) -> str:
    """Return a schema as JSON text, one description on each line."""
    table = _Table()
    labels = {label: table.place(one) for label, one in sorted(schema.descriptions.items())}
    head: dict[str, object] = {
        MEMBER: VERSION,
        "source": schema.source,
        "origin": str(schema.origin),
        "knows": sorted(map(str, schema.knows)),
    }
    head |= {name: value for name in ("qemu", "machine", "target") if (value := getattr(schema, name))}
    head |= {name: list(value) for name in ("notes", "capabilities") if (value := getattr(schema, name))}
    if schema.machines:
        head["machines"] = [[name, *map(list, compat)] for name, compat in schema.machines.items()]
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    lines.append('"descriptions": [\n' + ",\n".join(table.rows) + "\n]")
    lines.append(f'"labels": {json.dumps(labels)}')
    return "{" + ",\n".join(lines) + "}\n"


class _Table:
    """The list of descriptions while it is written."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self._places: dict[str, int] = {}
        self._seen: dict[int, tuple[int, Description]] = {}

    def place(self, one: Description) -> int:
        """Return the place of a description, appended unless an equal one is there."""
        known = self._seen.get(id(one))
        if known is None:
            text = json.dumps(self._members(one))
            if text not in self._places:
                self._places[text] = len(self.rows)
                self.rows.append(text)
            known = self._seen[id(one)] = (self._places[text], one)
        return known[0]

    def _members(self, value: Any) -> Any:
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, tuple):
            return [self.place(v) if isinstance(v, Description) else self._members(v) for v in value]
        members = {}
        for one in fields(value):
            inner = getattr(value, one.name)
            if one.default is MISSING or inner != one.default:
                members[one.name] = (
                    self.place(inner) if isinstance(inner, Description) else self._members(inner)
                )
        return members


def is_schema(document: object) -> bool:
    """Return True if a JSON document is a schema of any version."""
    return isinstance(document, dict) and MEMBER in document


def schema_from_json(text: str | bytes) -> Schema:
    """Read a schema from JSON text.  Raises ConfigurationError, with the place, if it is not one."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as why:
        raise ConfigurationError(f"not JSON: {why}") from None
    if not is_schema(document):
        raise ConfigurationError(f"not a schema: it has no {MEMBER!r}")
    if document[MEMBER] != VERSION:
        raise ConfigurationError(f"a schema of format {document[MEMBER]!r}; this program reads {VERSION}")
    rows = _expect(document, "descriptions", list, "the schema")
    read: list[Description] = []
    for i, row in enumerate(rows):
        read.append(_Row(f"descriptions[{i}]", read).description(row))
    labels = _expect(document, "labels", dict, "the schema")
    try:
        return Schema(
            _expect(document, "source", str, "the schema"),
            Origin(_expect(document, "origin", str, "the schema")),
            {label: _Row("labels", read).inner(place) for label, place in labels.items()},
            frozenset(map(Knows, document.get("knows", ()))),
            _optional(document, "qemu"),
            _optional(document, "machine"),
            _optional(document, "target"),
            tuple(map(str, document.get("notes", ()))),
            {str(name): tuple(map(_compat, compat)) for name, *compat in document.get("machines", ())},
            tuple(map(str, document.get("capabilities", ()))),
        )
    except (ValueError, TypeError) as why:
        raise ConfigurationError(f"the schema: {why}") from None


def _compat(row: object) -> CompatProperty:
    if not isinstance(row, list) or len(row) != 3:
        raise ValueError(f"a compat property is a driver, a property and a value, not {row!r:.40}")
    driver, name, value = map(str, row)
    return (driver, name, value)


def _optional(document: Mapping[str, Any], name: str) -> str | None:
    return _expect(document, name, str, "the schema") if name in document else None


def _expect(document: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        raise ConfigurationError(f"{where}: {name!r} is not a {kind.__name__}")
    return value


#: The types of members that are not simply those of their default.
_KINDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "kind": (str, type(None)),
    "size": (int, str),
    "count": (int, str),
    "minimum_version_id": (int,),
    "struct_version": (int,),
}


class _Row:
    """A description while it is read; ``read`` are those before it."""

    def __init__(self, where: str, read: list[Description]) -> None:
        self.where, self.read = where, read

    def inner(self, place: object) -> Description:
        """Return the description at a place of the list."""
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(self.read):
            raise ConfigurationError(f"{self.where}: no description {place!r} before this one")
        return self.read[place]

    def description(self, row: object) -> Description:
        """Read a description."""
        members = self._members(Description, row, self.where)
        if "fields" in members:
            listed = self._list(members, "fields")
            members["fields"] = tuple(self._field(f, f"{self.where}.fields[{i}]") for i, f in listed)
        if "subsections" in members:
            members["subsections"] = tuple(self.inner(p) for _, p in self._list(members, "subsections"))
        if "hooks" in members:
            members["hooks"] = tuple(str(hook) for _, hook in self._list(members, "hooks"))
        if members.get("facts") is not None:
            facts = self._members(DescriptionFacts, members["facts"], f"{self.where}.facts")
            if "hooks" in facts:
                facts["hooks"] = tuple(self._pair(pair) for _, pair in self._list(facts, "hooks"))
            members["facts"] = DescriptionFacts(**facts)
        return Description(**members)

    def _field(self, row: object, where: str) -> SchemaField:
        members = self._members(SchemaField, row, where)
        for name in ("vmsd", "key"):
            if members.get(name) is not None:
                members[name] = self.inner(members[name])
        if members.get("facts") is not None:
            members["facts"] = FieldFacts(**self._members(FieldFacts, members["facts"], f"{where}.facts"))
        return SchemaField(**members)

    def _members(self, kind: type, row: object, where: str) -> dict[str, Any]:
        if not isinstance(row, dict):
            raise ConfigurationError(f"{where} is not an object")
        known = {one.name: one for one in fields(kind)}
        for name, value in row.items():
            if name not in known:
                raise ConfigurationError(f"{where}: unknown member {name!r}")
            wanted = _KINDS.get(name, self._kind_of(known[name].default))
            if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
                raise ConfigurationError(f"{where}: {name!r} cannot be {value!r:.40}")
        missing = [n for n, f in known.items() if f.default is MISSING and n not in row]
        if missing:
            raise ConfigurationError(f"{where}: {missing[0]!r} is missing")
        return dict(row)

    @staticmethod
    def _kind_of(default: object) -> tuple[type, ...]:
        if isinstance(default, bool):
            return (bool,)
        if isinstance(default, tuple):
            return (list,)
        return (int,) if isinstance(default, int) else (int, str, dict)

    def _list(self, members: Mapping[str, Any], name: str) -> enumerate[Any]:
        if not isinstance(members[name], list):
            raise ConfigurationError(f"{self.where}: {name!r} is not a list")
        return enumerate(members[name])

    def _pair(self, pair: object) -> tuple[str, str]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ConfigurationError(f"{self.where}: a hook is a name and a symbol, not {pair!r:.40}")
        return (str(pair[0]), str(pair[1]))
