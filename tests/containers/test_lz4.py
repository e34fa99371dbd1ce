"""lz4 frames: the package reads what the program wrote, and writes the same bytes again."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmstate.containers import layer, open_input, rewrap
from vmstate.errors import TooLarge, Unsupported

needs_package = pytest.mark.skipif(
    not importlib.util.find_spec("lz4"), reason="the extra qemu-vmstate[lz4] is not installed"
)
needs_program = pytest.mark.skipif(shutil.which("lz4") is None, reason="there is no lz4 in PATH")


@needs_package
@needs_program
@pytest.mark.parametrize(
    "options", [[], ["-B4"], ["-BD"], ["-B5", "-BD"], ["-BX"], ["--no-frame-crc"]], ids=" ".join
)
def test_what_the_program_compressed_is_written_identically(stream, options):
    packed = subprocess.run(["lz4", "-qc", *options], input=stream, capture_output=True, check=True).stdout
    opened = open_input(packed)
    assert bytes(opened.data) == stream
    assert [one.container for one in opened.layers] == ["lz4"]
    assert b"".join(rewrap(opened.layers, [stream])) == packed


@needs_package
@needs_program
def test_the_program_reads_what_is_written(stream):
    packed = b"".join(rewrap([layer("lz4")], [stream[:70_000], stream[70_000:]]))
    assert subprocess.run(["lz4", "-qdc"], input=packed, capture_output=True, check=True).stdout == stream


@needs_package
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_a_finding_and_what_was_before_is_kept(stream, data):
    packed = bytearray(b"".join(rewrap([layer("lz4")], [stream])))
    at = data.draw(st.integers(4, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    opened = open_input(bytes(packed))
    assert opened.findings or bytes(opened.data) == stream
    cut = open_input(bytes(packed[: data.draw(st.integers(7, len(packed) - 1))]))
    assert cut.findings


@needs_package
def test_a_bomb_stops_at_the_limit():
    bomb = b"".join(rewrap([layer("lz4")], [bytes(64 << 20)]))
    assert len(bomb) < 1 << 19
    with pytest.raises(TooLarge):
        open_input(bomb, limit=1 << 20)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lz4", None)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(Unsupported, match=r"vmstate\[lz4\]"):
        open_input(b"\x04\x22\x4d\x18" + bytes(20))


def test_the_legacy_format_is_named():
    from vmstate.containers.foreign import named

    kind = named(memoryview(b"\x02\x21\x4c\x18" + bytes(20)))
    assert kind is not None
    assert "legacy" in kind.name
