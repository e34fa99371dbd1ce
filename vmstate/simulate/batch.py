"""Many migrations, or loads, at once: JSON objects in, JSON objects out, a line each, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vmstate.containers import open_input
from vmstate.errors import VmstateError
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.migration import load, migrate


def migrations(lines: Iterable[str], catalogue: Catalogue = CATALOGUE) -> Iterator[dict[str, object]]:
    """``{"source": …, "destination": …}`` a line; an object with ``error`` where it cannot be judged.

    A line's ``guest`` is what has booted on the source.
    """
    parsed = _Parsed(catalogue)

    def judge(row: dict[str, Any]) -> Verdict:
        sides = parsed(row["source"]), parsed(row["destination"])
        return migrate_guest(*sides, row["guest"]) if "guest" in row else migrate(*sides)

    return _each(lines, judge)


def loads(lines: Iterable[str], catalogue: Catalogue = CATALOGUE) -> Iterator[dict[str, object]]:
    """``{"stream": PATH, "destination": …}`` a line; streams may be wrapped or compressed."""
    parsed = _Parsed(catalogue)

    def judge(row: dict[str, Any]) -> Verdict:
        with open_input(row["stream"]) as opened:
            return load(opened.data, parsed(row["destination"]))

    return _each(lines, judge)


class _Parsed:
    """Command lines that were read before need not be read again."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, Configuration] = {}

    def __call__(self, text: str) -> Configuration:
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = parse(text, self._catalogue)
        return known


def _each(lines: Iterable[str], judge: Callable[[dict[str, Any]], Verdict]) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            yield judge(row).as_json()
        except (VmstateError, OSError) as error:
            yield {"error": str(error), "line": number}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            what = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
            yield {"error": f"not an object that can be judged: {what}", "line": number}
