"""The writer of flattened trees: laws, then the peculiarities of libfdt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fdt_reader import Read, header, read
from vmstate.pseries.device_tree.fdt import Measured, Node, Tree

NAMES = st.text("abc,#-", min_size=1, max_size=6)
VALUES = st.binary(max_size=9)


@st.composite
def plans(draw, depth=3):
    """Draw properties to set in turn, some of them again, and subnodes to add."""
    steps = draw(st.lists(st.tuples(NAMES, VALUES), max_size=6))
    inner = draw(st.lists(st.tuples(NAMES, plans(depth=depth - 1)), max_size=3)) if depth else []
    again = draw(st.lists(st.tuples(NAMES, VALUES), max_size=2))
    return steps, inner, again


def carry_out(node: Node, plan) -> None:
    steps, inner, again = plan
    for name, value in steps:
        node.set(name, value)
    for name, more in inner:
        carry_out(node.add(name), more)
    for name, value in again:
        node.set(name, value)


def expected(name: str, plan) -> Read:
    """Return a tree, newest properties and subnodes first; a property that is set again stays in place."""
    steps, inner, again = plan
    properties = dict([*steps, *again])
    return Read(
        name, dict(reversed(properties.items())), [expected(key, more) for key, more in reversed(inner)]
    )


def packed(plan) -> bytes:
    tree = Tree(room=72)
    carry_out(tree.root, plan)
    return tree.pack(16)


@given(plans())
def test_a_tree_is_read_as_written_with_the_newest_first(plan):
    found = read(packed(plan))
    assert found == expected("", plan)
    assert list(found.properties) == list(expected("", plan).properties)


@given(plans())
def test_the_header_accounts_for_every_byte(plan):
    blob = packed(plan)
    head = header(blob)
    assert head["total"] == len(blob) == head["names"] + head["names_size"]
    assert head["names"] == head["structure"] + head["structure_size"]
    assert head["version"] == 17


@given(plans(), st.integers(0, 2))
def test_a_measured_tree_has_the_size_of_the_one_that_is_laid_out(plan, reserved):
    laid_out, measured = Tree(), Measured()
    for tree in (laid_out, measured):
        carry_out(tree.root, plan)
        for _ in range(reserved):
            tree.reserve(0x1000, 0x14)
    assert measured.size == len(laid_out.pack(16))


@given(plans())
def test_the_initial_memory_size_does_not_matter(plan):
    tree = Tree()
    carry_out(tree.root, plan)
    assert tree.pack(16) == packed(plan)


def test_a_name_that_ends_another_is_not_stored_again():
    tree = Tree()
    for name in ("linux,phandle", "phandle", "handle"):
        tree.root.set(name)
    assert tree.pack(2).endswith(b"\0\0\0\x09linux,phandle\0")


def test_padding_keeps_the_bytes_that_were_there_before():
    tree = Tree()
    tree.root.set("a", b"\x11\x22\x33\x44")
    tree.root.set("b", b"\x55")
    blob = tree.pack(16)
    value = blob.index(b"\x55")
    assert blob[value : value + 4] == b"\x55\x22\x33\x44"


def test_a_reserved_region_goes_before_the_end_of_its_list():
    tree = Tree()
    tree.root.set("a", b"x")
    tree.reserve(0x1000, 0x14)
    blob = tree.pack(2)
    assert blob[40:72] == bytes.fromhex("0000000000001000 0000000000000014") + bytes(16)
    assert read(blob).properties == {"a": b"x"}
