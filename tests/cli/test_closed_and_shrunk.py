"""Standard streams that the caller closed, and files that become shorter while they are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STREAM = ROOT / "streams" / "7.2-pseries-7.2.mig.zst"
VMSTATE = f"{sys.executable} -m vmstate"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_changes_no_status_and_damages_no_file(tmp_path, closed):
    out = tmp_path / "out.mig"
    done = subprocess.run(
        f"{VMSTATE} edit {STREAM} cpu.env.nip=5 -o {out} {closed}",
        shell=True, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.read_bytes()[:4] in (b"QEVM", STREAM.read_bytes()[:4])


SHRINKS = """
import sys
from vmstate.cli import main
import vmstate.front.opening as opening
real = opening._open_stream_file
def shorter(*given, **more):
    file = real(*given, **more)
    open(sys.argv[1], "r+b").truncate(10)
    return file
opening._open_stream_file = shorter
sys.exit(main(["show", sys.argv[1]]))
"""


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(tmp_path):
    guest = tmp_path / "guest.mig"
    subprocess.run(
        [sys.executable, "-m", "vmstate", "unwrap", STREAM, "-o", guest],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    done = subprocess.run(
        [sys.executable, "-c", SHRINKS, guest], capture_output=True, text=True, check=False, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "a file became shorter while it was read" in done.stderr
