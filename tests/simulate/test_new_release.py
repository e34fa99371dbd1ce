"""A release that does not exist, declared outside of the package: the migrations that it would break."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tests.support.machines import TCG
from vmstate.cli import main
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.migration import migrate

FILE = Path(__file__).with_name("release_11_2.py")
NEW = CATALOGUE.extended(*runpy.run_path(str(FILE))["DECLARATIONS"])


def machine(release, name, more=""):
    return f"qemu-{release} -nodefaults -machine {name},{TCG}{more} -m 256"


def verdict(source, destination):
    return migrate(parse(source, NEW), parse(destination, NEW))


def test_it_is_declared_in_less_than_25_lines():
    assert len(FILE.read_text().splitlines()) < 25


@pytest.mark.parametrize("name", ["pseries", "pseries-11.2", "pseries-11.1", "pseries-7.2"])
def test_it_migrates_to_itself(name):
    one = machine("11.2", name)
    assert verdict(one, one).outcome == "accept"
    assert str(parse(one, NEW).release) == "11.2.0"


def test_its_newest_type_is_unknown_to_the_release_before():
    refused = verdict(machine("11.2", "pseries"), machine("11.1", "pseries-11.2"))
    assert refused.outcome == "destination-refused"
    assert refused.messages == [
        'unsupported machine type: "pseries-11.2"',
        "Use -machine help to list supported machines",
    ]


def test_an_older_type_does_not_have_the_new_capability_and_migrates_both_ways():
    there, back = machine("11.2", "pseries-11.1"), machine("11.1", "pseries-11.1")
    assert verdict(there, back).outcome == verdict(back, there).outcome == "accept"


def test_the_capability_switched_on_sends_a_subsection_that_the_release_before_does_not_know():
    broken = verdict(machine("11.2", "pseries-11.1", ",cap-dexcr=on"), machine("11.1", "pseries-11.1"))
    assert broken.outcome == "reject"
    assert "VM subsection 'cpu/dexcr' in 'cpu' does not exist" in broken.messages[-1]
    assert broken.decided_by.section == "cpu"


def test_the_capability_is_compared():
    on, off = machine("11.2", "pseries"), machine("11.2", "pseries", ",cap-dexcr=off")
    down, up = verdict(on, off), verdict(off, on)
    assert down.outcome == "reject"
    assert down.messages[0] == "cap-dexcr higher level (1) in incoming stream than on destination (0)"
    assert up.outcome == "accept"
    assert up.messages == ["warning: cap-dexcr lower level (0) in incoming stream than on destination (1)"]


def test_the_catalogue_without_it_is_unchanged():
    with pytest.raises(Exception, match=r"QEMU 11\.2 is not modelled"):
        parse(machine("11.2", "pseries"))


def test_the_command_takes_the_file(capsys, tmp_path):
    on, off = machine("11.2", "pseries"), machine("11.2", "pseries", ",cap-dexcr=off")
    assert main(["migrate", "--with", str(FILE), off, on]) == 0
    assert main(["migrate", "--with", str(FILE), on, off, "--explain"]) == 1
    assert "cap-dexcr=on" in capsys.readouterr().out
    batch = tmp_path / "pairs.jsonl"
    batch.write_text(json.dumps({"source": on, "destination": on}) + "\n")
    assert main(["migrate", "--with", str(FILE), "--batch", str(batch)]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "accept"


@pytest.mark.parametrize(
    ("text", "message"), [("x = 1\n", "neither DECLARATIONS"), ("1 / 0\n", "ZeroDivisionError")]
)
def test_an_invalid_file_is_reported(capsys, tmp_path, text, message):
    file = tmp_path / "other.py"
    file.write_text(text)
    assert main(["migrate", "--with", str(file), machine("7.2", "pseries"), machine("7.2", "pseries")]) == 2
    assert message in capsys.readouterr().err
