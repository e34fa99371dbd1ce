"""The package as it is and as it was in the revision that ``--before`` names, to measure both in turn."""

from __future__ import annotations

import compileall
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def trees(folder: Path) -> dict[str, Path]:
    """Return the folders of both, ours with the name ``""``; the earlier one is made in ``folder``."""
    found = {"": ROOT}
    revision = os.environ.get("VMSTATE_BENCH_BEFORE")
    if revision:
        found[revision] = _checkout(revision, folder / "before")
    return found


def _checkout(revision: str, folder: Path) -> Path:
    """Put the package of a revision into a folder, compiled: neither side compiles while it is measured."""
    folder.mkdir()
    archive = ["git", "-C", str(ROOT), "archive", revision, "vmstate", "fixtures"]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as made_by:
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=made_by.stdout, check=True)
    for tree in (folder, ROOT):
        compileall.compile_dir(tree / "vmstate", quiet=2)
    return folder
