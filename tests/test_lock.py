"""tools/ci.lock: every package that CI installs, in a version that pyproject.toml allows, with checksums."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "tools" / "ci.lock").read_text("utf-8").replace("\\\n", " ").splitlines()
ROWS = [row for row in LOCK if row.strip() and not row.startswith("#")]
LOCKED = [(Requirement(re.sub(r"\s+--hash=\S+", "", row).strip()), row) for row in ROWS]
WANTED = [
    Requirement(text)
    for texts in (
        PROJECT["dependencies"],
        *(PROJECT["optional-dependencies"][e] for e in ("test", "qemu", "check")),
    )
    for text in texts
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_a_dependency_is_locked_in_a_version_that_is_allowed(wanted):
    found = [one for one, _ in LOCKED if canonicalize_name(one.name) == canonicalize_name(wanted.name)]
    assert found, "run: tools/lock"
    for one in found:
        (pin,) = one.specifier
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version), "run: tools/lock"


@pytest.mark.parametrize(("one", "row"), LOCKED, ids=lambda value: getattr(value, "name", ""))
def test_each_package_has_checksums(one, row):
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", row)) >= 1
    assert len(one.specifier) == 1


def test_the_lock_names_no_registry():
    assert [row for row in LOCK if re.search(r"index|://", row)] == []
