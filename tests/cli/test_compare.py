"""``vmstate compare`` and ``vmstate lint``: exit statuses, policies, baselines, and output for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vmstate.cli import main
from vmstate.compatibility import RULES

ROOT = Path(__file__).resolve().parents[2]
OLD = """
from vmstate.describe import *
DEV = VMStateDescription("dev", 1, 1, [UInt32("a"), UInt32("b")])
"""
NEW = {
    "same": OLD,
    "renamed": OLD.replace('"b"', '"c"'),
    "longer": OLD.replace('UInt32("b")', 'UInt32("b"), UInt32("c")'),
    "worse": OLD.replace('UInt32("b")', 'UInt64("b"), UInt32("c")'),
    "skipping": OLD.replace("1, 1, [", "2, 1, [").replace('UInt32("b")', 'UInt32("b"), UInt32("c", 2)'),
}
POLICY = """
[[allow]]
rule = "field.added"
path = "dev.*"
reason = "only development versions had it"
owner = "me"
expires = 2027-01-31
"""


@pytest.fixture
def side(tmp_path, monkeypatch):
    """Return a function that writes one side, and returns its path; it is the working folder too."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).write_text(text)
        return name

    return write


@pytest.fixture
def compared(side, capsys):
    """Return a function that compares OLD with a variant: the exit status, and what is printed."""

    def run(variant, *options):
        status = main(["compare", side("old.py", OLD), side("new.py", NEW[variant]), *options])
        return status, capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("variant", "status"), [("same", 0), ("renamed", 0), ("longer", 1), ("worse", 1), ("skipping", 1)]
)
def test_the_exit_status_is_1_only_for_errors(compared, variant, status):
    assert compared(variant)[0] == status


def test_one_direction_may_break_alone(compared):
    assert compared("skipping", "--direction", "forward")[0] == 0
    assert compared("skipping", "--direction", "backward")[0] == 1


def test_the_text_says_where_what_why_and_what_to_do(compared):
    _, text = compared("longer")
    assert "error field.added (WIRE): The destination reads bytes" in text
    assert "Put the field into a subsection" in text
    assert "dev.c (both ways): the source does not send the field: nothing → uint32" in text
    assert text.splitlines()[-1] == "1 error, 0 warnings, 0 notes"


def test_notes_are_shown_on_demand(compared):
    assert "field.renamed" not in compared("renamed")[1]
    assert "field.renamed" in compared("renamed", "--all")[1]


def test_a_policy_changes_severities(compared, side):
    side("strict.toml", '[severity]\n"field.renamed" = "error"\n"field.added" = "ignore"\n')
    assert compared("renamed", "--policy", "strict.toml")[0] == 1
    assert compared("longer", "--policy", "strict.toml")[0] == 0


def test_an_allowance_holds_until_its_last_day_and_is_shown_on_demand(compared, side):
    side("allow.toml", POLICY)
    on = ("--policy", "allow.toml", "--today")
    assert compared("longer", *on, "2027-01-31")[0] == 0
    status, text = compared("longer", *on, "2027-02-01")
    assert status == 1
    assert "the allowance of field.added at dev.* ended on 2027-01-31" in text
    assert "only development versions had it; me" in compared("longer", *on, "2027-01-01", "--all")[1]


def test_an_allowance_that_nothing_needs_is_reported(compared, side):
    side("allow.toml", POLICY)
    status, text = compared("renamed", "--policy", "allow.toml", "--today", "2027-01-01")
    assert status == 0
    assert "nothing needs the allowance of field.added" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "unknown key 'x'"),
        ("[severity]\n'no.such' = 'error'", "no such rule: 'no.such'"),
        ("[severity]\n'field.added' = 'fatal'", "'fatal' is none of error, warning, info, ignore"),
        (POLICY.replace('owner = "me"', ""), "'owner' is missing"),
        (POLICY.replace('"me"', '""'), "'owner' is not text"),
        (POLICY.replace("2027-01-31", '"soon"'), "'expires' is not a date"),
        (POLICY.replace("field.added", "field.addde"), "no such rule: 'field.addde'"),
        (POLICY + 'direction = "up"', "forward or backward, not 'up'"),
        ("[[allow]", "1"),
    ],
)
def test_a_wrong_policy_is_refused_in_words(compared, side, capsys, text, words):
    side("wrong.toml", text)
    assert compared("same", "--policy", "wrong.toml")[0] == 2
    main(["compare", "old.py", "new.py", "--policy", "wrong.toml"])
    assert words in capsys.readouterr().err


