"""Batches of migrations or loads: JSON objects in, JSON objects out, one per line, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError, NotModelled, VmstateError
from vmstate.expectations import Ended, Expectation, beside, from_json
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.savevm.verdict import Verdict, cannot_judge
from vmstate.similar_names import did_you_mean
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.history import migrate_history
from vmstate.simulate.migration import Sides
from vmstate.stream.opening import open_source
from vmstate.users_code import blamed

Answer = dict[str, object]
Line = tuple[int, str]  # the number of a line, and its text

_LINES = 4096  # that are kept parsed, one or two kilobytes each


class _Rows:
    """Answers lines, one at a time: None for an empty one.

    A line that cannot be judged is answered by an object with ``error``; its outcome is ``not modelled`` if
    that is the reason.  ``expect`` in a line is what should come of it (:mod:`vmstate.expectations`), by
    default ``default``; the answer then says ``as_expected``.  ``name`` of a line is repeated.
    """

    def __init__(self, catalogue: Catalogue = CATALOGUE, default: Expectation | None = None) -> None:
        self._parsed = _Parsed(catalogue)
        self._catalogue = catalogue
        self._default = default
        self._sides = Sides()

    def __call__(self, numbered: Line) -> Answer | None:
        number, line = numbered
        if not line.strip():
            return None
        name: Answer = {}
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ConfigurationError(f"cannot be judged: a row is an object, found {_kind(row)}")
            name = {"name": row["name"]} if "name" in row else {}
            expectation = from_json(row["expect"]) if "expect" in row else self._otherwise(row)
            return {**name, **_answer(row, self._judge, expectation, number)}
        except json.JSONDecodeError as error:
            return {"error": f"cannot be judged: no line of JSON: {error}", "line": number}
        except RecursionError as error:
            return {"error": f"cannot be judged: {error}", "line": number}
        except (VmstateError, OSError) as error:
            return {**name, "error": str(error), "line": number}
        except (Exception, SystemExit) as error:
            theirs = blamed(error)
            if theirs is None:
                raise
            return {**name, "error": str(theirs), "line": number}

    def _judge(self, row: dict[str, Any]) -> Verdict:
        raise NotImplementedError

    def _otherwise(self, _row: dict[str, Any]) -> Expectation | None:
        """Return the expectation of a row that does not say it."""
        return self._default


class Migrations(_Rows):
    """Judges migrations: ``{"source": …, "destination": …}``.

    ``guest`` in a line is the guest that has booted on the source, ``events`` a list of what happened then.
    """

    def _judge(self, row: dict[str, Any]) -> Verdict:
        sides = self._parsed(_text(row, "source")), self._parsed(_text(row, "destination"))
        guest = named_guest(_text(row, "guest")) if "guest" in row else None
        if "events" in row:
            return migrate_history(*sides, _events(row), guest=guest, catalogue=self._catalogue)
        return self._sides.migrate(*sides) if guest is None else migrate_guest(*sides, guest)


class Loads(_Rows):
    """Judges loads: ``{"stream": PATH, "destination": …}``; streams may be wrapped or compressed.

    A file beside the stream may have the expectation too.
    """

    def _judge(self, row: dict[str, Any]) -> Verdict:
        destination = self._parsed(_text(row, "destination"))
        with open_source(_text(row, "stream")) as opened:
            return self._sides.load(opened.data, destination)

    def _otherwise(self, row: dict[str, Any]) -> Expectation | None:
        stream = row.get("stream")
        return (beside(Path(stream)) if isinstance(stream, str) else None) or self._default


class _Parsed:
    """The last command lines, parsed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, Configuration] = {}

    def __call__(self, text: str) -> Configuration:
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = parse(text, self._catalogue)
            if len(self._known) > _LINES:
                del self._known[next(iter(self._known))]
        return known


def _text(row: dict[str, Any], key: str) -> str:
    """Return a member of a row, which must be text.  Raises ConfigurationError."""
    if key not in row:
        raise ConfigurationError(f"cannot be judged: the row has no {key!r}{did_you_mean(key, row)}")
    value = row[key]
    if not isinstance(value, str):
        raise ConfigurationError(f"cannot be judged: {key!r} must be text, found {_kind(value)}")
    return value


def _events(row: dict[str, Any]) -> list[str]:
    value = row["events"]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigurationError(f"cannot be judged: 'events' must be a list of texts, found {_kind(value)}")
    return value


def _kind(value: object) -> str:
    """Return what JSON calls a value."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


def _answer(
    row: dict[str, Any],
    judge: Callable[[dict[str, Any]], Verdict],
    expectation: Expectation | None,
    number: int,
) -> Answer:
    """Judge a row, and compare the verdict with the expectation."""
    error: Answer = {}
    try:
        verdict = judge(row)
    except NotModelled as unknown:
        verdict = cannot_judge(unknown)
        error = {"error": str(unknown), "line": number}
    return {**verdict.as_json(), **error, **compared(verdict, expectation)}


def compared(verdict: Verdict, expectation: Expectation | None) -> Answer:
    """Return what a JSON answer says about an expectation; nothing without one."""
    if expectation is None:
        return {}
    unexpected = list(expectation.differences(Ended.of(verdict)))
    return {"expect": expectation.as_json(), "as_expected": not unexpected, "unexpected": unexpected}
