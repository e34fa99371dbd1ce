"""Sections of passed-through devices, composed as hw/vfio writes them around real configuration spaces.

No stream of such a device could be captured here: it takes the hardware.
"""

from __future__ import annotations

import struct

import pytest

from tests.support import corpus
from tests.support.synthetic import section
from vmstate.pseries.declarations import pseries_declarations
from vmstate.stream import SectionType, open_stream, writer
from vmstate.stream.pipe import read_chunks
from vmstate.stream.sections.vfio import MigFlag
from vmstate.tree import Contents
from vmstate.tree.as_json import from_json, to_json
from vmstate.tree.paths import find_one, walk
from vmstate.tree.typed_changes import changed

IDSTR = "0000:00:02.0/vfio"
ADDRESSES = {
    "express": "0000:00:02.0/e1000e",
    "conventional": "0000:00:04.0/megasas",
    "one pin": "0000:00:08.0/rtl8139",
}


def flag(name):
    return MigFlag[name].to_bytes(8, "big")


def data(raw):
    return flag("DEV_DATA_STATE") + struct.pack(">Q", len(raw)) + raw


def configuration(device):
    """The bytes of a real device as ``vmstate_vfio_pci_config`` sends them."""
    contents = Contents(open_stream(corpus.load("x86_64-q35-many")), pseries_declarations())
    found = b""
    for place in walk(contents):
        if place.path.startswith(f"{ADDRESSES[device]}.parent_obj"):
            if place.node.type == "pci config":
                found += bytes(contents.stream.view(place.node.start - 4, place.node.end + 16))
            elif place.node.type == "msix state":
                found += bytes(contents.stream.view(place.node.start, place.node.end))
    return found


def stream(config, end=None):
    return b"".join(
        [
            writer.file_header(),
            section(SectionType.START, 7, flag("DEV_SETUP_STATE") + flag("END_OF_STATE"), IDSTR, 1),
            section(SectionType.PART, 7, data(b"first") + flag("DEV_INIT_DATA_SENT") + flag("END_OF_STATE")),
            section(SectionType.END, 7, data(b"") + data(bytes(1000)) + flag("END_OF_STATE")),
            section(
                SectionType.FULL,
                7,
                flag("DEV_CONFIG_STATE") + config + (end or flag("END_OF_STATE")),
                IDSTR,
                1,
            ),
            section(SectionType.FULL, 8, b"", "other", 1),
            b"\0",
        ]
    )


def contents_of(raw):
    return Contents(open_stream(raw), pseries_declarations())


@pytest.mark.parametrize("device", ADDRESSES)
def test_every_byte_has_a_name_and_stays(device):
    raw = stream(configuration(device))
    contents = contents_of(raw)
    assert [str(one) for one in contents.stream.findings] == []
    assert [place.path for place in walk(contents) if place.node.kind == "opaque"] == []
    (config,) = (place.node for place in walk(contents) if place.node.type == "VFIOPCIDevice")
    assert ("msix" in [node.name for node in config.nodes]) == (device != "one pin")
    assert from_json(to_json(contents)) == raw
    assert read_chunks([raw[at : at + 100] for at in range(0, len(raw), 100)]).items == contents.stream.items


def test_its_registers_can_be_edited():
    contents = contents_of(stream(configuration("express")))
    paths = [place.path for place in walk(contents) if place.path.endswith("config.command")]
    assert len(paths) == 1
    edited = contents_of(changed(contents, [f"{paths[0]}=0x507"]))
    assert find_one(edited, paths[0]).node.value == 0x507


def test_a_configuration_of_another_device_stays_bytes():
    contents = contents_of(stream(b"not a PCI device"))
    places = {place.path.rpartition(".")[2]: place.node for place in walk(contents)}
    assert (places["config"].type, places["config"].end - places["config"].start) == ("buffer", 16)


@pytest.mark.parametrize("end", [b"\xff" * 8, bytes(8)])
def test_a_configuration_without_an_end_is_not_read(end):
    contents = contents_of(stream(bytes(280), end))
    assert [section.idstr for section in contents.stream.sections][-2:] == [IDSTR, "other"]
    kinds = [place.node.kind for place in walk(contents) if place.path.startswith(f"{IDSTR}#3.")]
    assert kinds.count("opaque") == 1
    assert contents.node(contents.stream.sections[-2]).find("config") is None


def test_an_unknown_flag_is_named():
    raw = stream(b"").replace(flag("DEV_INIT_DATA_SENT"), b"\xff" * 8)
    assert "unexpected VFIO flag" in str(contents_of(raw).stream.findings[0])
