"""as_construct: its keys, local objects and errors; and the plan's values, from real streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import construct
import pytest
import zstandard
from hypothesis import given, settings

from tests.support.laws import plain
from tests.support.wire import saved, wire
from vmstate.describe import (
    Buffer,
    History,
    Info,
    Pointers,
    Record,
    Struct,
    Tmp,
    UInt8,
    UInt16,
    UInt32,
    VMStateDescription,
    as_construct,
    container_of,
    decode,
    scalar,
)
from vmstate.describe.from_vmdesc import from_vmdesc, member, parse_json
from vmstate.describe.strategies import payloads
from vmstate.errors import DeclarationError
from vmstate.stream import open_stream

STREAMS = Path(__file__).resolve().parents[2] / "streams"


def vmsd(*fields, version=1, oldest=1, **more):
    return VMStateDescription("dev", version, oldest, fields=fields, **more)


def test_members_are_keyed_by_their_attributes_and_subsections_are_listed():
    sub = VMStateDescription("dev/sub", 1, 1, fields=[UInt8("b")], needed=lambda s: True)
    declared = as_construct(vmsd(UInt16("env.a"), subsections=[sub]))
    parsed = declared.parse(wire("0102 | 05 07 'dev/sub' 00000001 07"))
    assert parsed.a == 0x0102
    assert [(s.idstr, s.version_id, s.state.b) for s in parsed.subsections] == [("dev/sub", 1, 7)]


def test_what_is_built_needs_only_keys():
    sub = VMStateDescription("dev/sub", 1, 1, fields=[UInt8("b")], needed=lambda s: True)
    declared = as_construct(
        vmsd(UInt16("a"), UInt8("maybe", exists=lambda s, v: s.a == 1), subsections=[sub])
    )
    assert declared.build({"a": 2}) == wire("0002")
    sent = [{"idstr": "dev/sub", "version_id": 1, "state": {"b": 7}}]
    assert declared.build({"a": 1, "maybe": 9, "subsections": sent}) == wire(
        "0001 09 | 05 07 'dev/sub' 00000001 07"
    )


def test_a_field_that_is_not_there_is_none():
    declared = as_construct(vmsd(UInt8("a"), UInt8("b", exists=lambda s, v: s.a == 1)))
    assert declared.parse(b"\1\2").b == 2
    assert declared.parse(b"\0").b is None


def test_of_fields_that_share_an_attribute_the_one_that_is_there_counts():
    old = UInt8("size", exists=lambda s, v: s.kind == 0)
    new = UInt32("size", exists=lambda s, v: s.kind == 1)
    declared = as_construct(vmsd(UInt8("kind"), old, new))
    assert declared.parse(b"\0\5").size == 5
    assert declared.parse(b"\1\0\0\0\6").size == 6


def test_what_is_not_on_the_wire_comes_from_the_local_object():
    declared = as_construct(vmsd(UInt8("x")["n"], Pointers(UInt8("p")[2]), Buffer("b", "n")))
    parsed = declared.parse(wire("0102 | 30 07 | 'hi'"), local=Record(n=2, p=[None, 0]))
    assert (list(parsed.x), list(parsed.p), parsed.b) == ([1, 2], [None, 7], b"hi")
    with pytest.raises(construct.ConstructError, match="no number 'n'"):
        declared.parse(wire("0102"))


def test_nested_structs_ask_the_local_objects_part():
    inner = VMStateDescription("inner", 1, 1, fields=[UInt8("x")["n"]])
    declared = as_construct(vmsd(Struct("one", inner), Struct("many", inner)[2]))
    local = Record(one=Record(n=1), many=[Record(n=2), Record(n=0)])
    parsed = declared.parse(wire("01 | 02 03"), local=local)
    assert [list(parsed.one.x), *(list(m.x) for m in parsed.many)] == [[1], [2, 3], []]


def test_a_subsection_sees_its_section_and_those_before_it():
    first = VMStateDescription("dev/1", 1, 1, fields=[UInt8("m")], needed=lambda s: True)
    second = VMStateDescription(
        "dev/2", 1, 1, fields=[UInt8("x")["n"], UInt8("y")["m"]], needed=lambda s: True
    )
    declared = as_construct(vmsd(UInt8("n"), subsections=[first, second]))
    data = wire("02 | 05 05 'dev/1' 00000001 01 | 05 05 'dev/2' 00000001 0a0b 0c")
    state = declared.parse(data).subsections[1].state
    assert (list(state.x), list(state.y)) == ([10, 11], [12])
    assert declared.build(declared.parse(data)) == data


@pytest.mark.parametrize("version", [0, 4])
def test_versions_outside_the_window_are_refused(version):
    with pytest.raises(construct.ConstructError, match=r"within 1\.\.3"):
        as_construct(vmsd(UInt8("a"), version=3), version).parse(b"\1")


def test_an_unknown_subsection_is_refused():
    with pytest.raises(construct.ConstructError, match="dev/new"):
        as_construct(vmsd(UInt8("a"))).parse(wire("01 05 07 'dev/new' 00000001"))


def test_a_hostile_count_is_refused_at_once():
    inner = VMStateDescription("inner", 1, 1, fields=[])
    with pytest.raises(construct.ConstructError, match="far beyond"):
        as_construct(vmsd(UInt32("n"), Struct("x", inner)["n"])).parse(b"\xff" * 8)


def test_a_description_that_still_varies_has_no_declaration():
    with pytest.raises(DeclarationError):
        as_construct(VMStateDescription("dev", History(1, ("3.0", 2)), fields=[UInt8("a")]))


def test_a_wire_type_of_ones_own_has_no_counterpart():
    class Odd(Info):
        name = "odd"

    with pytest.raises(DeclarationError, match="odd"):
        as_construct(vmsd(scalar(Odd())("a")))


def test_scratch_state_is_a_container_of_its_own():
    child = VMStateDescription("child", fields=[UInt8("x")])
    description = vmsd(UInt8("a"), Tmp(child, lambda parent: parent.scratch))
    assert saved(description, Record(a=1, scratch=Record(x=2))) == b"\1\2"
    assert as_construct(description).parse(b"\1\2")["tmp:child"].x == 2


@pytest.mark.parametrize("name", ["7.2-pseries-7.2", "2.9.1-pseries-2.9", "x86_64-q35"])
def test_real_sections_are_read_and_built_alike(name):
    stream = open_stream(zstandard.ZstdDecompressor().decompress((STREAMS / f"{name}.mig.zst").read_bytes()))
    entries = parse_json(stream.data[stream.description.text_start : stream.description.end])
    described = {(dict(e)["name"], dict(e)["instance_id"]): e for e in member(entries, "devices", list)}
    read = 0
    for section in stream.devices:
        entry = described.get((section.idstr, section.instance_id))
        size = section.payload_end - section.payload_start
        if entry is None or "vmsd_name" not in dict(entry) or size > 20000:
            continue  # not described, or too slow for construct
        description = from_vmdesc(entry)
        payload = bytes(stream.data[section.payload_start : section.payload_end])
        try:
            declared = as_construct(description, section.version_id)
        except DeclarationError:
            continue  # a queue or tree whose elements the vmdesc lists one by one
        _, state, error = decode(description, memoryview(payload), 0, section.version_id)
        assert error is None
        container = container_of(description, state, section.version_id)
        assert plain(declared.parse(payload)) == plain(container)
        assert declared.build(container) == payload
        compiled = declared.compile()
        assert plain(compiled.parse(payload)) == plain(container)
        assert compiled.build(container) == payload
        read += 1
    assert read > 5


@settings(max_examples=20)
@given(payloads(vmsd(UInt8("n"), UInt16("x")["n"])))
def test_payloads_are_drawn_for_a_description(payload):
    assert len(payload) == 1 + 2 * payload[0]


def test_neither_construct_nor_hypothesis_is_imported_with_the_descriptions():
    program = "import sys, vmstate.describe, vmstate.describe.strategies; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"construct", "hypothesis"} & set(run.stdout.split())


def outcome(call, *arguments, **more):
    """Return the value of a call, or the kind of error that it raises."""
    try:
        return plain(call(*arguments, **more))
    except construct.ConstructError as error:
        return type(error)


COMPAT = VMStateDescription("dev/sub", 1, 1, fields=[UInt8("b")], needed=lambda s: True)
POINT = VMStateDescription("point", 1, 1, fields=[UInt8("x"), UInt16("y")])
COMPILED = [
    (vmsd(UInt16("a"), UInt32("b")[3]), wire("0102 | 00000001 00000002 00000003")),
    (vmsd(UInt8("n"), UInt16("x")["n"]), wire("02 | 0001 0002")),
    (vmsd(UInt8("a"), UInt8("b", exists=lambda s, v: s.a == 1)), wire("01 02")),
    (vmsd(Struct("one", POINT), Struct("many", POINT)[2]), wire("01 0002 | 03 0004 | 05 0006")),
    (vmsd(UInt16("a"), subsections=[COMPAT]), wire("0102 | 05 07 'dev/sub' 00000001 07")),
    (vmsd(Pointers(UInt8("p")[2], allocated=True), Buffer("b", 3)), wire("30 | 31 07 | 'abc'")),
]


@pytest.mark.parametrize(("description", "payload"), COMPILED)
def test_what_is_compiled_does_the_same(description, payload):
    declared = as_construct(description)
    compiled = declared.compile()
    parsed = declared.parse(payload)
    assert plain(compiled.parse(payload)) == plain(parsed)
    assert compiled.build(parsed) == declared.build(parsed) == payload
    for size in range(len(payload)):
        assert outcome(compiled.parse, payload[:size]) == outcome(declared.parse, payload[:size])


@pytest.mark.parametrize(("a", "b"), [(1, [1, 2]), (1 << 16, [1, 2, 3]), ("x", [1, 2, 3])])
def test_what_is_compiled_refuses_the_same(a, b):
    declared, value = as_construct(COMPILED[0][0]), {"a": a, "b": b}
    assert outcome(declared.compile().build, value) == outcome(declared.build, value)
    assert issubclass(outcome(declared.build, value), construct.ConstructError)
