"""docs/findings.md lists every rule, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FAMILIES = "stream|section|footer|command|vmdesc|declared|rewrite|ram|diff"
_IN_CODE = re.compile(rf'"((?:{_FAMILIES})\.[a-z]+|value\.(?:bool|unused))"')
_IN_DOCUMENT = re.compile(rf"`((?:{_FAMILIES}|value)\.[a-z]+)`")


def rules_in_code() -> set[str]:
    return {rule for path in (ROOT / "vmstate").rglob("*.py") for rule in _IN_CODE.findall(path.read_text())}


def test_the_document_lists_every_rule():
    documented = set(_IN_DOCUMENT.findall((ROOT / "docs" / "findings.md").read_text()))
    assert documented == rules_in_code()
