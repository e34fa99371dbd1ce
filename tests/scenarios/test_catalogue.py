"""Catalogue A: breakages between releases of pseries, each row as a scenario."""

from __future__ import annotations

import pytest

from vmstate.scenarios.files import read_scenario, shipped_scenarios
from vmstate.scenarios.judging import run_scenario
from vmstate.scenarios.model import Case, Scenario
from vmstate.scenarios.running import Found, run_case

ROWS = range(1, 30)
#: Rows without a scenario, and why.
LEFT_OUT: dict[int, str] = {}

CATALOGUE = [one for one in map(read_scenario, shipped_scenarios()) if one.row is not None]


def test_every_row_has_a_scenario() -> None:
    rows = sorted(one.row or 0 for one in CATALOGUE)
    assert rows == [row for row in ROWS if row not in LEFT_OUT]


@pytest.mark.parametrize("scenario", CATALOGUE, ids=lambda one: one.name)
def test_a_row_fails_before_the_fix_and_passes_after_it(scenario: Scenario) -> None:
    """Cases named "before" fail, those named "after" pass; both have the expected result."""
    assert scenario.name.startswith(f"a{scenario.row:02}-")
    assert scenario.commit
    names = [case.name.split(":")[0] for case in scenario.cases]
    assert {"before", "after"} <= set(names)
    judged = run_scenario(scenario)
    assert [one.wrong for one in judged if not one.passed] == []
    assert all(one.case.real for one in judged)


@pytest.mark.parametrize("scenario", CATALOGUE, ids=lambda one: one.name)
def test_the_two_differ(scenario: Scenario) -> None:
    """They differ in the verdict, the lines, the values on the wire, or the guest afterwards."""
    endings: dict[str, set[str]] = {"before": set(), "after": set()}
    for case in scenario.cases:
        side = case.name.split(":")[0]
        if side in endings:
            endings[side].add(everything_stated(case, run_case(case, scenario.ignore)))
    assert endings["before"] != endings["after"]


def everything_stated(case: Case, found: Found) -> str:
    """Return everything that a case states."""
    state = {path: found.state(path) for path in case.expected.after}
    kvm = found.kvm_destination
    return repr((found.ending, found.messages, found.source_messages, state, found.guest_after, kvm))
