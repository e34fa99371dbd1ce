"""Outputs: whole or not at all, under the old name, with the old owner and mode."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmstate.containers import open_input
from vmstate.errors import OutputError, OutputWarning, StreamError
from vmstate.holes import BLOCK
from vmstate.outputs import replaced, save


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
    with pytest.raises(OutputError, match="cannot write"):
        save(tmp_path / "no" / "where", [b"QEVM"])


def test_a_process_that_is_killed_leaves_the_old_file_and_the_next_one_removes_what_it_left(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys; from vmstate.outputs import save\n"
        "def chunks():\n"
        "    yield b'new'\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "save(sys.argv[1], chunks())"
    )
    killed = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    save(path, [b"newer"])
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_output_do_not_take_each_other_for_a_leftover(tmp_path):
    path = tmp_path / "stream"
    with replaced(path) as first:
        first.write_bytes(b"first")
        save(path, [b"second"])
        assert first.exists()
    assert path.read_bytes() == b"first"


def test_a_program_may_write_the_new_file_and_its_failure_leaves_the_old_one(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")
    with pytest.raises(subprocess.CalledProcessError), replaced(path) as new:
        subprocess.run(f"echo half > {new}; exit 1", shell=True, check=True)
    assert path.read_bytes() == b"old"
    with replaced(path) as new:
        subprocess.run(f"echo new > {new}", shell=True, check=True)
    assert path.read_text() == "new\n"


def test_other_names_of_a_file_are_said_to_keep_the_old_contents(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")
    (tmp_path / "other").hardlink_to(path)
    with pytest.warns(OutputWarning, match="hard links: 1"):
        save(path, [b"new"])
    assert (tmp_path / "other").read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_of_a_file_is_kept(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")
    os.chown(path, 1234, 4321)
    path.chmod(0o4640)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(path, [b"new"])
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)
    assert stat.S_IMODE(path.stat().st_mode) == 0o4640


def test_a_read_only_file_a_folder_and_a_loop_of_links_are_refused(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(OutputError, match="read-only"):
        save(path, [b"new"])
    assert path.read_bytes() == b"old"
    with pytest.raises(OutputError, match="it is a folder"):
        save(tmp_path, [b"new"])
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OutputError, match="symbolic links"):
        save(tmp_path / "a", [b"new"])


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"old")
    program = (
        "import resource, signal, sys; from vmstate.outputs import save\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "save(sys.argv[1], [bytes(10_000)])"
    )
    failed = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert "OutputError: cannot write" in failed.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


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
