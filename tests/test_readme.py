"""What the README says is so: its example runs and prints that, its table has every command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from vmstate.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL).group(1)


def test_the_example_prints_what_the_readme_says():
    done = subprocess.run(
        [sys.executable, "-c", block("python")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.stdout, done.stderr) == (block("text"), "")


def test_the_table_has_every_command():
    assert set(re.findall(r"^\| `vmstate (\w+)", README, re.MULTILINE)) == set(COMMANDS)


def test_the_readme_is_a_page():
    assert README.count("\n") <= 120
