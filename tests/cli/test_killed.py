"""Commands that write are killed, or meet a full disk: the old file stays, or the new one is whole."""

from __future__ import annotations

import resource
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.killing import OLD, WRITERS, Killing, prepared, run
from tests.support.share import times


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    prepared(folder)
    return folder


@pytest.fixture
def folder(inputs, tmp_path):
    """A folder of its own, with what the commands read."""
    return Path(shutil.copytree(inputs, tmp_path / "folder"))


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_command_leaves_the_old_file_or_the_whole_new_one(folder, name):
    killing = Killing(name, folder)
    files = {path.name for path in folder.iterdir()}
    for left in killing.kills(times(2, 20)):
        assert left in (OLD, killing.whole)
    assert run(WRITERS[name], folder) in (0, 1)
    assert {path.name for path in folder.iterdir()} == files, "what a killed command left is removed"


def _small_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"load --junit"}))
def test_a_command_that_meets_a_full_disk_leaves_the_old_file(folder, name):
    (folder / "OUT").write_bytes(OLD)
    files = {path.name for path in folder.iterdir()}
    assert run(WRITERS[name], folder, _small_files) == 2
    assert (folder / "OUT").read_bytes() == OLD
    assert {path.name for path in folder.iterdir()} == files
