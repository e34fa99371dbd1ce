"""Sections without a value that is explained part by part are recognized without looking at each place."""

from __future__ import annotations

from pathlib import Path

import pytest

import vmstate
from vmstate.front.known import known_meanings
from vmstate.tree.meanings import may_have_parts, names_with_parts, parts_of
from vmstate.tree.paths import below, owner_of, tops

STREAMS = Path(__file__).resolve().parents[2] / "streams"


@pytest.mark.parametrize(
    ("name", "some"), [("10.0-booted-virtio-smp2", True), ("x86_64-q35", False)], ids=["pseries", "x86"]
)
def test_a_section_that_has_such_a_value_may_have_it(name, some):
    meanings = known_meanings()
    names = names_with_parts(meanings)
    explained = []
    with vmstate.open(STREAMS / f"{name}.mig.zst") as given:
        for place in tops(given.contents):
            owner = owner_of(given.contents, place)
            if any(parts_of(meanings, inner) for inner in below(place, owner)):
                explained.append(place.path)
                assert may_have_parts(names, place.node)
        without = [one for one in tops(given.contents) if not may_have_parts(names, one.node)]
    assert bool(explained) is some
    assert len(without) > len(explained)


def test_no_such_value_has_any_name():
    """Names decide what may have parts: a table for all fields of a description would be missed."""
    assert "*" not in names_with_parts(known_meanings())
