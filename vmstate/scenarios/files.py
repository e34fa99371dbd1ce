"""Scenarios as TOML files: NAME.toml, with the page NAME.md beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.scenarios.model import Case, Ending, Expected, Scenario, Table
from vmstate.shipped import shipped

_EXPECTED = {field.name for field in fields(Expected)}
_DERIVED = {"expected", "table", "row", "column"}
_CASE = {field.name for field in fields(Case)} - _DERIVED
_TABLE = {field.name for field in fields(Table)}
_TOP = {field.name for field in fields(Scenario)} - {"name", "items", "cases"}
_KINDS: tuple[tuple[str, ...], ...] = (
    ("source", "destination"),
    ("stream", "destination"),
    ("start",),
)


def shipped_scenarios() -> list[Path]:
    """The files that come with the package, by name."""
    return sorted(shipped("scenarios").glob("*.toml"))


def scenario_file(name: str) -> Path:
    """The file of a scenario: one of the package by its name, or the path of any other.

    Raises ConfigurationError naming those that there are.
    """
    known = {path.stem: path for path in shipped_scenarios()}
    if name in known:
        return known[name]
    if name.endswith(".toml"):
        return Path(name)
    raise ConfigurationError(f"no such scenario: {name!r}; there are {', '.join(known)}, or a .toml file")


def read_scenario(path: Path) -> Scenario:
    """The scenario of a file.

    Raises ConfigurationError, with the file and the case, for what is missing, unknown or no TOML; OSError.
    """
    try:
        top = tomllib.loads(path.read_text(encoding="utf-8"))
        return _scenario(path.stem, top)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, _Wrong) as error:
        raise ConfigurationError(f"{path}: {error}") from None


class _Wrong(Exception):
    """Something in the file; it does not know the file's name."""


def _scenario(name: str, top: Mapping[str, Any]) -> Scenario:
    _known(top, _TOP | {"case"}, "scenario", ("title", "question", "answer"))
    items: list[Case | Table] = []
    cases: list[Case] = []
    for facts in top.get("case", ()):
        item = _table(facts) if "rows" in facts else _case(facts)
        items.append(item)
        cases += cells_of(item) if isinstance(item, Table) else [item]
    names = [case.name for case in cases]
    if doubled := next((one for one in names if names.count(one) > 1), None):
        raise _Wrong(f"two cases are called {doubled!r}")
    if not cases:
        raise _Wrong("there is no case in it")
    given = {key: _value(value) for key, value in top.items() if key in _TOP}
    return Scenario(name=name, items=tuple(items), cases=tuple(cases), **given)


def _case(facts: Mapping[str, Any]) -> Case:
    where = f"case {facts.get('name', '?')!r}"
    _known(facts, _CASE | _EXPECTED, where, ("name", "outcome"))
    kind = next((one for one in _KINDS if one[0] in facts), None)
    if kind is None or any(key not in facts for key in kind):
        raise _Wrong(f"{where}: a source and a destination, a stream and a destination, or a start is needed")
    given = {key: _value(value) for key, value in facts.items() if key in _CASE}
    return Case(expected=_expected(facts, where), **given)


def _expected(facts: Mapping[str, Any], where: str) -> Expected:
    given = {key: _value(value) for key, value in facts.items() if key in _EXPECTED}
    try:
        given["outcome"] = Ending(given["outcome"])
    except ValueError:
        endings = ", ".join(Ending)
        raise _Wrong(f"{where}: outcome is one of {endings}, not {given['outcome']!r}") from None
    return Expected(**given)


def _table(facts: Mapping[str, Any]) -> Table:
    where = f"table {facts.get('name', '?')!r}"
    required = tuple(f.name for f in fields(Table) if f.default is MISSING)
    _known(facts, _TABLE, where, required)
    letters = {}
    for letter, expected in facts["letters"].items():
        _known(expected, _EXPECTED, f"{where}, {letter}", ("outcome",))
        letters[letter] = _expected(expected, f"{where}, {letter}")
    given = {key: _value(value) for key, value in facts.items()}
    table = Table(**{**given, "letters": letters})
    shape = [len(row) for row in table.cells]
    if shape != [len(table.columns)] * len(table.rows):
        raise _Wrong(f"{where}: cells are {len(table.rows)} lists of {len(table.columns)}")
    return table


def cells_of(table: Table) -> list[Case]:
    """The cases of a table, row by row; ``{row}`` and ``{column}`` stand in its command lines."""
    found = []
    for row, letters in zip(table.rows, table.cells, strict=True):
        for column, letter in zip(table.columns, letters, strict=True):
            if letter not in table.letters:
                raise _Wrong(f"table {table.name!r}: no letter {letter!r}")
            found.append(
                Case(
                    name=f"{table.name}: {row} to {column}",
                    expected=table.letters[letter],
                    source=table.source.replace("{row}", row).replace("{column}", column),
                    destination=table.destination.replace("{row}", row).replace("{column}", column),
                    real=table.real,
                    table=table.name,
                    row=row,
                    column=column,
                )
            )
    return found


def _known(facts: Mapping[str, Any], allowed: Iterable[str], where: str, required: Iterable[str]) -> None:
    if unknown := sorted(set(facts) - set(allowed)):
        raise _Wrong(f"{where}: no such key: {', '.join(unknown)}; there are {', '.join(sorted(allowed))}")
    if missing := [key for key in required if key not in facts]:
        raise _Wrong(f"{where}: {', '.join(missing)} is missing")


def _value(value: Any) -> Any:
    """Lists as tuples; texts without the blanks around them."""
    if isinstance(value, list):
        return tuple(_value(one) for one in value)
    return value.strip() if isinstance(value, str) else value
