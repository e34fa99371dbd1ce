"""Our own reading of any changed stream: findings with a place, or one of our errors."""

from __future__ import annotations

import pytest

from tests.support import corpus
from vmstate.fuzz.compact import compact
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.targets import Reader
from vmstate.fuzz.worker import Batch, Worker
from vmstate.stream import open_stream

DESTINATION = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
COUNT = 100


def bases(*names: str) -> tuple[Base, ...]:
    return tuple(Base.of(name, compact(corpus.load(name))) for name in names)


def test_changed_streams_of_any_machine_are_read_in_bounded_time():
    tally = Worker(Plan(bases("7.2-pseries-7.2", "x86_64-microvm", "s390x-ccw", "m68k-virt"))).batch(
        Batch(0, COUNT)
    )
    assert [found.as_json() for found in tally.found.values()] == []
    assert set(tally.outcomes) <= {"reading: accept", "reading: reject"}
    assert tally.traced["section.damaged"] > 0, "what was found in the streams is counted"


def test_sampled_runs_are_read_loaded_and_traced():
    plan = Plan(bases("7.2-pseries-7.2", "2.9.1-pseries-2.1"), on=DESTINATION, sample=2)
    tally = Worker(plan).batch(Batch(0, COUNT))
    assert [found.as_json() for found in tally.found.values()] == []
    assert sum(tally.outcomes.values()) == COUNT, "one answer counts for each run"
    assert {"section", "section.damaged"} <= set(tally.traced)


def test_an_exception_while_reading_is_a_finding_that_its_recipe_reproduces(monkeypatch):
    def broken(self: Reader, data: bytes) -> None:
        if b"\x15ics" not in data:
            raise KeyError("ics")

    monkeypatch.setattr(Reader, "show", broken)
    worker = Worker(Plan(bases("7.2-pseries-7.2"), on=DESTINATION, sample=1, only=("section-missing",)))
    tally = worker.batch(Batch(0, COUNT))
    (found,) = tally.found.values()
    assert (found.target, found.signature) == ("reading", "KeyError in test_reading.py broken: 'ics'")
    assert worker.findings(found.recipe, sampled=False) == []
    assert [again.key for again in worker.findings(found.recipe)] == [found.key]


def test_a_finding_without_a_place_is_a_fault(monkeypatch):
    from vmstate.errors import StreamError

    def broken(self: Reader, data: bytes) -> None:
        raise StreamError("something is wrong")

    monkeypatch.setattr(Reader, "show", broken)
    data = corpus.load("x86_64-microvm")
    (fault,) = Reader().run(memoryview(data)).faults
    assert (fault.kind, fault.signature) == ("no place", "something is wrong")


@pytest.mark.parametrize("name", ["7.2-pseries-7.2", "x86_64-microvm", "s390x-ccw"])
def test_a_compact_stream_is_otherwise_the_same(name):
    whole, small = open_stream(corpus.load(name)), open_stream(compact(corpus.load(name)))
    assert small.findings == whole.findings == []
    assert [(s.idstr, s.kind) for s in small.sections] == [(s.idstr, s.kind) for s in whole.sections]
    assert len(small.data) < len(whole.data)
