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


def test_the_proposal_runs_outside_of_the_project(tmp_path):
    proposal = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    (tmp_path / "cap-safe.py").write_text(proposal)
    narrow = ["--releases", "7.0", "--types", "pseries-7.0", "--hosts", "tcg", "--cpus", "default"]
    done = subprocess.run(
        [sys.executable, "-m", "vmstate", "whatif", "cap-safe.py", *narrow],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "qemu-7.2.22+cap-safe -machine pseries-7.0,ic-mode=xive" in done.stdout
    assert "cap-safe lower level (0) in incoming stream than on destination (1)" in done.stdout


def test_the_table_has_every_command():
    assert set(re.findall(r"^\| `vmstate (\w+)", README, re.MULTILINE)) == set(COMMANDS)


def test_the_readme_is_a_page():
    assert README.count("\n") <= 120
