"""What a stream or file is called never reaches the terminal as a command."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.cli.report import Report, print_report
from vmstate.cli.terminal import Style, visible


@given(st.text())
def test_no_control_character_is_left(text):
    shown = visible(text, coloured=False)
    assert not any((ord(one) < 0x20 and one != "\t") or 0x7F <= ord(one) < 0xA0 for one in shown)


def test_colours_of_ours_remain_and_others_do_not():
    line = Style(coloured=True).paint("red", "error") + " \x1b]0;title\x07 \x1b[2J"
    assert visible(line, coloured=True) == "\x1b[31merror\x1b[0m \\u001b]0;title\\u0007 \\u001b[2J"
    assert "\x1b" not in visible(line, coloured=False)


@pytest.mark.parametrize("text", ["plain", "naïve – 漢字", "a\tb"])
def test_other_text_is_unchanged(text):
    assert visible(text, coloured=True) == text


def test_a_line_cannot_forge_another():
    assert (
        visible("name\nerror fake.rule: all fine", coloured=False) == "name\\u000aerror fake.rule: all fine"
    )


@given(st.text())
def test_a_line_of_json_keeps_its_meaning(text):
    line = json.dumps({"name": text}, ensure_ascii=False)
    assert json.loads(visible(line, coloured=False)) == {"name": text}


def test_json_on_a_terminal_has_no_control_character(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout", out)
    print_report("show", Report([], {"name": "a\x7f\x9b\udcff"}, ()), as_json=True)
    assert out.getvalue().isascii()
    assert "\x7f" not in out.getvalue()
    assert json.loads(out.getvalue())["result"] == {"name": "a\x7f\x9b\udcff"}
