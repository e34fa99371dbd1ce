"""``vmstate bump``: what it finds between releases as we declare them; with real QEMUs where they are."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from vmstate.bump import Question, bump, side_of
from vmstate.bump.answer import first_error, labels, span, subject
from vmstate.bump.sides import version_key
from vmstate.cli import main
from vmstate.compatibility import Direction
from vmstate.errors import ConfigurationError
from vmstate.qemu import QemuNotFound, find

RELEASE_11_2 = Path(__file__).resolve().parents[1] / "simulate" / "release_11_2.py"


@cache
def answer(old, new, *machines, chain=()):
    sides = [side_of(f"pseries@{release}") for release in (old, new)]
    return bump(*sides, Question(machines, replays=False, chain=chain))


def found(result, rule, direction):
    return {one.path for one in result.issues if one.rule == rule and direction in one.directions}


def test_a_release_may_ship_after_itself():
    result = answer("7.2", "7.2", "pseries-7.2")
    assert result.simulations.pairs > 50
    assert result.simulations.failed == []
    assert [i for i in result.issues if i.rule in ("bump.simulated", "bump.warns")] == []


def test_the_known_breaks_from_7_2_to_10_0_come_out_by_name():
    result = answer("7.2", "10.0", "pseries-7.2")
    assert "cpu/slb" in found(result, "version.too-new", Direction.BACKWARD)
    assert "cpu/slb" in found(result, "bump.simulated", Direction.BACKWARD)
    assert "cpu" in found(result, "bump.simulated", Direction.FORWARD)  # the default POWER9


def test_the_known_breaks_from_5_2_to_7_2_come_out_by_name():
    result = answer("5.2", "7.2", "pseries-5.2")
    assert "spapr_iommu" in found(result, "version.too-new", Direction.BACKWARD)
    assert "spapr_iommu" in found(result, "bump.simulated", Direction.BACKWARD)


def test_a_guest_that_can_go_there_but_not_back_is_stuck_and_what_frees_it_is_tried():
    result = answer("5.2", "7.2", "pseries-5.2")
    ways = {one.example.way for one in result.stuck}
    assert ("qemu-5.2.0", "qemu-7.2.22", "qemu-5.2.0") in ways
    for one in result.stuck:
        assert one.frees, one.example


def test_a_chain_goes_over_every_release_and_back():
    result = answer("6.0", "7.0", "pseries-6.0", chain=("6.2",))
    assert result.simulations.chains == 3
    assert result.simulations.stuck == []


def test_machine_types_that_are_gone_are_named_once():
    sides = [side_of(f"pseries@{release}") for release in ("7.2", "10.0")]
    result = bump(*sides, Question(("pseries-2.*", "pseries-7.2"), replays=False, simulate=False))
    (gone,) = (one for one in result.issues if one.rule == "bump.machine-gone")
    assert "pseries-2.9" in gone.within


def test_releases_without_a_common_type_are_an_error():
    result = answer("7.2", "10.0", "pseries-10.0")
    assert "bump.nothing-common" in {one.rule for one in result.issues}


@pytest.mark.parametrize(
    ("messages", "about"),
    [
        (
            ["warning: TCG lacks cap-cfpc=x", "error while loading state for instance 0x0 of device 'cpu'"],
            "cpu",
        ),
        (["cpu/slb: incoming version_id 2 is too new for local version_id 1", "device 'cpu'"], "cpu/slb"),
        (["Unknown savevm section or instance 'pci@800000020000000:00.0/toy' 0."], "toy"),
        (["cap-htm higher level (1) in incoming stream than on destination (0)"], "cap-htm"),
        (["savevm: unsupported version 3 for 'spapr_iommu' v2"], "spapr_iommu"),
        (["load of migration failed: Invalid argument"], "*"),
        ([], "*"),
    ],
)
def test_a_rejection_is_about_the_innermost_thing_that_it_names(messages, about):
    assert subject(messages) == about


def test_a_warning_is_not_the_error():
    assert first_error(("warning: a", "b")) == "b"
    assert first_error(("warning: a",)) == "warning: a"
    assert first_error(()) == "(no message)"


def test_machine_types_are_shown_in_few_words():
    types = [f"pseries-{n}.0" for n in range(9, 2, -1)]
    assert span(types[:2]) == "pseries-9.0, pseries-8.0"
    assert span(types) == "pseries-3.0 to pseries-9.0 (7 types)"
    pairs = [(name, setting) for name in types for setting in ("a", "b")]
    assert labels(pairs) == ("pseries-3.0 to pseries-9.0 (7 types): a, b",)


def test_machine_types_are_newest_first():
    names = ["pseries-2.9", "pseries-10.0", "pseries-2.12", "pseries-2.12-sxxm"]
    ordered = ["pseries-10.0", "pseries-2.12", "pseries-2.12-sxxm", "pseries-2.9"]
    assert sorted(names, key=version_key) == ordered


def test_a_draft_is_judged_before_it_is_built(capsys):
    arguments = ["bump", "--old", "pseries@11.1", "--draft", str(RELEASE_11_2), "--machine", "pseries-11.1"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("May qemu-11.2.0 ship after qemu-11.1.3? Yes")


def test_a_draft_that_forgets_old_machine_types_may_not_ship(tmp_path, capsys):
    draft = tmp_path / "bad.py"
    text = RELEASE_11_2.read_text().replace('    Difference("pseries-11.1", caps={"dexcr": 0}),\n', "")
    draft.write_text(text)
    arguments = [
        "bump",
        "--old",
        "pseries@11.1",
        "--draft",
        str(draft),
        "--machine",
        "pseries-11.1",
        "--json",
    ]
    assert main(arguments) == 1
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["ships"] is False
    assert any(
        one["rule"] == "bump.simulated" and "backward" in one["directions"] for one in result["issues"]
    )


def test_an_allowance_lets_it_ship(tmp_path, capsys):
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[allow]]\nrule = "*"\npath = ["cpu*", "timer*", "virtio*", "spapr*", "esp*", "domain*", "mos*"]\n'
        'reason = "known"\nowner = "me"\nexpires = 2027-01-01\n'
    )
    arguments = ["bump", "--old", "pseries@5.2", "--new", "pseries@7.2", "--no-simulation"]
    assert main(arguments) == 1
    assert main([*arguments, "--policy", str(policy), "--today", "2026-12-31"]) == 0
    assert "more allowed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--old", "pseries@7.2"], "one of them"),
        (["--old", "no-such", "--new", "pseries@7.2"], "no such program"),
        (["--old", "pseries@7.2", "--draft", __file__], "neither DECLARATIONS nor a Proposal"),
    ],
)
def test_a_wrong_question_is_refused_in_words(arguments, words, capsys):
    assert main(["bump", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_script_needs_to_say_where_its_descriptions_are(tmp_path):
    script = tmp_path / "qemu-system-ppc64"
    script.write_text("#!/bin/sh\necho QEMU emulator version 7.2.22\n")
    script.chmod(0o755)
    with pytest.raises(ConfigurationError, match="--old-schema"):
        side_of(str(script))


@pytest.mark.qemu
def test_real_qemu_agrees_with_every_prediction():
    """The program in PATH bumped to itself: every stream is replayed, and every prediction holds."""
    try:
        program = find().path
    except QemuNotFound as error:
        pytest.skip(str(error))
    newest = side_of(program).machines[0]
    side = side_of(program)
    result = bump(side, side, Question((newest,), simulate=True))
    ran = [one for one in result.replays if one.started]
    assert ran
    assert all(one.accepted for one in ran)
    assert result.predictions.get("differ", 0) == 0
