"""A pipe gives its bytes once, whatever was looked at before, and gets room."""

from __future__ import annotations

import fcntl
import io
import os

import pytest

from vmstate.containers import Pipe
from vmstate.containers.pipes import ROOM


@pytest.fixture
def ends():
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb") as other:  # noqa: PTH123 - descriptors
        yield file, other


def room(file) -> int:
    return fcntl.fcntl(file, fcntl.F_GETPIPE_SZ)


def test_a_pipe_gets_more_room(ends):
    file, other = ends
    try:
        fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, ROOM)
    except PermissionError:
        pytest.skip("this system allows no pipe of that size")
    fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, 4096)
    other.write(b"QEVM and more")
    other.close()
    pipe = Pipe(file)
    assert room(file) == ROOM
    assert pipe.head(4) == b"QEVM"
    assert pipe.read() == b"QEVM and more"


def test_a_pipe_with_more_room_than_that_keeps_it(ends, monkeypatch):
    file, _ = ends
    before = room(file)
    monkeypatch.setattr("vmstate.containers.pipes.ROOM", before // 2)
    Pipe(file)
    assert room(file) == before


def test_a_pipe_of_which_little_came_gets_time_to_fill(ends, monkeypatch):
    file, other = ends
    pauses = []
    monkeypatch.setattr("vmstate.containers.pipes.sleep", pauses.append)
    pipe, buffer = Pipe(file), bytearray(16)
    for data, before in ((b"16 bytes of data", 0), (b"few", 0), (b"16 bytes of data", 1)):
        other.write(data)
        other.flush()
        assert pipe.readinto(memoryview(buffer)) == len(data)
        assert buffer.startswith(data)
        assert len(pauses) == before
    other.close()
    assert pipe.readinto(memoryview(buffer)) == 0
    assert len(pauses) == 1


def test_no_other_file_is_waited_for(monkeypatch):
    monkeypatch.delattr("vmstate.containers.pipes.sleep")
    pipe, buffer = Pipe(io.BytesIO(b"few")), bytearray(16)
    assert [pipe.readinto(memoryview(buffer)) for _ in range(2)] == [3, 0]


def test_what_is_no_pipe_is_read_like_one(tmp_path):
    class Least:
        """A file that has no descriptor."""

        def __init__(self) -> None:
            self.read = io.BytesIO(b"bytes").read

    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    with path.open("rb") as file:
        for source in (io.BytesIO(b"bytes"), Least(), file):
            assert Pipe(source).read() == b"bytes"
