"""The workbench: a stream that is changed temporarily equals the changed copy, then the stream again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.fuzz.splices import Splice, Workbench, applied


@st.composite
def changes(draw, size):
    """Splices in order that do not overlap."""
    places = sorted(draw(st.lists(st.integers(0, size), max_size=8)))
    splices = [
        Splice(start, end, draw(st.binary(max_size=12)))
        for start, end in zip(places[::2], places[1::2], strict=False)
    ]
    return [one for number, one in enumerate(splices) if not number or splices[number - 1].end < one.start]


@st.composite
def benches(draw):
    base = draw(st.binary(max_size=60))
    return base, draw(st.lists(changes(len(base)), min_size=1, max_size=6))


@given(benches())
def test_a_bench_shows_the_changed_copy_and_restores_the_stream(drawn):
    base, rounds = drawn
    bench = Workbench(base)
    for splices in rounds:
        with bench.changed(splices) as view:
            assert view == applied(base, splices)
        with bench.changed([]) as view:
            assert view == base


def test_a_reader_cannot_write_into_the_changed_stream():
    bench = Workbench(b"abcdef")
    with bench.changed([Splice(1, 2, b"X")]) as view, pytest.raises(TypeError):
        view[0] = 0


def test_splices_of_any_size_fit():
    bench = Workbench(b"abc")
    for size in (10, 1 << 20):
        with bench.changed([Splice(1, 2, bytes(size))]) as view:
            assert view == b"a" + bytes(size) + b"c"
    with bench.changed([]) as view:
        assert view == b"abc"
