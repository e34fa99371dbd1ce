"""docs/start.md: the walk runs, from an installed wheel, in one folder, and prints what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "start.md").read_text("utf-8")
BLOCK = re.compile(r"^```(sh|text|python)(?: (qemu|file=\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def environment(site, tmp_path_factory):
    """A PATH in which vmstate and python3 are those of the installed wheel."""
    folder = tmp_path_factory.mktemp("bin")
    for name, command in (("vmstate", "-m vmstate"), ("python3", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        script.chmod(0o755)
    return {**os.environ, "PYTHONPATH": str(site), "PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_walk_does_what_it_says(environment, tmp_path):
    """Files are written and commands run in their order; a text after them is what they print."""
    said = None
    for language, what, text in BLOCK.findall(TEXT):
        if what.startswith("file="):
            (tmp_path / what.removeprefix("file=")).write_text(text)
        elif language == "sh" and not what:
            said = run(text, environment, tmp_path)
        elif language == "text" and said is not None:
            missing = [line for line in text.splitlines() if not printed(line, said)]
            assert missing == [], said
            said = None


def run(text, environment, folder):
    """Run the lines of a block one by one: exit status 1 is a result."""
    said = ""
    for line in text.splitlines():
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, check=False, cwd=folder, env=environment
        )
        assert done.returncode in {0, 1}, f"{line}\n{done.stdout}{done.stderr}"
        assert "rror:" not in done.stderr, line
        said += done.stdout
    return said


def printed(line, said):
    pattern = re.escape(line).replace("…", ".*")
    return re.search(f"^{pattern}$", said, re.MULTILINE) is not None


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-ppc64") is None, reason="no qemu-system-ppc64")
def test_the_blocks_with_a_real_qemu_run(environment, tmp_path):
    pytest.importorskip("qemu.qmp")
    for language, what, text in BLOCK.findall(TEXT):
        if (language, what) == ("sh", "qemu"):
            run(text, environment, tmp_path)


def test_the_walk_has_all_of_its_parts():
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert len(headings) >= 8
    assert sum(language == "sh" for language, _, _ in BLOCK.findall(TEXT)) >= 7
