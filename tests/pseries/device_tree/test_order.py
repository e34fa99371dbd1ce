"""The order of connectors: GLib's hash table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmstate.pseries.device_tree.hash_order import hash_order, index_order, string_hash


@given(st.lists(st.text("0123456789abcdef", max_size=8), unique=True, max_size=200))
def test_every_name_is_listed_once(names):
    assert sorted(hash_order(names)) == sorted(names)


def test_the_hash_is_that_of_glib():
    assert string_hash("") == 5381
    assert string_hash("a") == 5381 * 33 + 97
    assert string_hash("ab") == (5381 * 33 + 97) * 33 + 98


def test_a_few_names_are_in_the_order_of_their_hashes():
    names = ["20000000", "20000001", "20000002"]
    places = {name: string_hash(name) * 11 % (1 << 32) % 7 for name in names}
    assert hash_order(names) == sorted(names, key=places.__getitem__)


def test_the_bridges_of_a_machine_are_in_qemus_order():
    ranges = ((0x10000000, 1), (0x20000000, 31), (0x40000000, 256))
    bridges = [index & 0xFF for index in index_order(ranges) if index >> 28 == 2]
    assert bridges[:12] == [15, 8, 9, 16, 17, 18, 19, 26, 20, 27, 21, 28]
