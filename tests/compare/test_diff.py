"""diff: sections, fields, guest memory; ignored paths; a stream equals itself however it was sent."""

from __future__ import annotations

import pytest

from tests.support import corpus
from vmstate.compare.streams import Diff
from vmstate.front.checks import diff
from vmstate.front.opening import open_stream_file
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.meanings import meanings
from vmstate.stream import open_stream
from vmstate.stream.sections.ram import PageKind
from vmstate.tree import Contents
from vmstate.tree.arm_registers import register_name
from vmstate.tree.typed_changes import changed

DECLARATIONS = PseriesDeclarations()
NAME = "7.2-booted-power9-compat8"


def contents_of(data: bytes) -> Contents:
    return Contents(open_stream(data), DECLARATIONS)


def differences(left: bytes, right: bytes, *ignore: str) -> list[tuple[str, str]]:
    found = Diff(contents_of(left), contents_of(right), ignore, meanings()).differences()
    return [(one.rule, one.path) for one in found]


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


A57, MAX = "aarch64-virt-cortex-a57", "aarch64-virt-max"  # 258 and 304 registers


def test_register_lists_of_unlike_length_are_compared_by_register():
    found = {one.path: one for one in diff(corpus.load(A57), corpus.load(MAX))}
    registers = {path for path in found if path.startswith("cpu.cpreg_vmstate_values[")}
    assert "cpu.cpreg_vmstate_values[ID_AA64ISAR0_EL1]" in registers
    assert not [path for path in found if "cpreg_vmstate_indexes" in path]
    assert "cpu.cpreg_vmstate_values[SCTLR_EL1]" not in registers  # the same in both
    sides = [open_stream_file(corpus.load(name)) for name in (A57, MAX)]
    for path in registers:
        values = [side.get(path) for side in sides]
        assert values[0] != values[1], path
        rule = {None: "diff.extra"}.get(values[0], {None: "diff.missing"}.get(values[1], "diff.value"))
        assert found[path].rule == rule, path


def test_every_register_of_either_side_is_compared():
    """The registers that differ, and those that do not, are all there are."""
    found = {one.path for one in diff(corpus.load(A57), corpus.load(MAX))}
    sides = [open_stream_file(corpus.load(name)) for name in (A57, MAX)]
    lists = [
        dict(zip(side["cpu.cpreg_vmstate_indexes"], side["cpu.cpreg_vmstate_values"], strict=True))
        for side in sides
    ]
    differ = {number for number in lists[0] | lists[1] if lists[0].get(number) != lists[1].get(number)}
    assert {f"cpu.cpreg_vmstate_values[{register_name(number)}]" for number in differ} == {
        path for path in found if "[" in path and "cpreg" in path
    }


def test_the_order_of_registers_does_not_matter_but_is_not_hidden():
    data = corpus.load(A57)
    with open_stream_file(data) as stream:
        for array in ("indexes", "values"):
            values = stream[f"cpu.cpreg_vmstate_{array}"]
            stream[f"cpu.cpreg_vmstate_{array}"] = [values[1], values[0], *values[2:]]
        found = diff(data, bytes(stream.data))
    assert [(one.path, one.left) for one in found] == [("cpu", "different bytes for the same values")]


def test_msi_devices_are_compared_by_their_keys():
    data = corpus.load("10.0-booted-virtio-smp2")
    with open_stream_file(data) as stream:
        rows = stream["spapr_pci.msi_devs"]
        assert len({row["key"] for row in rows}) == len(rows) == 6
        for index, row in enumerate(reversed(rows)):
            for name, value in row.items():
                stream[f"spapr_pci.msi_devs[{index}].{name}"] = value
        stream["spapr_pci.msi_devs[key=0x800].value.num"] = 7
        found = diff(data, bytes(stream.data))
    assert [one.path for one in found] == ["spapr_pci.msi_devs[key=0x800].value.num"]


def test_connectors_are_compared_by_their_index():
    data = corpus.load("4.1.1-hotplug-pending")
    with open_stream_file(data) as stream:
        connectors = [section.path for section in stream.sections if section.idstr == "spapr_drc"]
        assert connectors
        del stream[connectors[0]]
        found = diff(data, bytes(stream.data))
    assert [(one.rule, one.path) for one in found] == [("diff.missing", connectors[0])]


def test_two_fields_of_one_name_are_both_compared():
    data = corpus.load("7.2-no-vmdesc")
    with open_stream_file(data) as stream:
        size = len(stream["cpu.unused#0"])
        stream["cpu.unused#0"] = bytes([1]) + bytes(size - 1)
        found = diff(data, bytes(stream.data))
        ignored = diff(data, bytes(stream.data), ["cpu.unused#0"])
    assert [one.path for one in found] == ["cpu.unused#0"]
    assert ignored == []


def test_arrays_whose_elements_have_other_names_are_one_difference():
    """Two devices have one key, so that no key tells the elements apart."""
    twins = edited("10.0-booted-virtio-smp2", "spapr_pci.msi_devs[key=0x800].key=0")
    changed = edited("10.0-booted-virtio-smp2", "spapr_pci.msi_devs[key=0x800].key=0x1000")
    renamed = changed.replace(b'"value.first_irq"', b'"value.FIRST_irq"', 1)
    paths = [path for _, path in differences(twins, renamed)]
    assert "spapr_pci.msi_devs" in paths
