"""Compare the scenarios' statements about real QEMU with the recordings, and with the installed QEMUs."""

from __future__ import annotations

import re
import shlex
from functools import cache

import pytest

from tests.support.recorded import rows
from vmstate.judge.judge import Judge, Side
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.qemu import find_all
from vmstate.scenarios.files import read_scenario, shipped_scenarios
from vmstate.scenarios.running import run_case

FILES = shipped_scenarios()
DIES = "double free or corruption (fasttop)"  # one of the C library's messages; it may also print none
NO_CASES_ASKED = "no program for the cases of {} is installed; missing: {}"
CELLS_ASKED = 5  # every fifth cell of a table


@cache
def recordings():
    """Return the recorded migrations by source, destination and guest, and the starts by command line."""
    pairs, starts = {}, {}
    for row in rows("proposals"):
        pairs[row["source"], row["destination"], row.get("guest")] = row
        if row["outcome"] == "source-refused":
            starts[row["source"]] = ("refused", row["source_messages"])
        elif "guest" not in row:
            starts[row["source"]] = ("starts", row["source_messages"])
    return pairs, starts


def recorded(case):
    """Return the recording of a case: outcome, lines of the source and the destination; None without one."""
    pairs, starts = recordings()
    if case.start is not None:
        found = starts.get(case.start)
        return found and (found[0], [], found[1])
    row = None if case.edits or case.events else pairs.get((case.source, case.destination, case.guest))
    if row is None:
        return None
    outcome = "reject" if row["outcome"].startswith("crash") else row["outcome"]
    return outcome, row["source_messages"], row["messages"]


def expectation(case, ignore):
    """Return the scenario's statement in the same form, without the last line of a process that died."""

    def kept(lines):
        return [line for line in lines or () if not line.startswith(ignore) and line != DIES]

    return kept, (
        str(case.expected.outcome),
        kept(case.expected.source_messages),
        kept(case.expected.messages),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cases_agree_with_what_was_recorded(path):
    scenario = read_scenario(path)
    wrong = []
    for case in scenario.cases:
        answer = recorded(case)
        kept, expected = expectation(case, scenario.ignore)
        if answer is not None and (answer[0], kept(answer[1]), kept(answer[2])) != expected:
            wrong.append((case.name, answer, expected))
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_same_in_every_cell_is_true_of_every_cell(path):
    unfounded = [
        case.name
        for case in read_scenario(path).cases
        if case.table and case.real.startswith("the same in every cell") and recorded(case) is None
    ]
    assert unfounded == []


def side(text):
    """Return a command line for a real program; None if there is no program: a proposal, a host."""
    program, *arguments = shlex.split(text)
    found = re.fullmatch(r"qemu-([0-9.]+)", program)
    return Side.of(CATALOGUE.release(found[1]), arguments) if found else None


def answer(case, judge, kept):
    """Return real QEMU's answer in the form of :func:`expectation`, without parts that the scenario omits.

    A source that is not a release, or that has events, is simulated; a real QEMU loads its stream.
    """
    sides = [side(text) for text in (case.source, case.destination) if text is not None]
    more = case.guest or case.events or case.edits or case.snapshot
    if len(sides) == 2 and None not in sides and not more:
        real = judge.pair(*sides).real
    else:
        contents = run_case(case).contents
        assert contents is not None
        real = judge.load(contents.stream.data, sides[-1], {}).real
    stated = (case.expected.source_messages, case.expected.messages)
    printed = (real.source_messages, real.messages)
    lines = ([] if own is None else kept(real_lines) for own, real_lines in zip(stated, printed, strict=True))
    return ("reject" if real.outcome == "crash" else str(real.outcome), *lines)


@pytest.mark.qemu
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_qemus_answer_as_the_scenario_says(path, record_property):
    scenario = read_scenario(path)
    binaries = {binary.release: binary for binary in find_all()}
    judge = Judge(binaries)
    asked, missing, wrong = 0, set(), []
    for number, case in enumerate(scenario.cases):
        if case.destination is None or (case.table and number % CELLS_ASKED):
            continue
        needed = {one.release for one in map(side, real_sides(case)) if one is not None}
        missing |= {str(release) for release in needed if release not in binaries}
        if (
            side(case.destination) is None
            or not needed <= set(binaries)
            or case.expected.outcome not in LOADED
        ):
            continue
        asked += 1
        kept, expected = expectation(case, scenario.ignore)
        found = answer(case, judge, kept)
        if (found[0], found[2]) != (expected[0], expected[2]) or found[1] not in ([], expected[1]):
            wrong.append((case.name, found, expected))
    record_property("asked", asked)
    record_property("missing", sorted(missing))
    assert wrong == []
    if not asked:
        pytest.skip(NO_CASES_ASKED.format(path.stem, ", ".join(sorted(missing)) or "none could be asked"))


LOADED = ("accept", "reject", "destination-refused")


def real_sides(case):
    """Return the command lines that need real programs."""
    plain = not (case.guest or case.events or case.edits or case.snapshot)
    return [text for text in (case.source if plain else None, case.destination) if text is not None]
