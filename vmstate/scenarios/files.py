"""Read scenarios from TOML files: NAME.toml, with the page NAME.md beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vmstate.dataclass import MISSING, fields
from vmstate.errors import ConfigurationError, quantity
from vmstate.scenarios.model import Case, Ending, Expected, Scenario, Table
from vmstate.shipped import shipped
from vmstate.similar_names import did_you_mean

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
    """Return the files that come with the package, sorted by name."""
    return sorted(shipped("scenarios").glob("*.toml"))


def scenario_file(name: str) -> Path:
    """Return the file of a scenario, given the name of one in the package or the path of any other.

    Raises ConfigurationError, listing the known names.
    """
    known = {path.stem: path for path in shipped_scenarios()}
    if name in known:
        return known[name]
    if name.endswith(".toml"):
        return Path(name)
    hint = did_you_mean(name, known) or ";"
    raise ConfigurationError(
        f"no such scenario: {name!r}{hint} known are {', '.join(known)}, and .toml files"
    )


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a file.

    Raises ConfigurationError, naming the file and the case, for a missing or unknown key or for a file that
    is not TOML; OSError.
    """
    try:
        top = tomllib.loads(path.read_text(encoding="utf-8"))
        return _scenario(path.stem, top)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, _Wrong) as error:
        raise ConfigurationError(f"{path}: {error}") from None


class _Wrong(Exception):
    """An error in the file, without the file's name."""


def _scenario(name: str, top: Mapping[str, Any]) -> Scenario:
    _check_keys(top, _TOP | {"case"}, "scenario", ("title", "question", "answer"))
    items: list[Case | Table] = []
    cases: list[Case] = []
    for entry in top.get("case", ()):
        item = _table(entry) if "rows" in entry else _case(entry)
        items.append(item)
        cases += cells_of(item) if isinstance(item, Table) else [item]
    names = [case.name for case in cases]
    if repeated := next((one for one in names if names.count(one) > 1), None):
        raise _Wrong(f"two cases are named {repeated!r}")
    if not cases:
        raise _Wrong("it has no case")
    given = {key: _value(value) for key, value in top.items() if key in _TOP}
    return Scenario(name=name, items=tuple(items), cases=tuple(cases), **given)


def _case(entry: Mapping[str, Any]) -> Case:
    where = f"case {entry.get('name', '?')!r}"
    _check_keys(entry, _CASE | _EXPECTED, where, ("name", "outcome"))
    kind = next((one for one in _KINDS if one[0] in entry), None)
    if kind is None or any(key not in entry for key in kind):
        raise _Wrong(f"{where}: a source and a destination, a stream and a destination, or a start is needed")
    given = {key: _value(value) for key, value in entry.items() if key in _CASE}
    return Case(expected=_expected(entry, where), **given)


def _expected(entry: Mapping[str, Any], where: str) -> Expected:
    given = {key: _value(value) for key, value in entry.items() if key in _EXPECTED}
    try:
        given["outcome"] = Ending(given["outcome"])
    except ValueError:
        endings = ", ".join(Ending)
        raise _Wrong(f"{where}: outcome must be one of {endings}, not {given['outcome']!r}") from None
    return Expected(**given)


def _table(entry: Mapping[str, Any]) -> Table:
    where = f"table {entry.get('name', '?')!r}"
    required = tuple(f.name for f in fields(Table) if f.default is MISSING)
    _check_keys(entry, _TABLE, where, required)
    letters = {}
    for letter, expected in entry["letters"].items():
        _check_keys(expected, _EXPECTED, f"{where}, {letter}", ("outcome",))
        letters[letter] = _expected(expected, f"{where}, {letter}")
    given = {key: _value(value) for key, value in entry.items()}
    table = Table(**{**given, "letters": letters})
    shape = [len(row) for row in table.cells]
    if shape != [len(table.columns)] * len(table.rows):
        lists = quantity(len(table.rows), "list")
        raise _Wrong(f"{where}: cells must be {lists} of {quantity(len(table.columns), 'letter')}")
    return table


def cells_of(table: Table) -> list[Case]:
    """Return the cells of a table as cases, with ``{row}`` and ``{column}`` in its command lines replaced."""
    found = []
    for row, letters in zip(table.rows, table.cells, strict=True):
        for column, letter in zip(table.columns, letters, strict=True):
            if letter not in table.letters:
                raise _Wrong(f"table {table.name!r}: unknown letter {letter!r}")
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


def _check_keys(
    entry: Mapping[str, Any], allowed: Iterable[str], where: str, required: Iterable[str]
) -> None:
    if unknown := sorted(set(entry) - set(allowed)):
        raise _Wrong(f"{where}: no such key: {', '.join(unknown)}; known are {', '.join(sorted(allowed))}")
    if missing := [key for key in required if key not in entry]:
        raise _Wrong(f"{where}: missing: {', '.join(missing)}")


def _value(value: Any) -> Any:
    """Turn lists into tuples, and strip white space around texts."""
    if isinstance(value, list):
        return tuple(_value(one) for one in value)
    return value.strip() if isinstance(value, str) else value
