"""The device trees of a real QEMU's machines compared with ours, byte by byte."""

from __future__ import annotations

import struct

import pytest

from tests.support.fdt_reader import seed
from vmstate.pseries.device_tree.inputs import tree_inputs
from vmstate.pseries.device_tree.root import build
from vmstate.pseries.registration import build as board
from vmstate.pseries.startup.build import build as start
from vmstate.pseries.startup.command_line import configuration
from vmstate.qemu import capture

pytestmark = pytest.mark.qemu

TITLE = b"\x05\x09spapr_dtb\0\0\0\x01"
LAST_COMPATIBLE = slice(24, 28)  # in the header; depends on QEMU's libfdt

MACHINES = {
    "memory in pieces": ["-m", "3328M,slots=4,maxmem=64G"],
    "processors": ["-cpu", "power9", "-smp", "3,maxcpus=12"],
    "old processors": ["-cpu", "power8", "-smp", "2"],
    "large pages": ["-machine", "cap-hpt-max-page-size=16M"],
    "bridges and a card": ["-device", "spapr-pci-host-bridge,index=2", "-device", "virtio-rng-pci"],
    "a guest of libvirt": [
        "-uuid",
        "AAAAAAAA-2222-3333-4444-555555555555",
        "-name",
        "guest=g,debug-threads=on",
    ],
    "a node": ["-object", "memory-backend-ram,id=mm,size=256M", "-numa", "node,memdev=mm"],
    "a screen and USB": ["-vga", "std", "-usb"],
    "virtual devices": ["-serial", "null", "-device", "spapr-vscsi", "-device", "spapr-vlan"],
}


@pytest.mark.parametrize("arguments", MACHINES.values(), ids=MACHINES)
def test_qemus_tree_is_ours(binary, machine, arguments, tmp_path):
    capture([*machine, *arguments], tmp_path / "saved.mig")
    data = (tmp_path / "saved.mig").read_bytes()
    at = data.index(TITLE) + len(TITLE)
    _, size = struct.unpack_from(">2I", data, at)
    theirs = bytearray(data[at + 8 : at + 8 + size])
    made = start(configuration(str(binary.release), [*machine[1:], *arguments])).machine
    ours = bytearray(build(tree_inputs(board(made.boot())), seed(bytes(theirs))))
    ours[LAST_COMPATIBLE] = theirs[LAST_COMPATIBLE]
    assert ours == theirs
