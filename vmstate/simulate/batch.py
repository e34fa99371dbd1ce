"""Batches of migrations or loads: JSON objects in, JSON objects out, one per line, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
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
from vmstate.simulate.migration import load, migrate
from vmstate.stream.opening import open_source
from vmstate.users_code import blamed


def migrations(
    lines: Iterable[str], catalogue: Catalogue = CATALOGUE, default: Expectation | None = None
) -> Iterator[dict[str, object]]:
    """Judge migrations, one per line: ``{"source": …, "destination": …}``.

    ``guest`` in a line is the guest that has booted on the source, ``events`` a list of what happened then;
    ``expect`` is what should come of it (:mod:`vmstate.expectations`), by default ``default``.  The answer
    then says ``as_expected``; ``name`` of a line is repeated.
    A line that cannot be judged is answered by an object with ``error``; its outcome is ``not modelled`` if
    that is the reason.
    """
    parsed = _Parsed(catalogue)

    def judge(row: dict[str, Any]) -> Verdict:
        sides = parsed(_text(row, "source")), parsed(_text(row, "destination"))
        guest = named_guest(_text(row, "guest")) if "guest" in row else None
        if "events" in row:
            return migrate_history(*sides, _events(row), guest=guest, catalogue=catalogue)
        return migrate(*sides) if guest is None else migrate_guest(*sides, guest)

    return _each(lines, judge, lambda _: default)


def loads(
    lines: Iterable[str], catalogue: Catalogue = CATALOGUE, default: Expectation | None = None
) -> Iterator[dict[str, object]]:
    """Judge loads, one per line: ``{"stream": PATH, "destination": …}``, with ``expect`` as above.

    A file beside the stream may have the expectation too.  Streams may be wrapped or compressed.
    """
    parsed = _Parsed(catalogue)

    def judge(row: dict[str, Any]) -> Verdict:
        destination = parsed(_text(row, "destination"))
        with open_source(_text(row, "stream")) as opened:
            return load(opened.data, destination)

    def otherwise(row: dict[str, Any]) -> Expectation | None:
        stream = row.get("stream")
        return (beside(Path(stream)) if isinstance(stream, str) else None) or default

    return _each(lines, judge, otherwise)


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


def _each(
    lines: Iterable[str],
    judge: Callable[[dict[str, Any]], Verdict],
    otherwise: Callable[[dict[str, Any]], Expectation | None],
) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name: dict[str, object] = {}
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ConfigurationError(f"cannot be judged: a row is an object, found {_kind(row)}")
            name = {"name": row["name"]} if "name" in row else {}
            expectation = from_json(row["expect"]) if "expect" in row else otherwise(row)
            yield {**name, **_answer(row, judge, expectation, number)}
        except json.JSONDecodeError as error:
            yield {"error": f"cannot be judged: no line of JSON: {error}", "line": number}
        except RecursionError as error:
            yield {"error": f"cannot be judged: {error}", "line": number}
        except (VmstateError, OSError) as error:
            yield {**name, "error": str(error), "line": number}
        except (Exception, SystemExit) as error:
            theirs = blamed(error)
            if theirs is None:
                raise
            yield {**name, "error": str(theirs), "line": number}


def _answer(
    row: dict[str, Any],
    judge: Callable[[dict[str, Any]], Verdict],
    expectation: Expectation | None,
    number: int,
) -> dict[str, object]:
    """Judge a row, and compare the verdict with the expectation."""
    error: dict[str, object] = {}
    try:
        verdict = judge(row)
    except NotModelled as unknown:
        verdict = cannot_judge(unknown)
        error = {"error": str(unknown), "line": number}
    return {**verdict.as_json(), **error, **compared(verdict, expectation)}


def compared(verdict: Verdict, expectation: Expectation | None) -> dict[str, object]:
    """Return what a JSON answer says about an expectation; nothing without one."""
    if expectation is None:
        return {}
    unexpected = list(expectation.differences(Ended.of(verdict)))
    return {"expect": expectation.as_json(), "as_expected": not unexpected, "unexpected": unexpected}
