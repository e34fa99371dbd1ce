"""The sections of machine, processors and interrupt controllers, compared with real streams."""

from __future__ import annotations

import json
import re

import pytest

from tests.support import corpus, sections
from tests.support.fdt_reader import without_seed
from vmstate.describe import decode, encode
from vmstate.describe.vmdesc import VmdescWriter

PARTITION = r"\[\d+\]$"
SEED = "spapr_dtb/rng-seed"


def blank(name, found):
    device = sections.CLASSES[found.idstr].blank(sections.facts(name), instance_id=found.instance_id)
    if found.end is not None and sections.has_footers(name):
        device.measure(memoryview(corpus.load(name))[found.start : found.end])
    return device


def read(name, found):
    device = blank(name, found)
    data = memoryview(corpus.load(name))
    node, _, error = decode(device.plan.vmsd, data, found.start, found.version_id, state=device)
    assert error is None
    return device, node


def described(entry, path=""):
    """Return names, types and sizes in the JSON that QEMU appended, in order."""
    for field in entry["fields"]:
        name = re.sub(PARTITION, "", field["name"]) if field["type"] == "unused_buffer" else field["name"]
        yield path + name, field["type"], field["size"] * field.get("array_len", 1)
    for inner in entry.get("subsections", []):
        yield path + inner["vmsd_name"], "subsection", None
        yield from described(inner, f"{path}{inner['vmsd_name']}/")


def decoded(node, path=""):
    """Return the same for a decoded tree."""
    for child in node.nodes:
        if child.kind == "subsection":
            yield path + child.name, "subsection", None
            yield from decoded(child, f"{path}{child.name}/")
        elif child.kind != "header":
            yield path + child.name, child.type, child.end - child.start


def vmdesc(name):
    data = corpus.load(name)
    text = data[data.rindex(b"\0\x06", 0, data.rindex(b'"devices"')) + 6 :]
    return {(d["name"], d["instance_id"]): d for d in json.loads(text)["devices"]}


@pytest.mark.parametrize("name", [n for n in sections.names() if corpus.is_described(n)])
def test_names_types_and_sizes_are_those_of_the_vmdesc(name):
    entries = vmdesc(name)
    for found in sections.found(name):
        _, node = read(name, found)
        expected = list(described(entries[found.idstr, found.instance_id]))
        assert list(decoded(node)) == expected, found
        assert node.end == found.end


@pytest.mark.parametrize("name", sections.names())
def test_a_section_that_is_read_is_written_unchanged(name):
    data = corpus.load(name)
    for found in sections.found(name):
        device, node = read(name, found)
        assert encode(device.plan.vmsd, device, replay=True) == data[found.start : node.end], found


@pytest.mark.parametrize("name", [n for n in sections.names() if not corpus.is_described(n)])
def test_without_a_vmdesc_a_section_ends_where_the_next_thing_begins(name):
    data = corpus.load(name)
    for found in sections.found(name):
        _, node = read(name, found)
        assert data[node.end] in {0x7E, 0x04, 0x00}, found


def predictable(idstr, data, node):
    """Return a section's bytes by field and subsection, without those that are listed as unpredictable."""
    listed = {path for section, path in sections.unpredictable() if section == idstr}
    parts = []
    for child in node.nodes:
        raw = bytearray(data[child.start : child.end])
        for path in listed:
            base, _, index = path.partition("[")
            if index and child.name == base:
                at = 8 * int(index.rstrip("]"))
                raw[at : at + 8] = bytes(8)
            elif path == SEED and path.startswith(f"{child.name}/"):
                raw = bytearray(without_seed(bytes(raw)))
        parts.append((child.name, None if child.name in listed else bytes(raw)))
    return parts


BUILDABLE = [n for n in sections.names(booted=False) if n not in {"7.2-hotplug-memory", "10.0-devices"}]


@pytest.mark.parametrize("name", BUILDABLE)
def test_a_paused_machine_saves_what_qemu_saved(name):
    row = corpus.manifest()[name]
    made = sections.devices(sections.built(row["release"], row["args"]))
    data = memoryview(corpus.load(name))
    for found in sections.found(name):
        device = made[found.idstr, found.instance_id]
        ours = memoryview(encode(device.plan.vmsd, device))
        theirs_node = read(name, found)[1]
        again = blank(name, found)
        if found.idstr == "spapr-xive":
            again.measure(ours)
        ours_node, _, error = decode(device.plan.vmsd, ours, 0, found.version_id, state=again)
        assert error is None
        expected = predictable(found.idstr, data, theirs_node)
        assert predictable(found.idstr, ours, ours_node) == expected, found


@pytest.mark.parametrize("name", [n for n in BUILDABLE if corpus.is_described(n)])
def test_the_description_of_a_saved_section_is_qemus_text(name):
    row = corpus.manifest()[name]
    text = corpus.load(name)[corpus.load(name).rindex(b'"devices"') :].decode()
    made = sections.devices(sections.built(row["release"], row["args"]))
    writer = VmdescWriter.at(row["release"])
    for found in sections.found(name):
        device = made[found.idstr, found.instance_id]
        encode(device.plan.vmsd, device)  # the description is of a state that was just saved
        ours = writer.device(device.plan, found.idstr, found.instance_id, device)
        assert ours in text, found


def test_every_unpredictable_byte_has_a_reason():
    assert all(len(reason) > 20 for reason in sections.unpredictable().values())
