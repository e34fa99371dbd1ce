"""Migrations that have sides in common get the verdicts that each gets alone, in whatever order they come."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.dataclass import replace
from vmstate.describe import Writer
from vmstate.describe.cursor import Room
from vmstate.errors import NotModelled
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Verdict
from vmstate.simulate import batch, migration
from vmstate.simulate.batch import Migrations
from vmstate.simulate.migration import Sides, load, migrate, save

LINES = (
    "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256",
    "qemu-7.2 -nodefaults -machine pseries-7.2,cap-htm=off,cap-cfpc=broken -m 256 -smp 2",
    "qemu-7.2 -nodefaults -machine pseries-7.2,ic-mode=xive -m 256",
    "qemu-10.0 -machine pseries-7.2 -m 512",
    "qemu-10.0 -nodefaults -machine pseries-7.2 -m 256 -smp 3,threads=2",  # does not start
    "qemu-11.1 -nodefaults -machine pseries-9.2 -m 256 -device pci-serial-2x",  # its source crashes
)
numbers = st.integers(0, len(LINES) - 1)
SIDES = [parse(line) for line in LINES]


def result(judge) -> Verdict | tuple[str, ...]:
    try:
        return judge()
    except NotModelled as unknown:
        return (str(unknown), *unknown.messages, *unknown.source_messages)


@cache
def alone(source: int, destination: int) -> Verdict | tuple[str, ...]:
    return result(lambda: migrate(SIDES[source], SIDES[destination]))


@cache
def sent(source: int) -> bytes:
    return save(SIDES[source])


@given(st.lists(st.tuples(numbers, numbers), max_size=12), st.sampled_from([0, 5 << 20, 1 << 30]))
def test_a_migration_among_others_gets_its_own_verdict(pairs, kept):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration, "_KEPT", kept)
        patch.setattr(migration, "_DESTINATIONS", 2)
        sides = Sides()
        for source, destination in pairs:
            found = result(lambda s=source, d=destination: sides.migrate(SIDES[s], SIDES[d]))
            assert found == alone(source, destination)


@given(st.integers(0, 3), numbers)
def test_a_destination_says_of_the_whole_stream_what_it_says_of_one_without_what_none_reads(
    source, destination
):
    expected = result(lambda: load(sent(source), SIDES[destination]))
    found = alone(source, destination)
    assert isinstance(found, Verdict)
    assert replace(found, source_messages=[], known_bugs=[]) == replace(expected, known_bugs=[])


@given(st.lists(st.tuples(st.integers(0, 3), numbers), max_size=12))
def test_a_load_among_others_gets_its_own_verdict(loads):
    sides = Sides()
    for source, destination in loads:
        stream = sent(source)
        found = result(lambda s=stream, d=destination: sides.load(s, SIDES[d]))
        assert found == result(lambda s=stream, d=destination: load(s, SIDES[d]))


def test_a_source_that_comes_again_and_again_runs_twice_at_most(monkeypatch):
    runs: list[object] = []
    send = migration.send

    def counted(source, **names):
        runs.append(source)
        return send(source, **names)

    monkeypatch.setattr(migration, "send", counted)
    sides = Sides()
    for source in (0, 1, 2) * 4:
        for destination in (0, 3):
            sides.migrate(SIDES[source], SIDES[destination])
    assert len(runs) == 6


@given(st.lists(st.tuples(numbers, numbers), max_size=8), st.sampled_from([1, 2, 100]))
def test_a_row_of_a_batch_gets_its_own_verdict_however_few_lines_are_kept(pairs, kept):
    rows = [json.dumps({"source": LINES[source], "destination": LINES[to]}) for source, to in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "_LINES", kept)
        together = Migrations()
        answers = [together((number, row)) for number, row in enumerate(rows)]
    assert answers == [Migrations()((number, row)) for number, row in enumerate(rows)]


parts = st.lists(st.binary(max_size=40), max_size=6)


@given(st.lists(parts, max_size=6))
def test_a_room_holds_one_stream_after_another(streams):
    room = Room()
    for each in streams:
        writer = Writer()
        for part in each:
            writer.put(part)
        view = writer.join_in(room)
        assert view == writer.join()
        assert view.readonly
