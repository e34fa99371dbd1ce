"""Subsections sent, recognised, mistaken and refused (vmstate_subsection_save, _load)."""

from __future__ import annotations

import pytest

from tests.support.wire import END, loaded, saved, wire
from vmstate.describe import (
    Buffer,
    Cursor,
    LoadFailure,
    QTailQ,
    Record,
    Struct,
    UInt8,
    UInt32,
    VMStateDescription,
    decode,
    encode,
    plan_of,
)
from vmstate.describe.diagnostics import FieldFailed, SubsectionFailed, TooNew, TooOld, UnknownSubsection


def vmsd(name, *fields, version=1, oldest=1, **more):
    return VMStateDescription(name, version, oldest, fields=fields, **more)


EXTRA = vmsd("dev/extra", UInt8("e"), needed=lambda s: s.e != 0)
WIDE = vmsd("dev/wide", UInt32("w"), version=3, oldest=2, needed=lambda s: s.w != 0)
DEV = vmsd("dev", UInt8("a"), subsections=[EXTRA, WIDE])

EXTRA_WIRE = "05 09 'dev/extra' 00000001"
WIDE_WIRE = "05 08 'dev/wide' 00000003"


def failing(description, data, state=None):
    """Return the reports and the errno of a load that fails."""
    cur = Cursor(memoryview(data + END), judge=True)
    with pytest.raises(LoadFailure) as failure:
        plan_of(description).load(cur, Record() if state is None else state, description.version_id)
    return cur.diagnostics, failure.value.ret


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"a": 1, "e": 0, "w": 0}, "01"),
        ({"a": 1, "e": 2, "w": 0}, f"01 | {EXTRA_WIRE} 02"),
        ({"a": 1, "e": 0, "w": 7}, f"01 | {WIDE_WIRE} 00000007"),
        ({"a": 1, "e": 2, "w": 7}, f"01 | {EXTRA_WIRE} 02 | {WIDE_WIRE} 00000007"),
    ],
)
def test_only_needed_subsections_are_sent_in_the_order_of_their_declaration(state, text):
    assert saved(DEV, Record(**state)) == wire(text)
    assert vars(loaded(DEV, wire(text), Record(a=0, e=0, w=0))) == state


def test_a_destination_takes_subsections_in_any_order_and_more_than_once():
    data = wire(f"01 | {WIDE_WIRE} 00000007 | {EXTRA_WIRE} 02 | {WIDE_WIRE} 00000008")
    state = loaded(DEV, data)
    assert (state.e, state.w) == (2, 8)


def test_of_copies_of_a_subsection_the_state_has_the_values_once():
    data = wire(f"01 | {WIDE_WIRE} 00000007" + f" | {WIDE_WIRE} 00000008" * 50 + f" | {EXTRA_WIRE} 02")
    state = loaded(DEV, data)
    assert (state.e, state.w) == (2, 8)


def test_a_subsection_with_a_hook_is_loaded_as_often_as_it_comes():
    hooked = vmsd("dev/hooked", UInt8("h"), post_load=lambda s, _: s.seen.append(s.h))
    dev = vmsd("dev", UInt8("a"), subsections=[hooked, EXTRA])
    once, padded = "05 0a 'dev/hooked' 00000001 02", "05 0c 'dev/hooked' 0000 00000001 02"
    for copies in (once, f"{once} | {EXTRA_WIRE} 02", f"{padded} | {EXTRA_WIRE} 02"):
        state = loaded(dev, wire("01" + f" | {copies}" * 5), Record(seen=[]))
        assert state.seen == [2] * 5


def test_a_decoded_section_keeps_the_order_and_the_versions_of_its_subsections():
    data = wire(f"01 | 05 08 'dev/wide' abcdef02 00000007 | {EXTRA_WIRE} 02")
    _, decoded, error = decode(DEV, memoryview(data), 0, 1)
    assert error is None
    assert encode(DEV, decoded, replay=True) == data


