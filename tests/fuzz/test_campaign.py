"""A small campaign of mutated streams; tools/mutate runs large ones."""

from __future__ import annotations

import pytest

from tests.stream import corpus
from vmstate.fuzz.bytewise import spots
from vmstate.fuzz.compact import compact
from vmstate.fuzz.robustness import Subject, campaign, check, loading, show
from vmstate.stream import open_stream

DESTINATION = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
COUNT = 250


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    found = []
    for name in ("7.2-pseries-7.2", "x86_64-microvm", "s390x-ccw", "2.9.1-pseries-2.1"):
        operations = {"show": show, "verify": check}
        if "pseries" in name:
            operations["load"] = loading(DESTINATION)
        found.append(Subject(name, compact(corpus.load(name)), operations))
    return found


def test_mutated_streams_give_findings_or_our_own_errors_in_bounded_time(subjects):
    *_, outcome = campaign(subjects, first=0, count=COUNT)
    assert [str(failure) for failure in outcome.failures] == []
    assert outcome.streams == COUNT
    assert sum(outcome.runs.values()) >= 2 * COUNT


@pytest.mark.parametrize("name", ["7.2-pseries-7.2", "x86_64-microvm", "s390x-ccw"])
def test_a_stream_made_compact_is_still_the_same_stream(name):
    whole, small = open_stream(corpus.load(name)), open_stream(compact(corpus.load(name)))
    assert small.findings == whole.findings == []
    assert [(s.idstr, s.kind) for s in small.sections] == [(s.idstr, s.kind) for s in whole.sections]
    assert len(small.data) < len(whole.data)


def test_the_numbers_of_a_stream_are_where_they_say():
    data = corpus.load("x86_64-microvm")
    known = spots(data)
    assert {spot.size for spot in known} >= {1, 4, 8}
    assert any(spot.path == "configuration.len" for spot in known)
    for spot in known:
        if spot.path == "configuration.len":
            assert data[spot.start : spot.start + 4] == len("microvm").to_bytes(4, "big")
