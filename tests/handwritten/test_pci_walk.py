"""The list of capabilities is followed as QEMU follows it, by all that look for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.errors import StreamError
from vmstate.handwritten.msix import announced_vectors
from vmstate.handwritten.pci_walk import capabilities, capability, extended_capabilities

MSI, MSIX = 0x05, 0x11
STATUS, LIST, HAS_LIST = 0x06, 0x34, 0x10


def space(*links: tuple[int, int, int], first: int = 0x40, status: int = HAS_LIST) -> bytearray:
    """Return a space with capabilities of three numbers each: offset, id, next."""
    config = bytearray(256)
    config[STATUS], config[LIST] = status, first
    for at, kind, following in links:
        config[at : at + 2] = bytes([kind, following])
    return config


def test_capabilities_come_in_the_order_of_the_list_until_a_zero():
    config = space((0x40, MSI, 0x80), (0x80, MSIX, 0x60), (0x60, 1, 0))
    assert list(capabilities(config)) == [0x40, 0x80, 0x60]
    assert [capability(config, kind) for kind in (MSI, MSIX, 1, 2)] == [0x40, 0x80, 0x60, 0]


def test_without_the_bit_of_the_status_there_is_no_list():
    assert list(capabilities(space((0x40, MSI, 0), status=0))) == []


@pytest.mark.parametrize("at", [0x41, 0x42, 0x43, 0x10])
def test_a_pointer_is_taken_as_it_is_unaligned_or_into_the_header(at):
    assert capability(space((at, MSIX, 0), first=at), MSIX) == at


def test_a_list_that_leads_into_itself_is_an_error_for_who_follows_all_of_it():
    config = space((0x40, MSI, 0x50), (0x50, 1, 0x40))
    assert (capability(config, MSI), capability(config, MSIX)) == (0x40, 0)
    with pytest.raises(StreamError, match="leads nowhere"):
        list(capabilities(config))


@given(st.dictionaries(st.integers(0, 255), st.integers(0, 255)), st.integers(0, 255))
def test_any_bytes_end_the_walk_and_what_is_found_has_its_id_and_four_bytes(changes, kind):
    config = space((0x40, MSI, 0x50), (0x50, MSIX, 0))
    for at, value in changes.items():
        config[at] = value
    found = capability(config, kind)
    assert not found or (config[found] == kind and found + 4 <= len(config))
    assert 0 <= announced_vectors(config) <= 2048


@pytest.mark.parametrize(("next_one", "ends"), [(0, True), (0x100, False), (0x0FC, False), (0xFFC, False)])
def test_an_extended_list_ends_at_zero_and_never_leaves_its_part(next_one, ends):
    config = bytearray(4096)
    config[0x100:0x104] = (1 | next_one << 20).to_bytes(4, "little")
    if ends:
        assert list(extended_capabilities(config)) == [0x100]
    else:
        with pytest.raises(StreamError, match="leads nowhere"):
            list(extended_capabilities(config))
    assert list(extended_capabilities(bytes(4096))) == []
