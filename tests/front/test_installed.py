"""The front door's example, from an installed wheel, in an empty folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("vmstate", "fixtures", "streams", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with nothing but the package, installed from its wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    own = int(version("setuptools").split(".")[0]) >= 77
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    done = run(*pip, "wheel", "--no-deps", *(["--no-build-isolation"] * own), "-w", str(folder), str(source))
    if done.returncode and not own:
        pytest.skip(f"no setuptools to build a wheel with: {done.stderr.splitlines()[-1:]}")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    done = run(*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel))
    assert done.returncode == 0, done.stderr
    return folder / "site"


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