def test_a_subsection_without_needed_is_always_sent():
    always = vmsd("dev", UInt8("a"), subsections=[vmsd("dev/always", UInt8("b"))])
    assert saved(always, Record(a=1, b=2)) == wire("01 | 05 0a 'dev/always' 00000001 02")


def test_before_3_1_a_list_of_subsections_ends_at_one_without_needed():
    always = vmsd("dev/always", UInt8("b"))
    dev = vmsd("dev", UInt8("a"), subsections=[EXTRA, always, WIDE])
    state = Record(a=1, e=2, b=3, w=4)
    assert saved(dev.at("3.0.1"), state) == wire(f"01 | {EXTRA_WIRE} 02")
    assert saved(dev.at("3.1"), state) == wire(
        f"01 | {EXTRA_WIRE} 02 | 05 0a 'dev/always' 00000001 03 | {WIDE_WIRE} 00000004"
    )
    reports, ret = failing(dev.at("3.0.1"), wire(f"01 | {WIDE_WIRE} 00000004"))
    assert (reports, ret) == ([UnknownSubsection("dev", "dev/wide")], -2)


def test_an_unknown_subsection_is_refused_with_enoent():
    reports, ret = failing(DEV, wire("01 | 05 07 'dev/new' 00000001"))
    assert reports == [UnknownSubsection("dev", "dev/new")]
    assert ret == -2


def test_a_name_of_somebody_else_ends_the_subsections():
    cur = Cursor(memoryview(wire("01 | 05 09 'abc/extra' 00000001 02") + END), judge=True)
    plan_of(DEV).load(cur, Record(), 1)
    assert cur.pos == 1


@pytest.mark.parametrize("name", ["dev", "de", ""])
def test_a_name_that_is_not_longer_than_ours_ends_the_subsections(name):
    data = bytes([1, 5, len(name)]) + name.encode() + END
    cur = Cursor(memoryview(data), judge=True)
    plan_of(DEV).load(cur, Record(), 1)
    assert cur.pos == 1


def test_only_the_beginning_of_the_name_decides_whose_it_is():
    reports, ret = failing(DEV, wire("01 | 05 07 'device!' 00000001"))  # begins with dev, if not with dev/
    assert reports == [UnknownSubsection("dev", "device!")]
    assert ret == -2


@pytest.mark.parametrize("version", [1, 4])
def test_a_subsection_outside_its_window_is_refused(version):
    reports, ret = failing(DEV, wire(f"01 | 05 08 'dev/wide' 0000000{version} 00000007"))
    first = TooOld("dev/wide", 1, 2) if version == 1 else TooNew("dev/wide", 4, 3)
    assert reports == [first, SubsectionFailed("dev", "dev/wide", -22)]
    assert ret == -22


def test_only_the_low_byte_of_a_subsections_version_counts():
    assert loaded(DEV, wire("01 | 05 08 'dev/wide' abcdef02 00000007")).w == 7


def test_subsections_of_subsections_share_the_state_of_the_section():
    inner = vmsd("dev/extra/more", UInt8("m"), needed=lambda s: s.a == 1)
    extra = vmsd("dev/extra", UInt8("e"), needed=lambda s: True, subsections=[inner])
    dev = vmsd("dev", UInt8("a"), subsections=[extra])
    data = wire(f"01 | {EXTRA_WIRE} 02 | 05 0e 'dev/extra/more' 00000001 03")
    assert saved(dev, Record(a=1, e=2, m=3)) == data
    assert vars(loaded(dev, data)) == {"a": 1, "e": 2, "m": 3}


def test_a_subsection_that_comes_again_keeps_only_its_own_subsections():
    """Else each one would be written with those of all the others: n times n for n that a stream has."""
    inner = vmsd("dev/extra/more", UInt8("m"), needed=lambda s: True)
    dev = vmsd("dev", UInt8("a"), subsections=[vmsd("dev/extra", UInt8("e"), subsections=[inner])])
    more = f"{EXTRA_WIRE} 02 | 05 0e 'dev/extra/more' 00000001 03 |"
    data = wire(f"01 | {more * 3} {EXTRA_WIRE} 02 | {more}")
    _, decoded, error = decode(dev, memoryview(data), 0, 1)
    assert error is None
    assert encode(dev, decoded, replay=True) == data
    assert encode(dev, decoded, replay=True) == data


