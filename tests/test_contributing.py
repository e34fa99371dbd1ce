"""CONTRIBUTING.md: each of its worked examples, from an installed wheel, in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(
    re.findall(
        r"^### (.+?)\n(.*?)(?=^### |\Z)", TEXT[TEXT.index("## Worked examples") :], re.DOTALL | re.MULTILINE
    )
)
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def environment(site, tmp_path_factory):
    """The installed package's command in PATH, and where the document says that things are."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "vmstate"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vmstate "$@"\n')
    command.chmod(0o755)
    package = shutil.copytree(site / "vmstate", folder / "package" / "vmstate")
    places = {"PACKAGE": str(package), "EXAMPLES": str(ROOT / "docs" / "examples")}
    path = f"{folder}:{os.environ['PATH']}"
    return {**os.environ, **places, "PYTHONPATH": str(package.parent), "PATH": path}


@pytest.mark.parametrize("title", EXAMPLES)
def test_a_worked_example_does_what_it_says(title, environment, tmp_path):
    blocks = BLOCK.findall(EXAMPLES[title])
    for _, name, text in blocks:
        if name:
            (tmp_path / name).write_text(text)
    ran = 0
    for (kind, _, text), (following, _, expected) in pairwise(blocks):
        if kind == "sh":
            assert following == "text"
            words = ["bash", "-c", text]
            done = subprocess.run(
                words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.stdout == expected, done.stderr
            ran += 1
    assert ran == 1


def test_there_is_an_example_of_each_thing_that_is_added():
    for thing in ("release", "machine type", "capability", "processor", "device", "host"):
        assert any(thing in title for title in EXAMPLES)
