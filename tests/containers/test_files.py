"""Sources and destinations of streams: files, standard input, files that cannot be read or written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vmstate.containers import open_input
from vmstate.errors import StreamError

READ_STDIN = (
    "import sys; from vmstate.containers import open_input; o = open_input('-');"
    "print(len(o.data), bytes(o.data[:4]), o.origin)"
)


def test_the_standard_input_from_a_pipe_and_from_a_file_that_was_read_before(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"head" + b"QEVM" + bytes(100))
    piped = subprocess.run([sys.executable, "-c", READ_STDIN], input=b"QEVM", capture_output=True, check=True)
    assert piped.stdout == b"4 b'QEVM' None\n"
    with path.open("rb") as file:
        os.lseek(file.fileno(), 4, os.SEEK_SET)
        mapped = subprocess.run(
            [sys.executable, "-c", READ_STDIN], stdin=file, capture_output=True, check=True
        )
    assert mapped.stdout == b"104 b'QEVM' 4\n"


def test_an_empty_file_is_an_empty_stream(tmp_path):
    (tmp_path / "empty").touch()
    opened = open_input(tmp_path / "empty")
    assert (bytes(opened.data), opened.layers, opened.findings) == (b"", (), ())


@pytest.mark.parametrize("name", ["missing", ".", "nul\0byte"])
def test_an_unreadable_source_is_our_own_error(tmp_path, name):
    with pytest.raises(StreamError, match="cannot read"):
        open_input(f"{tmp_path}/{name}")


def test_closing_leaves_views_that_are_still_in_use(tmp_path):
    numpy = pytest.importorskip("numpy")
    (tmp_path / "stream").write_bytes(b"QEVM" * 5000)
    with open_input(tmp_path / "stream") as opened:
        view = opened.data[4:8]
        array = numpy.frombuffer(opened.data, "u1")
    assert bytes(view) == b"QEVM"
    assert array[0] == ord("Q")
