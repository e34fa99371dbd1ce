"""An edited field is loaded by a real QEMU, and sent again with the same value (fixtures/handwritten)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import corpus
from vmstate import open as open_file
from vmstate.front.known import known_meanings
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.paths import find_one
from vmstate.tree.typed_changes import changed

ROOT = Path(__file__).resolve().parents[2]
ROWS = json.loads((ROOT / "fixtures" / "handwritten" / "resent.json").read_text())
SHOWN = 64


@pytest.mark.parametrize("name", sorted({row["stream"] for row in ROWS}))
def test_an_edited_field_has_the_value_that_a_real_qemu_sends_again(name):
    file = ROOT / f"{name}.mig.zst" if name.startswith("fixtures/") else corpus.path(name)
    contents = open_file(file).contents
    rows = [row for row in ROWS if row["stream"] == name]
    after = Contents(open_stream(changed(contents, [row["change"] for row in rows], known_meanings())))
    for row in rows:
        path = row["change"].partition("=")[0]
        value, before = (find_one(side, path).node.value for side in (after, contents))
        assert value != before
        sent = bytes(value).hex()[:SHOWN] if isinstance(value, memoryview) else value
        assert sent == row["resent"], row["change"]
