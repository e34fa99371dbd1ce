"""Commands that write are killed, or meet a full disk: the old file stays, or the new one is whole."""

from __future__ import annotations

import resource
import signal

import pytest

from tests.support.killing import OLD, WRITERS, Killing, prepared, run


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_command_leaves_the_old_file_or_the_whole_new_one(tmp_path, name):
    prepared(tmp_path)
    killing = Killing(name, tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    for left in killing.kills(3):
        assert left in (OLD, killing.whole)
    assert run(WRITERS[name], tmp_path) in (0, 1)
    assert {path.name for path in tmp_path.iterdir()} == files, "what a killed command left is removed"


def _small_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"load --junit"}))
def test_a_command_that_meets_a_full_disk_leaves_the_old_file(tmp_path, name):
    prepared(tmp_path)
    (tmp_path / "OUT").write_bytes(OLD)
    files = {path.name for path in tmp_path.iterdir()}
    assert run(WRITERS[name], tmp_path, _small_files) == 2
    assert (tmp_path / "OUT").read_bytes() == OLD
    assert {path.name for path in tmp_path.iterdir()} == files
