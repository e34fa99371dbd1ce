"""Every scenario of the package: its cases have the stated results, and its page matches them."""

from __future__ import annotations

from functools import cache

import pytest

from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.scenarios.files import read_scenario, scenario_file, shipped_scenarios
from vmstate.scenarios.judging import run_scenario
from vmstate.scenarios.page import render

FILES = shipped_scenarios()


@cache
def judged(path):
    scenario = read_scenario(path)
    return scenario, run_scenario(scenario)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_cases_come_out_as_written(path):
    _, cases = judged(path)
    assert {one.case.name: one.wrong for one in cases if not one.passed} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_page_is_what_the_cases_give(path):
    assert path.with_suffix(".md").read_text() == render(*judged(path))


def test_no_page_is_left_without_its_scenario():
    folder = FILES[0].parent
    assert {path.stem for path in folder.glob("*.md")} - {path.stem for path in FILES} <= {"README"}


SMALL = """
title = "t"
question = "q"
answer = "a"
[[case]]
name = "plain"
source = "qemu-7.2 -nodefaults -machine pseries-2.12,cap-vsx=off -m 256"
destination = "qemu-7.2 -nodefaults -machine pseries-2.12,cap-vsx=off -m 256"
outcome = "accept"
messages = []
sends = ["spapr/cap/vsx", "icp/server"]
omits = ["cpu/compat", "xive-tctx"]
wire = { "spapr/cap/vsx.mig.caps[0x01]" = 0 }
machine = "pseries-2.12"
"""


def written(tmp_path, text):
    file = tmp_path / "small.toml"
    file.write_text(text)
    return file


def test_a_file_outside_the_package_is_run_too(tmp_path, capsys):
    assert main(["scenario", str(written(tmp_path, SMALL))]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["small", "1", "1"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('"accept"', '"reject"', "- reject"),
        ("messages = []", 'messages = ["no"]', "- no"),
        ('sends = ["spapr/cap/vsx",', 'sends = ["spapr/cap/htm",', "- sends spapr/cap/htm"),
        ('omits = ["cpu/compat"', 'omits = ["spapr/cap/vsx"', "+ sends spapr/cap/vsx"),
        ('[0x01]" = 0', '[0x01]" = 1', "+ spapr/cap/vsx.mig.caps[0x01] = 0"),
        ('machine = "pseries-2.12"', 'machine = "pseries-2.11"', "+ pseries-2.12"),
        ('source = "qemu-7.2', 'source = "qemu-7.2+nothing', "! no such proposal or package: 'nothing'"),
    ],
)
def test_a_wrong_result_is_shown_as_a_diff(tmp_path, capsys, old, new, line):
    assert old in SMALL
    assert main(["scenario", str(written(tmp_path, SMALL.replace(old, new)))]) == 1
    assert any(line in shown for shown in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sends =", "sedns =", "case 'plain': no such key: sedns"),
        ('title = "t"', "", "missing: title"),
        ('outcome = "accept"', 'outcome = "fine"', "outcome must be one of"),
        ("destination =", "about =", "a source and a destination"),
        ('question = "q"', "question = ", "small.toml"),
    ],
)
def test_an_error_in_a_file_names_the_key_and_the_place(tmp_path, capsys, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        read_scenario(written(tmp_path, SMALL.replace(old, new)))
    assert main(["scenario", str(tmp_path / "small.toml")]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match=FILES[0].stem):
        scenario_file("nothing")
