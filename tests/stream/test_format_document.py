"""docs/stream-format.md: its tables match the declarations, and the tests and rules it names exist."""

from __future__ import annotations

import re
from pathlib import Path

from tools import stream_format
from vmstate.stream import framing

ROOT = Path(__file__).resolve().parents[2]
TEXT = stream_format.DOCUMENT.read_text()


def test_the_tables_are_what_the_declarations_say():
    assert stream_format.current(TEXT) == TEXT, "run tools/stream_format.py"


def test_every_declaration_is_in_the_document():
    shown = set(re.findall(r"<!-- (\w+) -->", TEXT)) - {"end"}
    declared = {name for name, value in vars(framing).items() if name.isupper() and hasattr(value, "subcons")}
    # These are in the table of commands, in the grammar, or part of another one.
    elsewhere = {
        *("PING", "POSTCOPY_ADVISE", "PACKAGED", "RECV_BITMAP", "NOTHING", "DISCARD_RANGE"),
        *("END_OF_STATES", "CONFIGURATION_SUBSECTION"),
    }
    assert declared - shown == elsewhere


def test_every_test_that_it_names_exists():
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    source = "".join(path.read_text() for path in (ROOT / "tests" / "stream").glob("test_*.py"))
    assert named <= set(re.findall(r"def (test_\w+)", source))
    assert len(named) > 30


def test_the_rules_it_lists_are_the_rules_there_are():
    listed = set(re.findall(r"^\| `(\w+\.\w+)` \|", TEXT, re.MULTILINE))
    core = ["walk", "boundary", "walk_state", "reader"]
    source = "".join((ROOT / "vmstate" / "stream" / f"{name}.py").read_text() for name in core)
    used = set(re.findall(r'"((?:stream|section|footer|command|vmdesc|findings)\.\w+)"', source))
    assert listed == used
