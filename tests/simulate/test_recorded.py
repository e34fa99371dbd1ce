"""Predictions of recorded answers of real QEMUs: outcome and every line."""

from __future__ import annotations

import pytest

from tests.support import corpus
from tests.support.recorded import answer, rows, side
from vmstate.judge.recording import edited
from vmstate.simulate.migration import load, migrate


def wrong_pair(row):
    if "destination" not in row:
        return None
    verdict = migrate(side(row["source"]), side(row["destination"]))
    if not row["save"]["ok"]:
        expected = ("source-refused", row["save"]["stderr"], [])
        return None if printed(verdict) == expected else (row, printed(verdict))
    outcome, lines = answer(row["load"])
    return None if printed(verdict) == (outcome, row["save"]["stderr"], lines) else (row, printed(verdict))


def printed(verdict):
    return str(verdict.outcome), verdict.source_messages, verdict.messages


def wrong_load(row, data):
    verdict = load(data, side(row["destination"]))
    simulated = (str(verdict.outcome), verdict.messages)
    return None if simulated == answer(row["load"]) else (row, simulated)


PAIRS, LOADS, MUTANTS = 1100, 150, 300  # of 12,778, 756 and 1,500: as many as time allows, spread evenly


def some(name, wanted):
    found = list(rows(name))
    return [found[index * len(found) // wanted] for index in range(wanted)]


@pytest.mark.parametrize("part", range(4))
def test_migrations_end_as_recorded_with_the_same_lines(part):
    chosen = some("pairs", PAIRS)[part::4]
    assert [wrong for row in chosen if (wrong := wrong_pair(row))] == []


@pytest.mark.parametrize("part", range(2))
def test_migrations_of_disks_and_bridges_end_as_recorded_with_the_same_lines(part):
    chosen = list(rows("buses"))[part::2]
    assert [wrong for row in chosen if (wrong := wrong_pair(row))] == []


def test_captured_streams_load_as_recorded_with_the_same_lines():
    chosen = some("loads", LOADS)
    assert [wrong for row in chosen if (wrong := wrong_load(row, corpus.load(row["stream"])))] == []


@pytest.mark.parametrize("part", range(2))
def test_damaged_streams_load_as_recorded_with_the_same_lines(part):
    chosen = some("mutants", MUTANTS)[part::2]
    mutants = ((row, edited(corpus.load(row["base"]), row["edits"])) for row in chosen)
    assert [wrong for row, data in mutants if (wrong := wrong_load(row, data))] == []


@pytest.mark.parametrize("part", range(2))
def test_virtio_devices_of_real_guests_migrate_as_recorded_with_the_same_lines(part):
    chosen = list(rows("virtio-pairs"))[part::2]
    assert [wrong for row in chosen if (wrong := wrong_pair(row))] == []


@pytest.mark.parametrize("release", ["5.2.0", "7.2.22", "10.0.13", "11.1.3"])
def test_each_run_state_ends_as_recorded_with_the_same_lines(release):
    chosen = [row for row in rows("run-states") if row["destination"]["release"] == release]
    mutants = ((row, edited(corpus.load(row["base"]), row["edits"])) for row in chosen)
    assert len(chosen) == 18
    assert [wrong for row, data in mutants if (wrong := wrong_load(row, data))] == []


def test_the_indexes_of_queues_are_compared_with_guest_memory_as_recorded():
    chosen = list(rows("queue-indexes"))
    mutants = ((row, edited(corpus.load(row["base"]), row["edits"])) for row in chosen)
    assert len(chosen) == 58
    assert [wrong for row, data in mutants if (wrong := wrong_load(row, data))] == []


@pytest.mark.parametrize("part", range(2))
def test_properties_that_differ_end_as_recorded_with_the_same_lines(part):
    chosen = list(rows("property-pairs"))[part::2]
    assert chosen
    assert [wrong for row in chosen if (wrong := wrong_pair(row))] == []
