"""Schemas: JSON without loss, the same bytes as the declaration they come from, and their readers."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.laws import laws
from tests.support.strategies import descriptions, releases
from vmstate.describe import UInt8, UInt32, VMStateDescription, decode, encode
from vmstate.describe.strategies import states
from vmstate.errors import ConfigurationError
from vmstate.front.schemas import schema_of
from vmstate.schema import (
    Description,
    DescriptionFacts,
    FieldFacts,
    Knows,
    Origin,
    Schema,
    SchemaField,
    as_declaration,
    as_description,
    schema_from_json,
    schema_to_json,
)
from vmstate.schema.model import labelled


def unconditional(vmsd):
    """The same declaration without what is not on the wire: conditions, and which pointers are null."""

    def field(one):
        inner = {
            name: vmsd and unconditional(vmsd) for name in ("vmsd", "key") if (vmsd := getattr(one, name))
        }
        exists = one.exists if one.must_exist else None
        return replace(one, exists=exists, pointers=one.pointers and one.marked, **inner)

    subsections = [unconditional(one) for one in vmsd.subsections]
    return replace(vmsd, fields=[field(one) for one in vmsd.fields], subsections=subsections)


@st.composite
def resolved(draw):
    return unconditional(draw(descriptions()).at(draw(releases)))


@laws
@given(resolved(), st.data())
def test_a_description_saves_and_loads_the_bytes_of_its_declaration(vmsd, data):
    saved = encode(vmsd, data.draw(states(vmsd)))
    declared = as_declaration(as_description(vmsd))
    tree, state, error = decode(declared, memoryview(saved), 0, vmsd.version_id)
    assert error is None
    assert tree.end == len(saved)
    assert encode(declared, state, replay=True) == saved


@laws
@given(resolved())
def test_a_declaration_of_a_description_has_its_layout_again(vmsd):
    once = as_description(vmsd)
    again = as_description(as_declaration(once))
    assert shapes(again) == shapes(once)


def shapes(one):
    """Everything of a description but hooks, conditions, and starts in arrays, which a schema keeps aside."""
    inner = [
        (
            *(f.name, f.kind, f.version_id, f.size, f.count, f.multiply, f.pointers, f.marked, f.must_exist),
            *(None if v is None else shapes(v) for v in (f.vmsd, f.key)),
        )
        for f in one.fields
    ]
    return (one.name, one.version_id, one.minimum_version_id, inner, [shapes(s) for s in one.subsections])


facts = st.builds(
    FieldFacts,
    **{
        f.name: st.none() | (st.text() if f.name in ("exists", "info") else st.integers())
        for f in fields(FieldFacts)
    },
)
described = st.builds(
    DescriptionFacts,
    st.none() | st.integers(),
    st.none() | st.text(),
    st.lists(st.tuples(st.text(), st.text())).map(tuple),
)


@st.composite
def schemas(draw):
    made = [as_description(vmsd) for vmsd in draw(st.lists(resolved(), max_size=2))]
    made = [
        replace(
            one,
            facts=draw(st.none() | described),
            minimum_version_id=draw(st.none() | st.integers()),
            fields=tuple(replace(f, facts=draw(st.none() | facts)) for f in one.fields),
            opaque=draw(st.booleans()),
            hooks=tuple(draw(st.lists(st.text(), max_size=2))),
        )
        for one in made
    ]
    return Schema(
        draw(st.text()),
        draw(st.sampled_from(Origin)),
        labelled(iter(made)),
        draw(st.frozensets(st.sampled_from(Knows))),
        draw(st.none() | st.text(min_size=1)),
        draw(st.none() | st.text(min_size=1)),
        draw(st.none() | st.text(min_size=1)),
        tuple(draw(st.lists(st.text(), max_size=2))),
        draw(
            st.dictionaries(
                st.text(), st.lists(st.tuples(st.text(), st.text(), st.text())).map(tuple), max_size=2
            )
        ),
        tuple(draw(st.lists(st.text(), max_size=2))),
    )


@laws
@given(schemas())
def test_a_schema_is_read_from_its_json_as_it_was(schema):
    text = schema_to_json(schema)
    assert schema_from_json(text) == schema
    assert schema_to_json(schema_from_json(text)) == text


@laws
@given(schemas(), st.data())
def test_damaged_json_is_refused_in_words_and_never_crashes(schema, data):
    document = json.loads(schema_to_json(schema))
    places = list(walk(document))
    where, key = data.draw(st.sampled_from(places))
    where[key] = data.draw(st.sampled_from([None, -1, "x", [], {}, [1], {"a": 1}, True, 1.5]))
    with suppress(ConfigurationError):
        assert isinstance(schema_from_json(json.dumps(document)), Schema)


def walk(value):
    keys = range(len(value)) if isinstance(value, list) else value.keys() if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from walk(value[key])


def test_a_description_that_many_contain_is_written_once():
    inner = Description("shared", 1, 0, (SchemaField("x", "uint32", size=4),))
    outer = [Description(f"d{i}", 1, 0, (SchemaField("s", "struct", vmsd=inner),)) for i in range(5)]
    text = schema_to_json(Schema("five", Origin.DECLARATIONS, labelled(iter(outer))))
    assert text.count('"shared"') == 1


def test_our_releases_are_schemas():
    schema = schema_of("pseries@7.2")
    assert schema.target == "ppc64"
    assert schema.descriptions["ram"].opaque
    names = [one.name for one in schema.descriptions["spapr"].subsections]
    assert "spapr/cap/htm" in names
    assert "spapr_option_vector_ov5_cas" in names


def test_a_machine_type_that_the_release_lacks_is_named():
    with pytest.raises(ConfigurationError, match=r"pseries-9\.0"):
        schema_of("pseries-9.0@7.2")


@pytest.mark.parametrize("name", corpus.VARIED)
def test_each_described_section_of_a_stream_has_the_bytes_that_were_sent(name, tmp_path):
    assume_described = corpus.is_described(name)
    path = tmp_path / "stream"
    path.write_bytes(corpus.load(name))
    schema = schema_of(str(path))
    assert schema.in_use
    assert {"ram"} <= schema.descriptions.keys()
    assert bool(schema.notes) is not assume_described
    read = [one for one in schema.descriptions.values() if not one.opaque]
    assert bool(read) is assume_described
    assert schema_from_json(schema_to_json(schema)) == schema


def test_elements_that_a_vmdesc_describes_one_by_one_are_an_array_again(tmp_path):
    inner = {"vmsd_name": "e", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}]}
    elements = [{"name": "e", "index": i, "type": "struct", "struct": inner, "size": 1} for i in range(3)]
    device = {"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, "fields": elements}
    path = tmp_path / "vmdesc.json"
    path.write_text(json.dumps({"page_size": 4096, "devices": [device]}))
    (one,) = schema_of(str(path)).descriptions["d"].fields
    assert (one.name, one.count, one.kind) == ("e", 3, "struct")


def test_a_python_file_is_a_schema_at_a_release(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from vmstate.describe import *\n"
        "PART = VMStateDescription('part', 1, 1, [UInt8('a')])\n"
        "MINE = VMStateDescription('mine', 2, 1, [Struct('part', PART), Since('9.0', UInt32('b'))])\n"
    )
    old, new = (schema_of(f"{path}@{release}") for release in ("8.2", "9.0"))
    assert list(old.descriptions) == ["mine"]
    assert [f.name for f in new.descriptions["mine"].fields] == ["part", "b"]
    assert [f.name for f in old.descriptions["mine"].fields] == ["part"]


DUMP = {
    "vmschkmachine": {"Name": "pseries-7.2"},
    "mc146818rtc": {
        "Name": "mc146818rtc",
        "version_id": 3,
        "minimum_version_id": 1,
        "Description": {
            "name": "mc146818rtc",
            "version_id": 3,
            "minimum_version_id": 1,
            "Fields": [
                {"field": "cmos", "version_id": 0, "field_exists": False, "num": 128, "size": 1},
                {"field": "late", "version_id": 2, "field_exists": True, "size": 8},
            ],
            "Subsections": [
                {"name": "mc146818rtc/irq", "version_id": 1, "minimum_version_id": 1, "Fields": []}
            ],
        },
    },
}


def test_a_dump_of_qemu_is_a_schema_without_types(tmp_path):
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(DUMP))
    schema = schema_of(str(path))
    assert (schema.origin, schema.machine) == (Origin.DUMP, "pseries-7.2")
    assert Knows.TYPES not in schema.knows
    cmos, late = schema.descriptions["mc146818rtc"].fields
    assert (cmos.kind, cmos.count, cmos.facts.size) == (None, 128, 1)
    assert (late.conditional, late.version_id) == (True, 2)


def test_a_record_is_the_schema_of_its_program():
    record = Path(__file__).resolve().parents[2] / "fixtures" / "records" / "qemu-system-ppc64-7.2"
    schema = schema_of(str(record))
    assert (schema.qemu, schema.source) == ("7.2.22", str(record))
    assert "cpu/tm" in [one.name for one in schema.descriptions["cpu"].subsections]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no such thing", "no such file"),
        ("pseries@1.99", "1.99"),
    ],
)
def test_an_unknown_source_is_refused_in_words(text, words):
    with pytest.raises(ConfigurationError, match=words):
        schema_of(text)


def test_bytes_of_which_only_code_knows_are_not_invented():
    one = Description("d", 1, 0, (SchemaField("x", "avr"),))
    with pytest.raises(Exception, match=r"d\.x.*avr"):
        as_declaration(one)


def test_a_count_is_read_from_the_field_that_has_it():
    vmsd = VMStateDescription("d", 1, 1, [UInt8("n"), UInt32("table")["n"]])
    one = as_description(vmsd)
    assert one.fields[1].count == "n"
    declared = as_declaration(one)
    _, state, error = decode(declared, memoryview(b"\x02" + bytes(8)), 0, 1)
    assert error is None
    assert list(state.f1) == [0, 0]
