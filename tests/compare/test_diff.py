"""diff: sections, fields, guest memory; ignored paths; a stream equals itself however it was sent."""

from __future__ import annotations

import pytest

from tests.support import corpus
from vmstate.compare.streams import Diff
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.meanings import meanings
from vmstate.stream import open_stream
from vmstate.stream.sections.ram import PageKind
from vmstate.tree import Contents
from vmstate.tree.typed_changes import changed

DECLARATIONS = PseriesDeclarations()
NAME = "7.2-booted-power9-compat8"


def contents_of(data: bytes) -> Contents:
    return Contents(open_stream(data), DECLARATIONS)


def differences(left: bytes, right: bytes, *ignore: str) -> list[tuple[str, str]]:
    diff = Diff(contents_of(left), contents_of(right), ignore, meanings())
    return [(one.rule, one.path) for one in diff.differences()]


def edited(name: str, *changes: str) -> bytes:
    return changed(contents_of(corpus.load(name)), list(changes), meanings())


@pytest.mark.parametrize("name", [NAME, "x86_64-q35-many", "s390x-ccw", "10.0-ppc64-pseries-postcopy"])
def test_a_stream_does_not_differ_from_itself(name):
    assert differences(corpus.load(name), corpus.load(name)) == []


@pytest.mark.parametrize(
    ("change", "rule", "path"),
    [
        ("cpu.nip=1", "diff.value", "cpu.env.nip"),
        ("cpu.gpr[3]=1", "diff.value", "cpu.env.gpr[3]"),
        ("ics.irqs[3].server=9", "diff.value", "ics.irqs[3].server"),
        ("-cpu/compat", "diff.missing", "cpu/compat"),
        ("-spapr/rtc", "diff.missing", "spapr/rtc"),
        ("+foo@1=00", "diff.extra", "foo"),
        ("configuration.name=pseries-7.1", "diff.value", "configuration.name"),
    ],
)
def test_each_change_is_one_difference(change, rule, path):
    found = differences(corpus.load(NAME), edited(NAME, change))
    assert found == [(rule, path)]


@pytest.mark.parametrize("ignore", ["cpu", "cpu.env.nip", "cpu[0].env.nip", "*.nip", "cpu.env.*"])
def test_what_is_ignored_does_not_count(ignore):
    assert differences(corpus.load(NAME), edited(NAME, "cpu.nip=1"), ignore) == []


def test_values_are_shown_by_name():
    diff = Diff(
        contents_of(corpus.load(NAME)),
        contents_of(edited(NAME, "cpu/compat.compat_pvr=0x0f000005")),
        (),
        meanings(),
    )
    assert [str(one) for one in diff.differences()] == [
        "cpu/compat.compat_pvr: 251658244 (0x0f000004) (power8) | 251658245 (0x0f000005) (power9)"
    ]


def test_a_page_that_differs_is_found_by_its_address():
    data = bytearray(corpus.load("x86_64-microvm"))
    ram = open_stream(bytes(data)).ram
    run = next(i for i in range(len(ram.runs)) if ram.runs.kind[i] == PageKind.ZERO)
    data[ram.runs.start[run] + ram.runs.lead[run]] = 0x55  # the byte that fills the page
    found = differences(corpus.load("x86_64-microvm"), bytes(data))
    assert [rule for rule, _ in found] == ["diff.ram"]


def test_a_block_that_is_only_on_one_side_is_reported():
    left, right = corpus.load("7.2-pseries-7.2"), corpus.load("7.2-hotplug-memory")
    assert ("diff.extra", "ram.blocks[1]") in differences(left, right)


def test_memory_is_compared_by_content_not_by_how_it_was_sent():
    data = corpus.load("x86_64-microvm")
    stream = open_stream(data)
    ram = stream.ram
    run = next(i for i in range(len(ram.runs)) if ram.runs.kind[i] == PageKind.ZERO and ram.runs.lead[i] == 8)
    start, stride = ram.runs.start[run], ram.runs.stride[run]
    word = int.from_bytes(data[start : start + 8], "big")
    whole = (word & ~PageKind.ZERO | PageKind.PAGE).to_bytes(8, "big") + bytes(ram.page_size)
    other = data[:start] + whole + data[start + stride :]
    assert open_stream(other).findings == []
    assert differences(data, other) == []
