"""A stream inside another file, and files that hold none."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import synthetic
from vmstate.containers import open_input, rewrap
from vmstate.containers.foreign import KINDS, named
from vmstate.errors import StreamError, Unsupported
from vmstate.stream import open_stream
from vmstate.stream.opening import open_source

STREAM = synthetic.everything()


def tar_of(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("guest.mig")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@given(st.binary(max_size=300))
def test_a_stream_behind_other_bytes_is_found_and_written_again(before):
    data = b"\x01" + before.replace(b"Q", b"q") + STREAM
    opened = open_input(data)
    assert bytes(opened.data) == STREAM
    assert b"".join(rewrap(opened.layers, [STREAM])) == data
    assert [one.rule for one in opened.findings] == ["container.offset"]


def test_a_stream_in_an_archive_is_found_and_the_archive_named():
    opened = open_input(tar_of(STREAM))
    assert open_stream(opened.data).configuration.machine == open_stream(STREAM).configuration.machine
    assert opened.findings[0].message == "a stream was found behind 512 bytes of a tar archive (OVA is one)"


def test_an_offset_is_given_behind_the_name(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100) + STREAM + STREAM)
    for offset, size in {"100": 2, "0x64": 2, str(100 + len(STREAM)): 1}.items():
        assert bytes(open_source(f"{path}@{offset}").data) == STREAM * size
    with pytest.raises(StreamError, match="nothing is at this offset"):
        open_source(f"{path}@1000000000")
    with pytest.raises(Unsupported, match="no 'name'"):
        open_source(f"{path}@name")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_without_a_stream_is_named(kind):
    head = bytes(kind.at) + kind.magic + bytes(600)
    with pytest.raises(StreamError, match="not a migration stream") as raised:
        open_stream(open_input(head).data)
    assert kind.name in str(raised.value)
    assert raised.value.remedy == kind.remedy


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"root:x:0:0:root:/root:/bin/sh\n", "a text"),
        (b'{"stream": []}', "a JSON text"),
        (b"<domain type='kvm'>", "a domain's XML"),
        (b"<html>", "an XML text"),
        (b"00000000: 5145 564d 0000 0003 QEVM\n", "a hex dump"),
        (bytes(5000), "zeros"),
    ],
)
def test_a_text_is_named(data, name):
    kind = named(memoryview(data))
    assert kind is not None
    assert kind.name == name


def test_an_empty_file_is_said_to_be_empty():
    with pytest.raises(StreamError, match="the file is empty"):
        open_stream(b"")


def test_zeros_behind_a_stream_are_the_rest_of_a_volume():
    """Proxmox writes a state to a volume, and rounds it up; the description is found all the same."""
    stream = open_stream(STREAM + bytes(5000))
    assert stream.vmdesc is not None
    (finding,) = [one for one in stream.findings if one.rule == "stream.trailing"]
    assert (finding.severity, "rest of a volume" in finding.message) == ("info", True)
