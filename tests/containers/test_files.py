"""Sources and destinations of streams: files, standard input, files that cannot be read or written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmstate.containers import open_input, save
from vmstate.containers.holes import BLOCK
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


def test_a_file_may_be_saved_over_the_one_it_is_read_from(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"QEVM" * 100_000)
    path.chmod(0o640)
    opened = open_input(path)
    assert save(path, [b"new", opened.data]) == 400_003
    assert path.read_bytes() == b"new" + b"QEVM" * 100_000
    assert bytes(opened.data[:4]) == b"QEVM"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")

    def chunks():
        yield b"new"
        raise StreamError("end of input")

    with pytest.raises(StreamError, match="end of input"):
        save(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    save(tmp_path / "link", [b"QEVM"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"QEVM"


def test_saving_to_a_device_or_to_nowhere(tmp_path):
    assert save("/dev/null", [b"QEVM"]) == 4
    with pytest.raises(StreamError, match="cannot write"):
        save(tmp_path / "no" / "where", [b"QEVM"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 3 * BLOCK).map(bytes), st.binary(max_size=40)), max_size=12))
def test_a_file_with_holes_reads_like_what_was_written(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("holes") / "file"
    assert save(path, chunks) == sum(map(len, chunks))
    assert path.read_bytes() == b"".join(chunks)


def test_blocks_of_zeros_take_no_room(tmp_path):
    path = tmp_path / "file"
    save(path, [b"head", bytes(64 << 20), b"middle", bytes(64 << 20)])
    assert path.stat().st_size == (128 << 20) + 10
    assert path.stat().st_blocks * 512 < 1 << 20
