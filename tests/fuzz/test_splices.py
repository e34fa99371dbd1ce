"""The workbench: a stream changed for a moment is the changed copy, and then the stream again."""

from __future__ import annotations

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
def test_a_bench_shows_what_a_changed_copy_has_and_forgets_it(drawn):
    base, rounds = drawn
    bench = Workbench(base)
    for splices in rounds:
        with bench.changed(splices) as view:
            assert view == applied(base, splices)
        with bench.changed([]) as view:
            assert view == base


def test_there_is_room_for_edits_of_any_size():
    bench = Workbench(b"abc")
    for size in (10, 1 << 20):
        with bench.changed([Splice(1, 2, bytes(size))]) as view:
            assert view == b"a" + bytes(size) + b"c"
    with bench.changed([]) as view:
        assert view == b"abc"
