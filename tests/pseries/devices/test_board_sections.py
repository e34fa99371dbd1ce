"""Every section but the core's, compared with real streams: vmdesc, replay, state after reset."""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from tests.support import corpus, sections
from tests.support.sections import BUILDABLE, arguments, machine, stream
from vmstate.describe import decode, encode
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.registration import register
from vmstate.stream import SectionType

SUFFIX = r"\[\d+\]$"  # given to names that occur more than once


def found(name):
    """Return the sections of devices that the core's tests do not cover."""
    full = (s for s in stream(name).sections if s.kind is SectionType.FULL)
    return [s for s in full if s.idstr not in sections.CLASSES]


def payload(name, section):
    return bytes(stream(name).payload(section))


def read(name, section):
    kind = sections.device_class(section.idstr)
    device = kind.blank(sections.facts(name), section.idstr, section.instance_id)
    data = memoryview(payload(name, section))
    node, _, error = decode(device.plan.vmsd, data, 0, section.version_id, state=device)
    assert error is None, (section.idstr, error)
    return device, node


def merged(rows):
    """Merge adjacent rows of the same name and type: a vmdesc has arrays in pieces or as one."""
    for (name, kind), group in groupby(rows, key=lambda row: row[:2]):
        sizes = [size for _, _, size in group]
        yield name, kind, None if None in sizes else sum(sizes)


def described(entry, path=""):
    for field in entry.get("fields", []):
        size = field["size"] * field.get("array_len", 1)
        yield path + re.sub(SUFFIX, "", field["name"]), field["type"], size
    for inner in entry.get("subsections", []):
        yield path + inner["vmsd_name"], "subsection", None
        yield from described(inner, f"{path}{inner['vmsd_name']}/")


def decoded(node, path=""):
    for child in node.nodes:
        if child.kind == "subsection":
            yield path + child.name, "subsection", None
            yield from decoded(child, f"{path}{child.name}/")
        elif child.kind != "header" and child.end > child.start:
            yield path + re.sub(SUFFIX, "", child.name), child.type, child.end - child.start


@pytest.mark.parametrize("name", [n for n in sections.names() if corpus.is_described(n)])
def test_names_types_and_sizes_are_those_of_the_vmdesc(name):
    for section in found(name):
        if section.idstr == "slirp":
            continue  # registered without a description: the vmdesc has only its size
        entry = stream(name).vmdesc.device(section.idstr, section.instance_id).object
        _, node = read(name, section)
        expected = [row for row in merged(described(entry)) if row[2] != 0]
        assert list(merged(decoded(node))) == expected, section.idstr


@pytest.mark.parametrize("name", sections.names())
def test_a_section_that_is_read_is_written_unchanged(name):
    for section in found(name):
        device, node = read(name, section)
        assert node.end == len(payload(name, section)), section.idstr
        assert encode(device.plan.vmsd, device, replay=True) == payload(name, section), section.idstr


def without_unpredictable(idstr, raw):
    """Return nothing for ``spapr/rtc``, which is all clock, and every other section unchanged."""
    return None if (idstr, "ns_offset") in sections.unpredictable() else raw


@pytest.mark.parametrize("name", BUILDABLE)
def test_a_paused_machine_saves_what_qemu_saved(name):
    made = register(machine(corpus.manifest()[name]["release"], arguments(name)))
    devices = {(e.device.idstr, e.device.instance_id): e.device for e in made}
    for section in found(name):
        device = devices[section.idstr, section.instance_id]
        assert not isinstance(device, LiveDevice)
        ours = encode(device.plan.vmsd, device)
        expected = without_unpredictable(section.idstr, payload(name, section))
        assert without_unpredictable(section.idstr, ours) == expected, section.idstr


@pytest.mark.parametrize("name", BUILDABLE)
def test_memory_blocks_are_those_of_qemu(name):
    made = register(machine(corpus.manifest()[name]["release"], arguments(name)))
    ram = next(e.device for e in made if e.device.idstr == "ram")
    expected = [(block.name, block.length) for block in stream(name).ram.blocks]
    assert [(block.name, block.used_length) for block in ram.blocks] == expected


def test_every_section_of_every_stream_has_a_device():
    names = {
        s.idstr for name in sections.names() for s in stream(name).sections if s.kind is SectionType.FULL
    }
    assert [name for name in sorted(names) if sections.device_class(name) is None] == []
