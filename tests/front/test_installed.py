"""The front door's example, from an installed wheel, in an empty folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, **more)


def test_the_example_runs_from_an_installed_wheel_in_an_empty_folder(site, tmp_path):
    document = (ROOT / "docs" / "library.md").read_text()
    example, printed = re.findall(r"```(?:python|text)\n(.*?)```", document, re.DOTALL)[:2]
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    shutil.copy(ROOT / "streams" / "7.2-max-compat-power8.mig.zst", tmp_path / "guest.mig.zst")
    where = "import vmstate, sys; print(vmstate.__file__, file=sys.stderr)\n"
    done = run("-c", where + example, cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert done.stdout == printed, done.stderr
    assert done.stderr.strip() == str(site / "vmstate" / "__init__.py")
    assert {path.name for path in tmp_path.iterdir()} == {"guest.mig.zst", "edited.mig"}


def test_types_and_data_are_installed(site):
    assert (site / "vmstate" / "py.typed").exists()
    assert list((site / "vmstate" / "fixtures" / "streams").glob("*.mig.zst"))
