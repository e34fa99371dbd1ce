"""Laws of the codec, for any description, any state and any bytes."""

from __future__ import annotations

import io

import construct
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.laws import AFTER, declared, laws, load, plain
from tests.support.strategies import descriptions, releases
from tests.support.twins import twin
from vmstate.describe import (
    Cursor,
    Node,
    Record,
    Struct,
    UInt8,
    VMStateDescription,
    Writer,
    decode,
    encode,
    plan_of,
)
from vmstate.describe.construct_codec import as_construct, container_of
from vmstate.describe.nodes import TreeBuilder
from vmstate.errors import StreamError, Truncated


def outcome(vmsd, data, state, **how):
    """Return the error that ended loading, or None, and the cursor."""
    cur = Cursor(memoryview(data), **how)
    try:
        plan_of(vmsd).load(cur, state, vmsd.version_id)
    except StreamError as error:
        return error, cur
    return None, cur


@laws
@given(declared())
def test_a_loaded_state_is_the_saved_one(case):
    vmsd, state = case
    data = encode(vmsd, state)
    other = twin(vmsd, state)
    cur = load(vmsd, data + AFTER, other)
    assert cur.pos == len(data)
    assert encode(vmsd, other) == data


@laws
@given(declared())
def test_a_decoded_state_is_written_back_as_it_was(case):
    vmsd, state = case
    data = encode(vmsd, state)
    _, decoded, error = decode(vmsd, memoryview(data), 0, vmsd.version_id, state=twin(vmsd, state))
    assert error is None
    assert encode(vmsd, decoded, replay=True) == data


@laws
@given(declared(), st.data())
def test_older_versions_are_saved_and_loaded(case, data):
    vmsd, state = case
    version = data.draw(st.integers(vmsd.minimum_version_id, vmsd.version_id))
    out = Writer()
    plan_of(vmsd).save(out, state, version)
    other = twin(vmsd, state)
    load(vmsd, out.join() + AFTER, other, version)
    again = Writer()
    plan_of(vmsd).save(again, other, version)
    assert again.join() == out.join()


@laws
@given(declared())
def test_construct_reads_what_the_plan_reads(case):
    vmsd, state = case
    data = encode(vmsd, state)
    local = twin(vmsd, state)
    _, decoded, error = decode(vmsd, memoryview(data), 0, vmsd.version_id, state=twin(vmsd, state))
    assert error is None
    parsed = as_construct(vmsd).parse(data, local=local)
    assert plain(parsed) == plain(container_of(vmsd, decoded))


@settings(laws, max_examples=30)
@given(declared())
def test_a_compiled_construct_declaration_does_what_the_plain_one_does(case):
    vmsd, state = case
    data = encode(vmsd, state)
    plain_one, local = as_construct(vmsd), twin(vmsd, state)
    compiled = plain_one.compile()
    parsed = compiled.parse(data, local=local)
    assert plain(parsed) == plain(plain_one.parse(data, local=local))
    assert compiled.build(parsed, local=twin(vmsd, state)) == data


@laws
@given(declared())
def test_construct_builds_what_the_plan_saves(case):
    vmsd, state = case
    data = encode(vmsd, state)
    _, decoded, _ = decode(vmsd, memoryview(data), 0, vmsd.version_id, state=twin(vmsd, state))
    assert as_construct(vmsd).build(container_of(vmsd, decoded), local=twin(vmsd, state)) == data


@laws
@given(descriptions(), releases, st.binary(max_size=200))
def test_construct_and_plan_agree_about_any_bytes(description, release, data):
    vmsd = description.at(release)
    node, decoded, error = decode(vmsd, memoryview(data), 0, vmsd.version_id)
    stream = io.BytesIO(data)
    try:
        parsed = as_construct(vmsd).parse_stream(stream)
    except construct.ConstructError:
        assert error is not None
    else:
        assume(not (isinstance(error, Truncated) and error.offset >= stream.tell()))  # a subsection cut off
        assert error is None
        assert stream.tell() == node.end
        assert plain(parsed) == plain(container_of(vmsd, decoded))


