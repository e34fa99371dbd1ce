"""Copies that stand one behind the other are loaded at once, with the verdict of loading each in its turn."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bases import base, destination, loaded, mutated, recipe
from tests.support.laws import laws
from vmstate.describe import Cursor
from vmstate.savevm.commands import DEEPEST
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.instance import Instance

NAMES = ("7.2-pseries-7.2", "2.9.1-pseries-2.1", "11.1-pseries-11.1")
SMALL = NAMES[0]


def within(depth, body="end"):
    return "packaged-within", {"before": "timer", "depth": depth, "body": body}


@st.composite
def repeated(draw):
    """Draw a stream in which something is repeated, the place of that, and its length."""
    name = draw(st.sampled_from(NAMES))
    times = draw(st.integers(1, 40))
    step = draw(
        st.sampled_from(
            [
                *(
                    ("commands-repeated", {"before": "timer", "times": times, "number": n})
                    for n in range(1, 13)
                ),
                *(("pages-again", {"body": part, "times": times}) for part in ("ram#1", "ram#2")),
                *(within(times, body) for body in ("end", "nothing", "section")),
                *(
                    ("subsection-duplicate", {"subsection": one, "times": times})
                    for one in base(name).subsections
                ),
            ]
        )
    )
    (splice,) = recipe(name, step).splices(base(name))
    return name, mutated(name, step), splice.start, len(splice.new)


def verdict(name, data):
    return Instance(destination(name), trace=True).load(memoryview(data))


def alike(name, data):
    """Check that a destination that loads each copy in its turn has the same verdict."""
    with patch.object(Cursor, "copies", lambda cur, start: 0):
        each = verdict(name, data)
    assert verdict(name, data) == each


@laws
@given(st.binary(min_size=1, max_size=4), st.integers(0, 70), st.binary(max_size=6))
def test_copies_are_counted_up_to_the_first_that_differs(one, times, rest):
    data = b"~" + one + one * times + rest
    found = Cursor(memoryview(data), 1 + len(one)).copies(1)
    assert data.startswith(one * (1 + found), 1)
    assert not data.startswith(one * (2 + found), 1)


def test_copies_end_where_the_cursor_does():
    assert Cursor(memoryview(b"ababab"), 2, 5).copies(0) == 1


@laws
@given(repeated())
def test_copies_have_the_verdict_of_each_in_its_turn(case):
    name, data, _, _ = case
    alike(name, data)


@laws
@given(repeated(), st.data())
def test_damaged_copies_have_the_verdict_of_each_in_its_turn(case, more):
    name, data, start, size = case
    at = start + more.draw(st.integers(0, size + 8), label="at")
    alike(name, data[:at])
    byte = more.draw(st.sampled_from((0, 1, 2, 5, 8, 0xFF)), label="byte")
    alike(name, data[:at] + bytes([byte]) + data[at + 1 :])


@pytest.mark.parametrize("name", NAMES)
def test_packages_nest_as_deep_as_the_stack_lasts(name):
    deepest = DEEPEST.at(destination(name).release)
    for depth in (deepest - 1, deepest, deepest + 1):
        alike(name, mutated(name, within(depth)))
    assert loaded(name, within(deepest)).outcome is Outcome.ACCEPT
    assert loaded(name, within(deepest + 1)).aborted


def test_each_copy_of_a_command_says_its_line():
    again = "commands-repeated", {"before": "timer", "times": 1000, "number": 1}
    assert loaded(SMALL, again).messages == ["CMD_OPEN_RETURN_PATH called when RP already open"] * 999
