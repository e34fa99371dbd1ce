"""Batches of migrations or loads: JSON objects in, JSON objects out, one per line, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vmstate.containers import open_input
from vmstate.errors import NotModelled, VmstateError
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.savevm.verdict import Verdict, cannot_judge
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.history import migrate_history
from vmstate.simulate.migration import load, migrate


def migrations(lines: Iterable[str], catalogue: Catalogue = CATALOGUE) -> Iterator[dict[str, object]]:
    """Judge migrations, one per line: ``{"source": …, "destination": …}``.

    ``guest`` in a line is the guest that has booted on the source, ``events`` a list of what happened then.
    A line that cannot be judged is answered by an object with ``error``; its outcome is ``not modelled`` if
    that is the reason.
    """
    parsed = _Parsed(catalogue)

    def judge(row: dict[str, Any]) -> Verdict:
        sides = parsed(row["source"]), parsed(row["destination"])
        if "events" in row:
            guest = named_guest(row["guest"]) if "guest" in row else None
            return migrate_history(*sides, row["events"], guest=guest, catalogue=catalogue)
        return migrate_guest(*sides, row["guest"]) if "guest" in row else migrate(*sides)

    return _each(lines, judge)


def loads(lines: Iterable[str], catalogue: Catalogue = CATALOGUE) -> Iterator[dict[str, object]]:
    """Judge loads, one per line: ``{"stream": PATH, "destination": …}``.

    Streams may be wrapped or compressed.
    """
    parsed = _Parsed(catalogue)

    def judge(row: dict[str, Any]) -> Verdict:
        if not isinstance(row["stream"], str):
            raise TypeError("the stream is no path")
        with open_input(row["stream"]) as opened:
            return load(opened.data, parsed(row["destination"]))

    return _each(lines, judge)


class _Parsed:
    """A cache of parsed command lines."""

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
        except NotModelled as unknown:
            yield {**cannot_judge(unknown).as_json(), "error": str(unknown), "line": number}
        except (VmstateError, OSError) as error:
            yield {"error": str(error), "line": number}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            reason = f"missing {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
            yield {"error": f"cannot be judged: {reason}", "line": number}