def test_a_baseline_fails_only_on_what_is_new(compared):
    assert compared("longer", "--write-baseline", "base.json")[0] == 1
    status, text = compared("longer", "--baseline", "base.json")
    assert status == 0
    assert "1 in the baseline" in text
    assert compared("worse", "--baseline", "base.json")[0] == 1


def test_a_baseline_is_the_same_text_each_time(compared):
    texts = []
    for _ in range(2):
        compared("worse", "--write-baseline", "base.json")
        texts.append(Path("base.json").read_text())
    assert texts[0] == texts[1]


def test_json_has_every_issue_with_its_rule(compared):
    _, text = compared("worse", "--json")
    answer = json.loads(text)
    assert answer["ok"] is False
    assert answer["result"]["compatible"] == {"forward": False, "backward": False}
    issues = answer["result"]["issues"]
    assert {"field.size", "field.added"} <= {one["rule"] for one in issues}
    for one in issues:
        assert {"rule", "category", "severity", "path", "message", "why", "fingerprint"} <= one.keys()


def test_junit_has_a_failure_for_each_error(compared):
    compared("worse", "--junit", "out.xml")
    suite = ET.parse("out.xml").getroot()
    assert suite.get("failures") == str(len(suite.findall("testcase/failure"))) == "2"
    compared("same", "--junit", "out.xml")
    assert ET.parse("out.xml").getroot().get("tests") == "1"


def test_sarif_has_rules_results_and_suppressions(compared, side):
    side("allow.toml", POLICY)
    compared("worse", "--sarif", "out.sarif", "--policy", "allow.toml", "--today", "2027-01-01")
    run = json.loads(Path("out.sarif").read_text())["runs"][0]
    results = {one["ruleId"]: one for one in run["results"]}
    assert results["field.size"]["level"] == "error"
    assert "suppressions" not in results["field.size"]
    assert results["field.added"]["suppressions"][0]["justification"].startswith("only development")
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])


def test_github_gets_one_annotation_for_each_issue_that_counts(compared):
    _, text = compared("longer", "--github")
    (line,) = text.splitlines()
    assert line.startswith("::error title=field.added (WIRE)::dev.c (both ways)")


def test_a_guests_names_cannot_break_out_of_an_annotation(side, capsys):
    side("old.py", OLD)
    side("new.py", OLD.replace('"b"', r'"b\n::error::x%"').replace("UInt32", "UInt64"))
    main(["compare", "old.py", "new.py", "--github"])
    assert all(
        line.startswith(("::error title=", "::warning title="))
        for line in capsys.readouterr().out.splitlines()
    )


def test_a_stream_without_vmdesc_cannot_be_compared(tmp_path, capsys):
    from tests.support import corpus

    path = tmp_path / "stream"
    path.write_bytes(corpus.load("7.2-no-vmdesc"))
    assert main(["compare", str(path), "pseries@7.2"]) == 2
    assert "the stream has no vmdesc" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["7.2-pseries-7.2", "10.0-pseries-10.0", "11.1-pseries-11.1", "5.2-pseries-5.2"]
)
def test_a_stream_agrees_with_our_declarations_of_its_release(name, tmp_path, capsys):
    from tests.support import corpus

    path = tmp_path / "stream"
    path.write_bytes(corpus.load(name))
    release = name.split("-")[0]
    assert main(["compare", str(path), f"pseries@{release}", "--direction", "forward"]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out


def test_the_known_breaks_between_releases_come_out_by_name(capsys):
    main(["compare", "pseries@7.2", "pseries@10.0", "--direction", "backward"])
    assert "cpu/slb (new to old)" in capsys.readouterr().out
    main(["compare", "pseries@5.2", "pseries@7.2", "--direction", "backward"])
    assert "spapr_iommu (new to old)" in capsys.readouterr().out


def test_lint_has_the_same_options(side, capsys):
    side("dev.py", OLD.replace('UInt32("b")', 'UInt32("t")["n"], UInt32("n")'))
    assert main(["lint", "dev.py"]) == 1
    assert "lint.size.late" in capsys.readouterr().out
    side("dev.py", OLD)
    assert main(["lint", "dev.py"]) == 0


def test_the_document_lists_every_rule_as_it_is():
    text = (ROOT / "docs" / "compare.md").read_text()
    listed = dict(re.findall(r"^\| `([a-z.-]+)` \| (\w+) \|", text, re.MULTILINE))
    assert listed == {name: str(rule.severity) for name, rule in RULES.items()}
