"""Editing entries of a vmdescription in both of QEMU's styles, with the rest of the text kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmstate.errors import StreamError
from vmstate.stream.vmdesc import json_spans
from vmstate.stream.vmdesc.entry_edit import EntryText, configuration_text, with_configuration

OLD = (
    b'{ "name" : "cpu", "instance_id" : 0, "vmsd_name" : "cpu", "version" : 5, "fields" : [ '
    b'{ "name" : "tb", "type" : "struct", "struct" : { "vmsd_name" : "timebase", "version" : 1, "fields" : [ '
    b'{ "name" : "a", "type" : "uint8", "size" : 1 } ] }, "size" : 1 } ] }'
)
NEW = (
    OLD.replace(b" :", b":")
    .replace(b"{ ", b"{")
    .replace(b" }", b"}")
    .replace(b"[ ", b"[")
    .replace(b" ]", b"]")
)
SUB = '{"vmsd_name": "%s", "version": 1, "fields": []}'


@pytest.mark.parametrize("text", [OLD, NEW])
def test_adding_and_removing_again_leaves_the_exact_text(text):
    entry = EntryText(text)
    entry.add_subsection([], SUB % "cpu/b", None)
    entry.add_subsection([], SUB % "cpu/a", "cpu/b")
    entry.add_subsection([], SUB % "cpu/c", None)
    names = [sub["vmsd_name"] for sub in json.loads(entry.encode())["subsections"]]
    assert names == ["cpu/a", "cpu/b", "cpu/c"]
    for name in ("cpu/b", "cpu/a", "cpu/c"):
        entry.remove_subsection([], name)
    assert entry.encode() == text


@pytest.mark.parametrize("text", [OLD, NEW])
def test_a_subsection_of_a_struct_makes_the_struct_larger(text):
    entry = EntryText(text)
    entry.add_subsection([0], SUB % "timebase/x", None)
    entry.grow([0], 16)
    field = json.loads(entry.encode())["fields"][0]
    assert field["size"] == 17
    assert field["struct"]["subsections"][0]["vmsd_name"] == "timebase/x"


def test_the_style_of_the_text_is_kept():
    entry = EntryText(OLD)
    entry.add_subsection([], "{ }", None)
    assert entry.encode().endswith(b'], "subsections" : [ { } ] }')


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"fields": 1}', b'{"fields": [1]}'])
def test_a_text_that_is_not_an_entry_is_refused_with_our_error(text):
    with pytest.raises(StreamError):
        EntryText(text).grow([0], 1)


def test_a_missing_subsection_cannot_be_removed():
    entry = EntryText(NEW)
    entry.add_subsection([], SUB % "cpu/a", None)
    with pytest.raises(StreamError, match="cpu/b"):
        entry.remove_subsection([], "cpu/b")


def test_the_configuration_is_replaced_in_its_place():
    text = (
        b'{"configuration": {"vmsd_name": "configuration", "fields": []}, "page_size": 4096, "devices": []}'
    )
    assert configuration_text(text) == b'{"vmsd_name": "configuration", "fields": []}'
    assert json.loads(with_configuration(text, b"{}")) == {
        "configuration": {},
        "page_size": 4096,
        "devices": [],
    }
    assert configuration_text(b'{"devices": []}') is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(max_codepoint=255)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=255)), inner),
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(st.characters(max_codepoint=255)), VALUES), st.sampled_from([None, 2]))
def test_spans_of_members_are_those_of_their_values(value, indent):
    source = json.dumps(value, ensure_ascii=False, indent=indent)
    found = {one.key: json.loads(source[one.value : one.end]) for one in json_spans.members(source, 0)}
    assert found == value


@settings(max_examples=40)
@given(st.lists(VALUES), st.sampled_from([None, 2]))
def test_spans_of_items_are_those_of_their_values(value, indent):
    source = json.dumps(value, ensure_ascii=False, indent=indent)
    assert [json.loads(source[a:b]) for a, b in json_spans.items(source, 0).spans] == value
