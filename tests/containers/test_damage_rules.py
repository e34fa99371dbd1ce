"""The findings about containers are those that the documentation lists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_rule_is_documented_and_every_documented_rule_exists():
    code = "\n".join(path.read_text() for path in (ROOT / "vmstate/containers").glob("*.py"))
    given = set(re.findall(r'(?:damage|oddity)\(\s*[\w".]+,\s*f?"([\w.{}\[\]-]+)"', code))
    given |= set(re.findall(r'Finding\("container\.([\w.]+)"', code))
    documented = set(
        re.findall(r"^\| `container\.([\w.]+)`", (ROOT / "docs/containers.md").read_text(), re.MULTILINE)
    )
    assert {rule.replace("{layers[-1].container}", "libvirt") for rule in given} == documented
