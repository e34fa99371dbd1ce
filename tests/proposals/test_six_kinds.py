"""Six kinds of patches that a reviewer meets, each written outside of the project."""

from __future__ import annotations

import json

import pytest

from vmstate.cli import main

CAPABILITY = """
from vmstate.proposals import *
proposal = Proposal("p", "7.2", "cap-safe: on with ic-mode=xics, off before pseries-4.1",
                    Capability("safe", "safe", 1, Span("7.2")), Difference("pseries-4.0", caps={"safe": 0}))

@proposal.rule
def given_levels(merged, machine, levels):
    return {"safe": 1, **levels} if machine.ic_mode == "xics" else levels
"""
DEFAULT = """
from vmstate.proposals import *
proposal = Proposal("p", "7.2", "vsx is off by default", Difference("pseries-4.1", caps={"vsx": 0}))
"""
NEEDED = """
from vmstate.proposals import *
proposal = Proposal("p", "3.1", "the compat mode is always sent")

@proposal.hook("cpu/compat", "needed")
def needed(merged, cpu):
    return True
"""
MIGRATE_NEEDED = """
from vmstate.proposals import *
proposal = Proposal("p", "3.1", "cap-nested-hv is always sent")

@proposal.rule
def cap_needed(merged, machine, capability):
    return capability.name == "nested-hv" or merged(machine, capability)
"""
POST_MIGRATION = """
from vmstate.proposals import *
proposal = Proposal("p", "7.2", "a level may come down")

@proposal.rule
def post_migration(merged, machine, incoming):
    return [check for check in merged(machine, incoming) if not check.fails]
"""
IOCTL = """
from vmstate.proposals import *
proposal = Proposal("p", "7.2", "KVM is always given the compat mode")

@proposal.rule
def arch_compat(merged, machine, old, new):
    return new
"""
OV5 = """
from vmstate.proposals import *
proposal = Proposal("p", "7.2", "no resizing of hash tables is offered")

@proposal.rule
def option_vector_5(merged, machine):
    return merged(machine) - {Ov5.HPT_RESIZE, Ov5.HP_EVT}
"""


def judged(tmp_path, capsys, text, *options):
    file = tmp_path / "mine.py"
    file.write_text(text)
    status = main(["whatif", str(file), "--jobs", "1", "--json", "--cpus", "default", *options])
    return status, json.loads(capsys.readouterr().out)["result"]


@pytest.mark.parametrize(
    ("text", "options", "status", "expected"),
    [
        (CAPABILITY, ["--releases", "7.0", "--types", "pseries-4.0", "--hosts", "tcg"], 1,
         ("warns", "to", "cap-safe lower level (0) in incoming stream than on destination (1)")),
        (CAPABILITY, ["--releases", "7.0", "--types", "pseries-4.1", "--hosts", "tcg"], 0, None),
        (DEFAULT, ["--releases", "7.0", "--types", "pseries-4.1", "--hosts", "tcg",
                   "--option", "cap-vsx=on"], 1,
         ("warns", "to", "cap-vsx lower level (0) in incoming stream than on destination (1)")),
        (NEEDED, ["--releases", "2.9", "--types", "pseries-2.9", "--hosts", "p8-hv"], 1,
         ("migrates no more", "from", "load of migration failed: No such file or directory")),
        (MIGRATE_NEEDED, ["--releases", "3.0", "--types", "pseries-3.0", "--hosts", "tcg"], 1,
         ("migrates no more", "from", "load of migration failed: No such file or directory")),
        (POST_MIGRATION, ["--releases", "7.0", "--types", "pseries-4.1", "--hosts", "tcg",
                          "--option", "cap-vsx=off"], 0,
         ("migrates now", "to", "")),
        (IOCTL, ["--releases", "7.0", "--types", "pseries-4.1", "--hosts", "p8-pr"], 1,
         ("starts no more", "from", "Unable to set CPU compatibility mode in KVM: Invalid argument")),
        (IOCTL, ["--releases", "7.0", "--types", "pseries-4.1", "--hosts", "p8-hv"], 0,
         ("tells KVM something else", "from", "KVM_REG_PPC_ARCH_COMPAT = 0x00000000")),
    ],
)  # fmt: skip
def test_a_patch_of_each_kind(tmp_path, capsys, text, options, status, expected):
    exit_status, result = judged(tmp_path, capsys, text, *options)
    assert exit_status == status
    assert result["pairs"]
    found = [
        (group["kind"], group["direction"], line["line"])
        for group in result["groups"]
        for line in [*group["new_lines"], {"line": ""}]
    ]
    if expected is not None:
        assert any((kind, way) == expected[:2] and line.endswith(expected[2]) for kind, way, line in found), (
            found
        )


def test_the_effect_on_ov5_shows_once_a_guest_has_booted(tmp_path, capsys):
    narrow = ["--releases", "7.2", "--types", "pseries-4.1", "--hosts", "tcg", "--guest", "linux-6.1"]
    status, result = judged(tmp_path, capsys, OV5, *narrow)
    assert status == 0
    assert {group["kind"] for group in result["groups"]} == {"sends something else, with no other effect"}
    assert all(line["line"].endswith("spapr") for group in result["groups"] for line in group["new_lines"])
