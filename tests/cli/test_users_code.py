"""What goes wrong in a user's file is reported as the user's, with file and line, and never ends with 0."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from vmstate.cli import main

RULE = """\
import sys
from vmstate.proposals import *
proposal = Proposal("mine", "7.2", "a subject")


@proposal.rule
def {rule}(old, *arguments):
    {body}
"""
NARROW = ["--releases", "7.2", "--types", "pseries-7.2", "--hosts", "tcg", "--cpus", "default"]
DEVICE = """\
import sys
from vmstate.describe import UInt32, VMStateDescription
DESCRIPTION = VMStateDescription("mine", version_id=1, minimum_version_id=1, fields=[UInt32("lamps")])


class Mine:
    lamps = 1


def device():
    {device}


def use(device):
    {use}
"""


def file(tmp_path, text, name="mine.py"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def migrated(path):
    return ["migrate", "--with", path, "qemu-7.2+mine -nodefaults", "qemu-7.2"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1 / 0", "line 8, in given_levels: ZeroDivisionError: division by zero"),
        ("raise KeyError", "line 8, in given_levels: KeyError"),
        ("sys.exit(0)", "line 8, in given_levels: it calls sys.exit(0)"),
        ("sys.exit()", "line 8, in given_levels: it calls sys.exit()"),
    ],
)
def test_an_exception_in_a_rule_is_its_authors(tmp_path, capsys, body, said):
    path = file(tmp_path, RULE.format(rule="given_levels", body=body))
    assert main(migrated(path)) == 2
    out, err = capsys.readouterr()
    assert (out, f"{path}, {said}" in err, "bug in vmstate" in err, "Traceback" in err) == (
        "",
        True,
        False,
        False,
    )
    assert main([*migrated(path), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], said in answer["findings"][0]["message"]) == (False, True)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_also_in_another_process(tmp_path, jobs):
    path = file(tmp_path, RULE.format(rule="given_levels", body="sys.exit(0)"))
    done = subprocess.run(
        [sys.executable, "-m", "vmstate", "whatif", path, *NARROW, "--jobs", jobs],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}, line 8, in given_levels: it calls sys.exit(0)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_batch_goes_on_after_it(tmp_path, capsys):
    path = file(tmp_path, RULE.format(rule="given_levels", body="return 1 / 0"))
    rows = [
        {"source": f"qemu-7.2{fork} -nodefaults", "destination": "qemu-7.2 -nodefaults"}
        for fork in ("+mine", "")
    ]
    batch = file(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "rows")
    assert main(["migrate", "--with", path, "--batch", batch]) == 2
    failed, fine = map(json.loads, capsys.readouterr().out.splitlines())
    assert (fine["outcome"], "ZeroDivisionError" in failed["error"]) == ("accept", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit(0)\n", "line 2: it calls sys.exit(0)"),
        ("x = \n", "line 1: SyntaxError: invalid syntax"),
        ("from vmstate import *\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["whatif", "FILE"],
        ["migrate", "--with", "FILE", "qemu-7.2", "qemu-7.2"],
        ["fuzz", "--device", "FILE"],
        ["lint", "FILE"],
        ["releases", "--with", "FILE"],
    ],
    ids=lambda words: words[0],
)
def test_a_file_that_fails_while_it_is_read(tmp_path, capsys, text, said, command):
    path = file(tmp_path, text)
    assert main([path if word == "FILE" else word for word in command]) == 2
    out, err = capsys.readouterr()
    assert (out, f"{path}, {said}" in err, "Traceback" in err) == ("", True, False), err


def test_a_device_that_ends_the_program_is_a_finding(tmp_path, capsys):
    path = file(tmp_path, DEVICE.format(device="return Mine()", use="device.lamps == 1 or sys.exit(0)"))
    assert main(["fuzz", "--device", path, "--runs", "100"]) == 1
    assert "SystemExit in mine.py use" in capsys.readouterr().out


def test_a_device_that_ends_the_program_at_reset_is_its_authors(tmp_path, capsys):
    path = file(tmp_path, DEVICE.format(device="sys.exit(0)", use="pass"))
    assert main(["fuzz", "--device", path]) == 2
    assert f"{path}, line 11, in device: it calls sys.exit(0)" in capsys.readouterr().err


TYPO = 'from vmstate.proposals import *\nproposal = Proposal("mine", "7.2", "a subject", {0})\n'


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        ('Difference("pseries-7.2", caps={"htmm": 0})', "no such capability: 'htmm'; did you mean htm?"),
        (
            'Difference("pseries-7.2", caps={"cap-htm": 0})',
            "no such capability: 'cap-htm'; did you mean htm?",
        ),
        ('Difference("pseries-7.22")', "no such machine type: 'pseries-7.22'; did you mean pseries-7.2"),
        (
            'Difference("pseries-7.2", flags={"max_cpu": 4})',
            "no such class flag: 'max_cpu'; did you mean max_cpus?",
        ),
        (
            'Capability("x", "x", 1, Span("7.2"), after="htn")',
            "no such capability to follow: 'htn'; did you mean htm?",
        ),
    ],
)
def test_a_name_that_nothing_has_is_an_error_with_the_near_ones(tmp_path, capsys, declaration, said):
    path = file(tmp_path, TYPO.format(declaration))
    assert main(["whatif", path, *NARROW]) == 2
    out, err = capsys.readouterr()
    assert (out, path in err, said in err) == ("", True, True), err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "@proposal.hook('cpu/compta', 'needed')\ndef f(old, *more): return True\n",
            "did you mean cpu/compat?",
        ),
        ("@proposal.hook('cpu', 'post_lod')\ndef f(old, *more): return 0\n", "did you mean post_load?"),
        ("@proposal.description('sparp')\ndef f(old): return old\n", "did you mean spapr"),
        ("@proposal.rule\ndef given_level(old, *more): return old(*more)\n", "did you mean given_levels"),
    ],
)
def test_what_a_proposal_replaces_must_exist(tmp_path, capsys, text, said):
    path = file(tmp_path, TYPO.format("later=False") + text)
    assert main(["whatif", path, *NARROW]) == 2
    err = capsys.readouterr().err
    assert (path in err, said in err) == (True, True), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--option", "cap-cfcp=broken"], "option of -machine 'cap-cfcp'; did you mean cap-cfpc"),
        (["--types", "pseries-7.22"], "machine type 'pseries-7.22'; did you mean pseries-7.2"),
        (["--cpus", "power99"], "processor 'power99'; did you mean power9"),
        (["--hosts", "p9-hw"], "no such host: 'p9-hw'; did you mean p9-hv"),
        (["--releases", "7.2+as-poste"], "no such proposal or package: 'as-poste'"),
    ],
)
def test_a_typo_in_a_set_is_an_error(tmp_path, capsys, words, said):
    path = file(tmp_path, TYPO.format("later=False"))
    assert main(["whatif", path, *NARROW, *words]) == 2
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--machine", "psreies-7.2"], "machine type 'psreies-7.2'; did you mean pseries-7.2"),
        (["--cpu", "power99"], "processor 'power99'; did you mean power9"),
        (["--ic-mode", "xivee"], "interrupt mode 'xivee'; did you mean xive?"),
        (["--max-cpu-compat", "power77"], "compatibility mode 'power77'; did you mean power7"),
    ],
)
def test_a_typo_in_a_matrix_is_an_error(capsys, words, said):
    assert main(["matrix", "--releases", "7.2", *words]) == 2
    assert said in capsys.readouterr().err
