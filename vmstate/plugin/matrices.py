"""The ``vmstate_matrix`` marker: a case for each two releases and each machine."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

import pytest

from vmstate.errors import ConfigurationError
from vmstate.expectations import Expectation, from_json
from vmstate.matrix.judging import MatrixJudge, MatrixQuestion, Ways
from vmstate.plugin.asking import Asker, Question
from vmstate.plugin.cases import Case
from vmstate.proposals.chosen_set import ChosenSet, Setting

_LISTS = {
    "machine": ("types", ()),
    "releases": ("releases", ()),
    "cpu": ("cpus", ("",)),
    "ic_mode": ("ic_modes", ("",)),
    "host": ("hosts", ("tcg",)),
    "option": ("options", ("",)),
}


def matrix_cases(asker: Asker, marker: pytest.Mark, test: str) -> list[Case]:
    """Return the cases of a marker, always in the same order.  Raises UsageError for a wrong argument."""
    given = dict(marker.kwargs)
    both_ways, rest = given.pop("both_ways", True), given.pop("rest", ChosenSet().rest)
    expect: Mapping[str, Any] = given.pop("expect", {})
    unknown = given.keys() - _LISTS.keys()
    if unknown or marker.args:
        raise pytest.UsageError(
            f"{test}: vmstate_matrix has no {', '.join(sorted(unknown)) or 'such argument'}"
        )
    values: dict[str, Any] = {"compat_modes": ("",), "rest": rest}
    for name, (place, default) in _LISTS.items():
        values[place] = _values(given[name]) if given.get(name) else default
    question = MatrixQuestion(ChosenSet(**values), ways=Ways.BOTH if both_ways else Ways.FORWARD)
    try:
        return _cases(asker, question.judge(), expect)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{test}: {error}") from None


def _values(given: Any) -> tuple[str, ...]:
    words = given.split(",") if isinstance(given, str) else given
    return tuple("" if word == "default" else word for word in words)


def _cases(asker: Asker, judge: MatrixJudge, expect: Mapping[str, Any]) -> list[Case]:
    expectations = {pattern: from_json(value) for pattern, value in expect.items()}
    cases = []
    for setting in judge.settings():
        there = [place for place in range(len(judge.programs)) if judge.offers(place, setting)]
        for source, destination in product(there, there):
            if judge.question.ways.includes(source, destination):
                cases.append(_case(asker, judge, setting, (source, destination), expectations))
    if not cases:
        raise ConfigurationError("no two of the releases have a machine type of the matrix")
    return cases


def _case(
    asker: Asker,
    judge: MatrixJudge,
    setting: Setting,
    places: tuple[int, int],
    expectations: Mapping[str, Expectation],
) -> Case:
    sides = [asker.side(judge.command_line(place, setting)) for place in places]
    way = "->".join(judge.programs[place] for place in places)
    name = f"{way} {judge.words(setting)}"
    wanted = next((one for pattern, one in expectations.items() if _matches(pattern, name, way)), None)
    return Case(asker, Question(sides[1], sides[0]), name, wanted)


def _matches(pattern: str, name: str, way: str) -> bool:
    """Return True if a pattern is of the releases (``9.2.*->7.2.*``), or of the whole name of a case."""
    return fnmatchcase(way, pattern) or fnmatchcase(name, pattern)
