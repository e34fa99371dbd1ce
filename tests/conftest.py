"""Every test: hypothesis without limits of wall-clock time, and in CI with the same examples every time.

``site`` is a folder with nothing but the package, installed from its wheel; ``dask_cluster`` has two workers.
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support.share import times

settings.register_profile(
    "house",
    deadline=None,
    max_examples=times(40, 400),
    suppress_health_check=[HealthCheck.too_slow],
    phases=set(Phase) - {Phase.explain},  # an explanation of a failure may take minutes
)
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
# A worker holds a million objects: looking through them all the time takes a fifth of the run.  With a longer
# wait it takes no less time, but twice the memory: a simulated machine is few objects with many bytes.
gc.set_threshold(20_000, 5, 10)

settings.load_profile("ci" if os.environ.get("CI") else "house")

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("vmstate", "fixtures", "streams", "share", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def _run(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with nothing but the package, installed from its wheel; all workers of a run share it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "wheel"
    with (shared / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _install(folder)
            (folder / "done").touch()
    return folder / "site"


def _install(folder):
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    own = int(version("setuptools").split(".")[0]) >= 77
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    done = _run(*pip, "wheel", "--no-deps", *(["--no-build-isolation"] * own), "-w", str(folder), str(source))
    if done.returncode and not own:
        pytest.skip(f"no setuptools to build a wheel with: {done.stderr.splitlines()[-1:]}")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    done = _run(*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def dask_cluster():
    """A Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (qemu-vmstate[cluster])")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as running:
        yield running
