"""Xen's save files, made by the specification: QEMU's state is found in them and put back."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmstate
from vmstate.containers import open_input, rewrap
from vmstate.containers.xen import LIBXL, XL
from vmstate.errors import Unsupported

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "containers" / "xen-devices.state.zst"
STATE = b"QEVM\0\0\0\3" + b"\x04devices" * 40


def record(kind: int, body: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(body)) + body + bytes(-len(body) % 8)


def libxc(order: str = "<") -> bytes:
    head = b"\xff" * 8 + b"XENF" + struct.pack(">IHHI", 3, order == ">", 0, 0)
    head += struct.pack(f"{order}IHHII", 2, 12, 0, 4, 17)
    pages = struct.pack(f"{order}IIQ", 1, 0, 7) + b"page" * 1024
    return head + record(1, pages, order) + record(9, b"context", order) + record(0, b"", order)


def save_file(state: bytes = STATE, order: str = "<", *, xl: bool = True, libxl_only: bool = False) -> bytes:
    config = struct.pack(f"{order}I", 12) + b'{"name":"a"}'
    head = XL + struct.pack(f"{order}IIII", 0x01020304, 1, 0, len(config)) + config if xl else b""
    parts = [
        head + LIBXL + struct.pack(">II", 2, order == ">"),
        struct.pack(f"{order}II", 1, 0) + libxc(order),
        record(2, struct.pack(f"{order}II", 2, 0) + b"key\0value\0", order),
        record(3, struct.pack(f"{order}II", 2, 0) + state, order),
        record(0, b"", order),
    ]
    return b"".join(parts)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("xl", [True, False])
def test_the_state_is_found_and_another_one_put_in_its_place(order, xl):
    data = save_file(order=order, xl=xl)
    opened = open_input(data)
    assert bytes(opened.data) == STATE
    assert opened.findings == ()
    assert opened.layers[0].as_json()["emulator"] == "qemu"
    assert opened.layers[0].as_json()["page_records"] == 1
    assert b"".join(opened.rewrap(STATE)) == b"".join(rewrap(opened.layers, [STATE])) == data
    longer = STATE + b"more"
    assert b"".join(opened.rewrap(longer)) == save_file(longer, order, xl=xl)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_a_finding(data):
    damaged = bytearray(save_file())
    at = data.draw(st.integers(27, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(28, len(damaged)))
    whole = bytes(damaged[:cut])
    opened = open_input(whole)
    assert b"".join(opened.rewrap(bytes(opened.data))) == whole
    assert opened.findings or opened.data


def test_a_domain_without_an_emulator_says_so():
    data = LIBXL + struct.pack(">II", 2, 0) + struct.pack("<II", 1, 0) + libxc() + record(0, b"")
    opened = open_input(data)
    assert "PV" in opened.findings[0].message
    with pytest.raises(Unsupported):
        b"".join(open_input(data[:16]).rewrap(b"QEVM"))


def test_the_state_of_devices_alone_is_read_by_declarations(tmp_path):
    """It has no configuration section: of which machine type it is, its lengths and footers show."""
    path = tmp_path / "domain.save"
    path.write_bytes(save_file(bytes(open_input(RECORDED).data)))
    with vmstate.open(path) as stream:
        assert stream.findings == ()
        stream["cpu.env.gpr[5]"] = 0x1234567
        assert stream["spapr_pci.buid"] == 0x800000020000000
        stream.save()
    with vmstate.open(path) as stream:
        assert stream["cpu.env.gpr[5]"] == 0x1234567
