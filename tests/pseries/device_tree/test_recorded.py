"""Trees compared with those in streams of real QEMUs, byte by byte."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.support import corpus, sections
from tests.support.fdt_reader import header, read, seed
from vmstate.errors import ConfigurationError
from vmstate.pseries.device_tree.inputs import tree_inputs
from vmstate.pseries.device_tree.root import build
from vmstate.pseries.registration import build as board

TITLE = b"\x05\x09spapr_dtb\0\0\0\x01"


def recorded(name: str) -> bytes | None:
    """Return the tree in a stream; None if it has none."""
    data = corpus.load(name)
    at = data.find(TITLE)
    if at < 0:
        return None
    first, size = struct.unpack_from(">2I", data, at + len(TITLE))
    assert first == size
    start = at + len(TITLE) + 8
    return data[start : start + size]


def inputs(release: str, arguments: list[str]):
    return tree_inputs(board(sections.built(release, arguments).boot()))


NAMES = [name for name in sections.names(booted=False) if recorded(name) is not None]


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_is_qemus_but_for_the_seed(name):
    row = corpus.manifest()[name]
    try:
        known = inputs(row["release"], row["args"])
    except ConfigurationError as error:
        pytest.skip(str(error))
    expected = recorded(name)
    assert bytes(build(known, seed(expected))) == expected


def test_trees_of_all_eras_are_compared():
    releases = {corpus.manifest()[name]["release"] for name in NAMES}
    assert releases >= {"4.0.1", "4.1.1", "4.2.1", "5.2.0", "7.2.22", "10.0.2", "11.1.3"}


def tree(*arguments: str, release: str = "7.2.22"):
    return read(bytes(build(inputs(release, ["-nodefaults", *arguments]))))


def test_the_same_machine_has_the_same_tree_without_building_it_again():
    first, second = (inputs("7.2.22", ["-nodefaults", "-machine", "pseries-7.2"]) for _ in range(2))
    assert first is not second
    assert build(first) is build(second)


def test_another_seed_changes_nothing_else():
    known = inputs("7.2.22", ["-nodefaults", "-machine", "pseries-7.2"])
    zeros, ones = bytes(build(known)), bytes(build(known, b"\xff" * 32))
    differing = [at for at, (x, y) in enumerate(zip(zeros, ones, strict=True)) if x != y]
    assert len(differing) == 34
    assert differing[-1] - differing[0] < 48


def test_memory_that_is_not_a_power_of_two_is_listed_in_pieces():
    root = tree("-m", "768")
    assert [child.name for child in root.children if child.name.startswith("memory@")] == [
        "memory@20000000",
        "memory@0",
    ]


def test_capabilities_that_are_off_change_the_cpu_node():
    cpu = tree("-machine", "pseries-7.2,cap-vsx=off,cap-dfp=off,cap-large-decr=off").at("cpus").children[0]
    assert cpu.properties["ibm,vmx"] == b"\0\0\0\1"
    assert "ibm,dfp" not in cpu.properties
    assert "ibm,dec-bits" not in cpu.properties


def test_without_xics_its_services_are_missing():
    root = tree("-machine", "pseries-7.2,ic-mode=xive")
    assert "ibm,set-xive" not in root.at("rtas").properties
    assert root.children[-1].name == "interrupt-controller@60302031b0000"


def test_transactional_memory_is_a_bit_of_the_features():
    known = inputs("7.2.22", ["-nodefaults", "-machine", "pseries-7.2,cap-htm=off", "-cpu", "power8"])
    with_htm = replace(known, levels=tuple((name, level or name == "htm") for name, level in known.levels))
    one, two = (read(bytes(build(f))).at("cpus").children[0].properties for f in (known, with_htm))
    assert {key for key in one if one[key] != two[key]} == {"ibm,pa-features"}


def test_the_header_depends_on_the_version_of_libfdt():
    assert header(recorded("5.2-pseries-5.2"))["compatible"] == 2
    assert header(recorded("7.2-pseries-7.2"))["compatible"] == 16
