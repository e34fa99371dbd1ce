"""docs/ci: each script does what it says, and each job runs one of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vmstate.qemu import QemuNotFound, find

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "docs" / "ci"
RECORD = ROOT / "fixtures" / "records" / "qemu-system-ppc64-7.2"


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a script, with a ``vmstate`` in PATH that is this one."""
    command = tmp_path / "bin" / "vmstate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vmstate "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "REPORTS": str(tmp_path / "reports")}

    def call(script, *arguments, **more):
        words = ["sh", str(CI / script), *map(str, arguments)]
        ended = subprocess.run(
            words, capture_output=True, text=True, cwd=tmp_path, env={**environment, **more}, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr

    return call


def copied(tmp_path, record=RECORD):
    """Return a copy of a record of 7.2."""
    folder = tmp_path / "records" / "7.2"
    shutil.copytree(record, folder)
    return folder


def test_a_whole_record_passes_the_hook(run, tmp_path):
    folder = copied(tmp_path)
    files = [folder / "record.json", *sorted((folder / "machines").iterdir())]
    assert run("check-records.sh", *files) == (0, "")


def test_a_record_with_a_stream_that_was_cut_fails_the_hook(run, tmp_path):
    folder = copied(tmp_path)
    streams = sorted((folder / "machines").glob("*.mig.zst"))
    streams[1].write_bytes(streams[1].read_bytes()[:-2000])
    status, said = run("check-records.sh", streams[1])
    assert status == 1
    assert streams[1].name in said


def test_a_machine_that_its_own_release_does_not_load_fails_the_hook(run, tmp_path):
    """7.2 sends cpu/tlb6xx twice, for two layouts: it says "Missing section footer for cpu" to itself."""
    folder = copied(tmp_path, RECORD.parent / "bamboo-7.2")
    shutil.copy(RECORD / "schema.json.zst", folder)
    status, said = run("check-records.sh", folder / "machines" / "bamboo.mig.zst")
    assert status == 1
    assert "cpu/tlb6xx" in said


def test_a_build_that_cannot_be_judged_is_neither_yes_nor_no(run, tmp_path):
    copied(tmp_path)
    status, said = run("bump.sh", RECORDS="records", PROGRAM="no-such-program")
    assert status == 2
    assert "7.2: cannot judge" in said


@pytest.mark.qemu
def test_the_same_release_may_ship_and_the_reports_say_so(run, tmp_path):
    try:
        program = find("7.2").path
    except QemuNotFound as error:
        pytest.skip(str(error))
    copied(tmp_path)
    status, said = run("bump.sh", RECORDS="records", PROGRAM=program, MACHINE="pseries-7.2")
    page = (tmp_path / "reports" / "7.2.txt").read_text()
    assert (status, said) == (0, "7.2: yes\n"), page
    assert "real replays: " in page
    assert ET.parse(tmp_path / "reports" / "7.2.xml").getroot().get("failures") == "0"


@pytest.mark.parametrize(
    ("job", "script", "copy"),
    [
        ("gitlab-ci.yml", "bump.sh", "tests/migration-bump.sh"),
        ("github-workflow.yml", "bump.sh", "tests/migration-bump.sh"),
        ("pre-commit-config.yaml", "check-records.sh", "tests/check-records.sh"),
    ],
)
def test_each_job_runs_a_script_that_is_there(job, script, copy):
    assert copy in (CI / job).read_text()
    assert (CI / script).is_file()
