"""Descriptions as rows: every field, subsection and version, with the releases that have it.

A row keeps the declared points of history ("2.11.1, 2.12"), so it does not depend on the list of releases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Field, History, Release, Span, VMStateDescription
from vmstate.describe.history import ALWAYS, Points, reached

#: The description behind a field that QEMU reads and writes by hand, if it is declared.
Inside = Callable[[Field], "VMStateDescription | None"]
#: A value from a release on: its points (empty: from the oldest release known) and the value.
Change = tuple[tuple[str, ...], Any]


@dataclass(frozen=True, eq=False)
class Row:
    """A description, a subsection or a field, as declared.

    ``path`` begins with the name of the section or subsection: ``cpu/compat.compat_pvr``.  ``spans``: its own
    and those of everything that contains it; a release that has the row is in all of them.  ``chain`` leads
    from the section to the declaration.
    """

    path: str
    kind: str
    name: str
    depth: int
    spans: tuple[Span, ...]
    chain: tuple[VMStateDescription | Field, ...]

    def exists(self, release: Release) -> bool:
        """Return True if ``release`` has it."""
        return all(span.covers(release) for span in self.spans)

    def is_in(self, other: Row) -> bool:
        """Return True if this is ``other``, or inside it."""
        return self.chain[: len(other.chain)] == other.chain

    @property
    def since(self) -> tuple[str, ...]:
        """The first releases with it, stable ones first; empty if the oldest known release has it."""
        return _points(max((s.since for s in self.spans if s.since is not None), key=_mainline, default=()))

    @property
    def until(self) -> tuple[str, ...]:
        """The first releases without it, stable ones first; empty if the newest release has it."""
        return _points(min((s.until for s in self.spans if s.until is not None), key=_mainline, default=()))

    @property
    def declared(self) -> VMStateDescription | Field:
        """The declaration itself."""
        return self.chain[-1]

    @property
    def description(self) -> VMStateDescription | None:
        """The description of a section or subsection; None for a field."""
        return self.declared if isinstance(self.declared, VMStateDescription) else None

    @property
    def versions(self) -> list[Change]:
        """The version_id over time; for a field, the section version that it came with."""
        return changes(self.declared.version_id)

    @property
    def minimum_versions(self) -> list[Change]:
        """The minimum_version_id over time; empty for a field."""
        return changes(self.description.minimum_version_id) if self.description is not None else []

    @property
    def condition(self) -> object:
        """The function, or history of functions, that decides if it is sent; None: it always is."""
        declared = self.declared
        return declared.needed if isinstance(declared, VMStateDescription) else declared.exists

    @property
    def conditions(self) -> list[Change]:
        """When it is sent, in words, over time; "" means always."""
        return [
            (points, "" if value is None else meaning(value)) for points, value in changes(self.condition)
        ]

    @property
    def type(self) -> str:
        """The wire type of a field, with the count or size: ``uint64[32]``, ``buffer(256)``."""
        return "" if isinstance(self.declared, VMStateDescription) else type_of(self.declared)

    def as_json(self) -> dict[str, object]:
        """Return the row as a JSON object."""
        return {
            "path": self.path,
            "kind": self.kind,
            "name": self.name,
            "type": self.type,
            "since": self.since,
            "until": self.until,
            "versions": [{"since": points, "value": value} for points, value in self.versions],
            "minimum_versions": [
                {"since": points, "value": value} for points, value in self.minimum_versions
            ],
            "sent_when": [{"since": points, "value": value or "always"} for points, value in self.conditions],
        }


def rows(description: VMStateDescription, inside: Inside) -> list[Row]:
    """Return all rows of a section, in wire order, the section first."""
    return list(_rows(_Place(description.name, 0, (), ()), description, "section", inside))


@dataclass(frozen=True)
class _Place:
    path: str
    depth: int
    spans: tuple[Span, ...]
    chain: tuple[VMStateDescription | Field, ...]

    def below(self, path: str, thing: VMStateDescription | Field) -> _Place:
        spans = self.spans if thing.span == ALWAYS else (*self.spans, thing.span)
        return _Place(path, self.depth + 1, spans, (*self.chain, thing))

    def row(self, kind: str, name: str) -> Row:
        return Row(self.path, kind, name, self.depth, self.spans, self.chain)


def _rows(place: _Place, description: VMStateDescription, kind: str, inside: Inside) -> Iterator[Row]:
    if kind == "section":
        place = replace(place.below(place.path, description), depth=0)
    if kind != "struct":
        yield place.row(kind, description.name)
    for field in description.fields:
        here = place.below(f"{place.path}.{field.name}", field)
        inner = field.vmsd or inside(field)
        yield here.row("field" if inner is None else "struct", field.name)
        if inner is not None:
            yield from _rows(here, inner, "struct", inside)
    for part in description.subsections:
        yield from _rows(place.below(part.name, part), part, "subsection", inside)


def type_of(field: Field) -> str:
    """Return the wire type of a field in short form: ``uint64[32]``."""
    if field.must_exist:
        return "check"
    inner = f"struct {field.vmsd.name}" if field.vmsd is not None else ""
    name = field.info.name if field.info is not None else inner
    if field.info is not None and inner:
        name += f" of {inner}"
    if field.struct_version is not None:
        name += f" version {field.struct_version}"
    if field.size:
        factor = f"{field.multiply} * " if field.multiply > 1 and isinstance(field.size, str) else ""
        name += f"({factor}{field.size})"
    if field.shape:
        name += "".join(f"[{length}]" for length in field.shape)
    elif field.count is not None:
        name += f"[{field.count}]"
    return f"pointer to {name}" if field.pointers else name


def changes(value: Any) -> list[Change]:
    """Return a value, or its history, as points and values, oldest first, without repetitions."""
    if not isinstance(value, History):
        return [((), value)]
    found: list[Change] = [((), value.first)]
    for points, later in value.changes:
        if later != found[-1][1]:
            found.append((_points(points), later))
    return found


def meaning(function: Any) -> str:
    """Return the condition that a ``needed`` or ``exists`` function tests: its docstring, else its name."""
    function = getattr(function, "func", function)  # a proposal's hook is a partial
    text = (getattr(function, "__doc__", None) or "").strip()
    if text:
        return " ".join(text.split("\n\n")[0].split()).replace("``", "")
    name = getattr(function, "__name__", "").strip("_")
    words = name.replace("_", " ") if name.isidentifier() else "a condition"
    return f"{words} (not explained further)"


def in_force(history: list[Change], release: Release) -> Any:
    """Return the value that ``release`` has."""
    value = history[0][1]
    for points, later in history[1:]:
        if reached(points, release):
            value = later
    return value


def _points(points: Points) -> tuple[str, ...]:
    return (points,) if isinstance(points, str) else points


def _mainline(points: Points) -> Release:
    return Release.parse(_points(points)[-1])