def test_an_inner_subsection_that_fails_is_named_by_all_around_it():
    inner = vmsd("dev/extra/more", UInt8("m"), post_load=lambda s, v: -1, needed=lambda s: True)
    dev = vmsd("dev", UInt8("a"), subsections=[vmsd("dev/extra", UInt8("e"), subsections=[inner])])
    reports, ret = failing(dev, wire(f"01 | {EXTRA_WIRE} 02 | 05 0e 'dev/extra/more' 00000001 03"))
    assert ret == -1
    assert reports[1:] == [
        SubsectionFailed("dev/extra", "dev/extra/more", -1),
        SubsectionFailed("dev", "dev/extra", -1),
    ]


# ---- inside structs, where any byte 5 may follow

PART = vmsd("part", UInt8("p"), subsections=[vmsd("part/s", UInt8("s"), needed=lambda s: s.s != 0)])


def test_a_struct_takes_the_subsections_that_begin_with_its_name():
    whole = vmsd("whole", Struct("part", PART), UInt8("z"))
    data = wire("01 | 05 06 'part/s' 00000001 09 | 7f")
    assert saved(whole, Record(part=Record(p=1, s=9), z=0x7F)) == data
    state = loaded(whole, data)
    assert (state.part.p, state.part.s, state.z) == (1, 9, 0x7F)


def test_a_field_that_looks_like_a_subsection_of_the_struct_before_it_is_taken_for_one():
    whole = vmsd("whole", Struct("part", PART), Buffer("text", 8))
    source = Record(part=Record(p=1, s=0), text=wire("05 06 'part/x'"))
    reports, ret = failing(whole, saved(whole, source), Record(part=Record()))
    assert reports == [UnknownSubsection("part", "part/x"), FieldFailed("whole", "part", None, False, -2)]
    assert ret == -2


def test_a_struct_without_subsections_mistakes_them_too():
    whole = vmsd("whole", Struct("part", vmsd("part", UInt8("p")))[2])
    reports, ret = failing(whole, wire("01 05 06 'part/s' 00000001"))
    assert reports == [UnknownSubsection("part", "part/s"), FieldFailed("whole", "part", None, False, -2)]
    assert ret == -2


def test_a_uniform_array_is_kept_as_a_view_unless_an_element_could_be_mistaken():
    whole = vmsd("whole", Struct("parts", vmsd("part", UInt8("p"), UInt8("q")))[3])
    assert type(loaded(whole, bytes(6)).parts).__name__ == "WireRecords"
    lookalike = b"\1\5" + b"\4part"[:4]
    state = loaded(whole, lookalike)
    assert [(part.p, part.q) for part in state.parts] == [(1, 5), (4, ord("p")), (ord("a"), ord("r"))]


def test_elements_of_a_queue_have_subsections_of_their_own():
    whole = vmsd("whole", QTailQ("parts", PART))
    data = wire("01 07 | 05 06 'part/s' 00000001 09 | 01 08 | 00")
    source = Record(parts=[Record(p=7, s=9), Record(p=8, s=0)])
    assert saved(whole, source) == data
    assert [part.p for part in loaded(whole, data).parts] == [7, 8]


def test_a_name_cut_off_by_the_end_is_no_subsection_for_a_destination_but_sets_its_file_error():
    cur = Cursor(memoryview(wire("01 | 05 09 'dev/ex'")), judge=True)
    plan_of(DEV).load(cur, Record(), 1)
    assert (cur.pos, cur.short) == (1, True)


@pytest.mark.parametrize("text", ["01 05", "01 05 09", "01 05 09 'dev/ex'", f"01 {EXTRA_WIRE}"[:-2]])
def test_a_decoder_tells_that_a_subsection_is_cut_off(text):
    data = wire(text)
    _, _, error = decode(DEV, memoryview(data), 0, 1)
    assert error is not None
    assert error.offset + error.available == len(data)
