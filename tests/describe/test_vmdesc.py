"""The JSON that QEMU appends: written as each release writes it, and read back into descriptions."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.laws import declared, laws
from tests.support.strategies import releases
from tests.support.twins import twin
from tests.support.wire import saved
from vmstate.describe import (
    Bool,
    Buffer,
    GTree,
    Pointers,
    QTailQ,
    Record,
    Struct,
    Tmp,
    UInt8,
    UInt16,
    UInt32,
    Unused,
    Validate,
    VMStateDescription,
    VStruct,
    decode,
    encode,
    plan_of,
)
from vmstate.describe.from_vmdesc import from_vmdesc, parse_json
from vmstate.describe.vmdesc import VmdescWriter, compresses, fixed_size
from vmstate.errors import StreamError

POINT = VMStateDescription("point", 1, 1, fields=[UInt8("x")])
ODD = VMStateDescription("odd", 1, 1, fields=[UInt8("y", exists=lambda s, v: True)])


def vmsd(*fields, **more):
    return VMStateDescription("dev", 3, 1, fields=fields, **more)


def text_of(description, state, release="7.2"):
    return VmdescWriter.at(release).device(plan_of(description), "dev", 0, state)


def fields_of(description, state, release="7.2"):
    """Return the JSON objects of the fields as pairs, since keys may repeat."""
    text = text_of(description, state, release)
    return dict(json.loads(text, object_pairs_hook=lambda pairs: [[*pair] for pair in pairs]))["fields"]


def plainly_described(description, version_id):
    """Return True if no array with elements of different layouts is described by its first element."""
    for field in description.fields:
        inner = field.vmsd
        if field.pointers:  # a null after others breaks QEMU's description
            return False
        if inner is None:
            continue
        if field.info is None and field.count is not None and compresses(field):
            if fixed_size(plan_of(inner), version_id) is None:
                return False
        if not plainly_described(inner, version_id):
            return False
    return all(plainly_described(sub, version_id) for sub in description.subsections)


@laws
@given(declared(), releases)
def test_a_described_section_is_decoded_and_written_back_by_its_description_alone(case, release):
    description, state = case
    assume(plainly_described(description, description.version_id))
    payload = encode(description, state)
    text = text_of(description, state, release)
    described = from_vmdesc(parse_json(text.encode()))
    _, decoded, error = decode(described, memoryview(payload), 0, description.version_id)
    assert error is None
    assert encode(described, decoded, replay=True) == payload


@laws
@given(declared(), releases)
def test_a_decoded_section_is_described_as_when_it_was_saved(case, release):
    description, state = case
    payload = encode(description, state)
    _, decoded, error = decode(
        description, memoryview(payload), 0, description.version_id, state=twin(description, state)
    )
    assert error is None
    writer = VmdescWriter.at(release)
    replayed = VmdescWriter(
        writer.style, writer.null_type, writer.signed_instances, writer.numbers_elements, replay=True
    )
    assert replayed.device(plan_of(description), "dev", 0, decoded) == text_of(description, state, release)


@laws
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "type",
                        "size",
                        "fields",
                        "version",
                        "struct",
                        "vmsd_name",
                        "subsections",
                        "array_len",
                        "index",
                    ]
                ),
                v,
            )
        ),
    ),
    st.binary(max_size=50),
)
def test_any_json_gives_a_description_or_a_stream_error(value, payload):
    try:
        described = from_vmdesc(parse_json(json.dumps(value).encode()))
    except StreamError:
        return
    _, _, error = decode(described, memoryview(payload), 0, described.version_id)
    assert error is None or isinstance(error, StreamError)


@given(st.binary(max_size=30))
def test_bytes_that_are_no_json_are_a_stream_error(data):
    with contextlib.suppress(StreamError):
        parse_json(data)


def test_the_blanks_are_those_of_the_releases_writer():
    description = vmsd(UInt8("a"))
    old = '{ "name" : "dev", "instance_id" : 0, "vmsd_name" : "dev", "version" : 3, "fields" : '
    assert (
        text_of(description, Record(a=1), "5.2")
        == old + '[ { "name" : "a", "type" : "uint8", "size" : 1 } ] }'
    )
    new = '{"name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 3, "fields": '
    assert text_of(description, Record(a=1), "6.0") == new + '[{"name": "a", "type": "uint8", "size": 1}]}'


def test_an_array_is_described_by_its_first_element_and_its_length():
    assert fields_of(
        vmsd(UInt16("a")[3], UInt16("b")[1], UInt16("c")[0]), Record(a=[1, 2, 3], b=[4], c=[])
    ) == [
        [["name", "a"], ["array_len", 3], ["type", "uint16"], ["size", 2]],
        [["name", "b"], ["type", "uint16"], ["size", 2]],
    ]


@pytest.mark.parametrize(
    ("release", "indices"), [("7.2", [0, 1, 2]), ("10.0", [0, 1, None]), ("11.1", [None, None, None])]
)
def test_elements_that_may_differ_are_described_one_by_one(release, indices):
    state = Record(a=[Record(y=1), Record(y=2), Record(y=3)])
    entries = fields_of(vmsd(Struct("a", ODD)[3]), state, release)
    assert [dict(e).get("index") for e in entries] == indices
    assert all("array_len" not in dict(e) for e in entries)


def test_names_that_occur_twice_are_numbered():
    entries = fields_of(vmsd(Unused(2), UInt8("a"), Unused(3)), Record(a=1))
    assert [e[0][1] for e in entries] == ["unused[0]", "a", "unused[1]"]


def test_structs_are_nested_under_a_key_and_versioned_ones_are_not():
    state = Record(s=Record(x=1), v=Record(x=2))
    struct, versioned = fields_of(vmsd(Struct("s", POINT), VStruct("v", POINT, 1)), state)
    inner = [
        ["vmsd_name", "point"],
        ["version", 1],
        ["fields", [[["name", "x"], ["type", "uint8"], ["size", 1]]]],
    ]
    assert struct == [["name", "s"], ["type", "struct"], ["struct", inner], ["size", 1]]
    assert versioned == [["name", "v"], ["type", "vstruct"], *inner, ["size", 1]]


def test_each_element_of_a_queue_repeats_the_keys():
    state = Record(q=[Record(x=1), Record(x=2)])
    (entry,) = fields_of(vmsd(QTailQ("q", POINT)), state)
    keys = [key for key, _ in entry]
    assert keys == ["name", "type", *["vmsd_name", "version", "fields"] * 2, "size"]
    assert entry[-1] == ["size", 5]


def test_a_tree_describes_keys_and_values():
    (entry,) = fields_of(vmsd(GTree("t", POINT, POINT)), Record(t=[(Record(x=1), Record(x=2))]))
    assert [key for key, _ in entry] == ["name", "type", *["vmsd_name", "version", "fields"] * 2, "size"]
    assert dict(entry)["size"] == 4 + 3 + 1


def test_validators_and_absent_fields_are_not_described():
    description = vmsd(UInt8("a"), Validate("fine", lambda s, v: True), UInt8("b", exists=lambda s, v: False))
    assert [dict(e)["name"] for e in fields_of(description, Record(a=1, b=2))] == ["a"]


def test_subsections_are_listed_only_when_some_were_sent():
    sub = VMStateDescription("dev/sub", 2, 1, fields=[Bool("b")], needed=lambda s: s.b)
    description = vmsd(UInt8("a"), subsections=[sub])
    assert "subsections" not in json.loads(text_of(description, Record(a=1, b=False)))
    (listed,) = json.loads(text_of(description, Record(a=1, b=True)))["subsections"]
    assert listed == {
        "vmsd_name": "dev/sub",
        "version": 2,
        "fields": [{"name": "b", "type": "bool", "size": 1}],
    }


NULLS = {
    "7.2": [("p", 4, "struct")],
    # QEMU looks for the end of a run when nulls begin or end, so not for that of the first one.
    "10.0": [("p", 4, "struct"), ("p", None, "nullptr"), ("p", None, "struct")],
    "11.1": [("p", 4, "struct"), ("p", None, "ptr-marker"), ("p", None, "struct")],
}


@pytest.mark.parametrize("release", NULLS)
def test_null_pointers_split_an_array_from_10_0_on(release):
    state = Record(p=[Record(x=1), Record(x=2), None, Record(x=3)])
    entries = [dict(e) for e in fields_of(vmsd(Pointers(Struct("p", POINT)[4])), state, release)]
    assert [(e["name"], e.get("array_len"), e["type"]) for e in entries] == NULLS[release]


def test_an_array_of_allocated_pointers_has_an_entry_for_each_marker():
    description = vmsd(Pointers(Struct("p", POINT)[3], allocated=True))
    state = Record(p=[Record(x=1), None, Record(x=3)])
    entries = [dict(e) for e in fields_of(description, state, "11.1")]
    assert [(e["type"], e["size"]) for e in entries] == [
        *[("ptr-marker", 1), ("struct", 1)],
        ("ptr-marker", 1),
        *[("ptr-marker", 1), ("struct", 1)],
    ]
    described = from_vmdesc(parse_json(text_of(description, state, "11.1").encode()))
    _, decoded, error = decode(described, memoryview(saved(description, state)), 0, 3)
    assert error is None
    assert encode(described, decoded, replay=True) == saved(description, state)


def test_scratch_state_is_described_where_it_stands():
    made = VMStateDescription("scratch", fields=[UInt32("s")], pre_save=lambda t: setattr(t, "s", 7))
    (entry,) = fields_of(vmsd(Tmp(made, lambda parent: Record())), Record())
    assert [key for key, _ in entry] == ["name", "type", "vmsd_name", "version", "fields", "size"]
    assert dict(entry)["size"] == 4


def test_a_type_that_nobody_knows_is_bytes_of_its_size():
    text = '{"name": "d", "version": 1, "fields": [{"name": "blob", "type": "mystery", "size": 3}]}'
    described = from_vmdesc(parse_json(text.encode()))
    node, state, error = decode(described, memoryview(b"abc"), 0, 1)
    assert error is None
    assert bytes(state.blob) == b"abc"
    assert node.nodes[0].type == "mystery"


def test_buffers_of_a_varying_size_are_described_by_what_was_written():
    description = vmsd(UInt8("n"), Buffer("b", "n"))
    assert dict(fields_of(description, Record(n=5, b=b"hello"))[1])["size"] == 5