@laws
@given(declared())
def test_the_tree_covers_every_byte_exactly_once(case):
    vmsd, state = case
    data = encode(vmsd, state)
    node, _, _ = decode(vmsd, memoryview(data), 0, vmsd.version_id, state=twin(vmsd, state))
    assert (node.start, node.end) == (0, len(data))
    _check_cover(node)


def _check_cover(node):
    at = node.start
    for child in node.children:
        assert at <= child.start <= child.end <= node.end
        if node.type not in {"qtailq", "qlist", "gtree"}:  # they have markers of their own between elements
            assert child.start == at
        _check_cover(child)
        at = child.end
    if node.children and node.type not in {"qtailq", "qlist", "gtree"}:
        assert at == node.end


@laws
@given(declared())
def test_whatever_is_cut_off_is_missed_where_it_is_missing(case):
    vmsd, state = case
    data = encode(vmsd, state)
    for cut in range(len(data)):
        _, _, error = decode(vmsd, memoryview(data[:cut]), 0, vmsd.version_id, state=twin(vmsd, state))
        # A cut before a subsection leaves a shorter, but whole, section.  And a last byte 5 inside a struct
        # may begin a subsection or be what follows.
        if error is not None and data[cut - 1 : cut] != b"\5":
            assert isinstance(error, Truncated)
            assert error.offset + error.available == cut
            assert error.requested > error.available


@laws
@given(declared(), st.data())
def test_a_judge_names_a_short_stream_too(case, data):
    vmsd, state = case
    payload = encode(vmsd, state)
    cut = data.draw(st.integers(0, max(0, len(payload) - 1)))
    error, cur = outcome(vmsd, payload[:cut], twin(vmsd, state), judge=True)
    assert error is None or (error.ret < 0 and cur.diagnostics)


@laws
@given(descriptions(), releases, st.binary(max_size=200))
def test_any_bytes_give_a_tree_or_a_stream_error(description, release, data):
    vmsd = description.at(release)
    node, _, error = decode(vmsd, memoryview(data), 0, vmsd.version_id)
    assert error is None or isinstance(error, StreamError)
    assert 0 <= node.end <= len(data)


@laws
@given(declared(), st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused_with_a_reason(case, data):
    vmsd, state = case
    error, cur = outcome(vmsd, data, twin(vmsd, state), judge=True)
    assert error is None or (error.ret < 0 and cur.diagnostics)


@pytest.mark.parametrize("size", range(1, 7))
def test_a_cut_behind_an_array_of_structs_is_in_the_array_for_qemu(size):
    """QEMU looks for a subsection of the last element, and meets the end; watched or not."""
    inner = VMStateDescription("inner", 1, fields=[UInt8("one"), UInt8("two")])
    vmsd = VMStateDescription("outer", 1, fields=[Struct("array", inner)[2], UInt8("behind"), UInt8("last")])
    for tree in (None, TreeBuilder(Node("outer", "section", "struct", 0, 0))):
        error, _ = outcome(vmsd, bytes(size), Record(), judge=True, tree=tree)
        failed = (error.place.path or "") if error else ""
        assert failed.startswith("array" if size <= 4 else "last" if size == 5 else ""), tree
        assert (error is None) == (size == 6)


@laws
@given(declared(), st.binary(max_size=200), st.booleans())
def test_watched_or_not_the_plan_loads_alike(case, data, judge):
    vmsd, state = case
    seen = []
    for tree in (None, TreeBuilder(Node("t", "section", "struct", 0, 0))):
        other = twin(vmsd, state)
        error, cur = outcome(vmsd, data, other, judge=judge, tree=tree)
        seen.append((str(error), cur.pos, cur.diagnostics, plain(other.__dict__)))
    assert seen[0] == seen[1]
