"""``--expect``, batches and folders with expectations: the words, the exit status, JUnit."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree as Xml

import pytest

from tests.support import corpus as streams
from vmstate.cli import main
from vmstate.cli.replay import _table
from vmstate.expectations import read
from vmstate.fuzz.corpus import Corpus, replayed
from vmstate.fuzz.faults import Run
from vmstate.judge.comparison import Answer

PLAIN = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
NO_VSX = "qemu-7.2 -nodefaults -machine pseries-7.2,cap-vsx=off -m 256"
UNKNOWN = f"{PLAIN} -loadvm x"
NAME = "7.2-pseries-7.2"


def status_of(*words):
    return int(main([*words]))


@pytest.mark.parametrize(
    ("destination", "expect", "status"),
    [
        (PLAIN, "accept", 0),
        (PLAIN, "reject", 1),
        (NO_VSX, "accept", 1),
        (NO_VSX, "reject", 0),
        (NO_VSX, "reject: cap-vsx higher level", 0),
        (NO_VSX, "reject: cap-htm", 1),
        ("qemu-7.2 -machine nonsense", "refused", 0),
        (NO_VSX, "perhaps", 2),
    ],
)
def test_the_exit_status_says_whether_it_came_as_expected(capsys, destination, expect, status):
    assert status_of("migrate", PLAIN, destination, "--expect", expect) == status
    out = capsys.readouterr().out
    assert ("as expected" in out) == (status < 2)
    assert ("NOT as expected" in out) == (status == 1)


def test_both_ways_are_expected_alike(capsys):
    assert status_of("migrate", PLAIN, NO_VSX, "--both-ways", "--expect", "reject") == 1
    assert capsys.readouterr().out.count("as expected") == 2


def test_an_expectation_from_a_file(tmp_path, capsys):
    (tmp_path / "lines").write_text("accept\n")
    assert status_of("migrate", PLAIN, PLAIN, "--expect", f"@{tmp_path / 'lines'}") == 0


def test_the_json_has_the_expectation(capsys):
    assert status_of("migrate", PLAIN, NO_VSX, "--expect", "accept", "--json") == 1
    [result] = json.loads(capsys.readouterr().out)["result"]["migrations"]
    assert result["expect"] == {"outcome": "accept"}
    assert (result["as_expected"], result["unexpected"]) == (False, ["expected accept, found reject"])


def test_the_file_beside_a_stream_counts_unless_another_is_given(tmp_path, capsys):
    stream = tmp_path / "guest.mig"
    stream.write_bytes(streams.load(NAME))
    (tmp_path / "guest.mig.expect").write_text("reject")
    assert status_of("load", str(stream), "--on", NO_VSX) == 0
    assert status_of("load", str(stream), "--on", NO_VSX, "--expect", "accept") == 1
    (tmp_path / "guest.mig.expect").unlink()
    assert status_of("load", str(stream), "--on", NO_VSX) == 1


def batch(capsys, tmp_path, rows, *words, command="migrate"):
    (tmp_path / "rows").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status = status_of(command, "--batch", str(tmp_path / "rows"), *words)
    said = capsys.readouterr()
    return status, [json.loads(line) for line in said.out.splitlines()], said.err


@pytest.mark.parametrize(
    ("expects", "words", "status", "met"),
    [
        ((None, None), (), 1, [None, None]),
        (("accept", "reject: cap-vsx"), (), 0, [True, True]),
        (("accept", "accept"), (), 1, [True, False]),
        ((None, {"outcome": "reject"}), (), 0, [None, True]),
        ((None, "reject"), ("--expect", "accept"), 0, [True, True]),
        ((None, None), ("--expect", "accept"), 1, [True, False]),
    ],
)
def test_rows_of_a_batch(capsys, tmp_path, expects, words, status, met):
    rows = [
        {"source": PLAIN, "destination": to, **({} if expect is None else {"expect": expect})}
        for to, expect in zip((PLAIN, NO_VSX), expects, strict=True)
    ]
    found, answers, err = batch(capsys, tmp_path, rows, *words)
    assert (found, [answer.get("as_expected") for answer in answers]) == (status, met)
    assert ("as expected" in err) == (met != [None, None])


def test_what_cannot_be_judged_has_status_2_unless_that_is_expected(capsys, tmp_path):
    row = {"source": PLAIN, "destination": UNKNOWN}
    assert batch(capsys, tmp_path, [{**row, "expect": "reject"}])[0] == 2
    assert batch(capsys, tmp_path, [{**row, "expect": "not-modelled"}])[0] == 0
    assert batch(capsys, tmp_path, [{**row, "expect": "no such word"}])[0] == 2


def test_a_batch_of_loads_with_files_beside_the_streams(capsys, tmp_path):
    stream = tmp_path / "guest.mig"
    stream.write_bytes(streams.load(NAME))
    (tmp_path / "guest.mig.expect").write_text("reject")
    rows = [{"stream": str(stream), "destination": NO_VSX}]
    status, answers, _ = batch(capsys, tmp_path, rows, command="load")
    assert (status, answers[0]["as_expected"]) == (0, True)
    status, answers, _ = batch(capsys, tmp_path, [{**rows[0], "expect": "accept"}], command="load")
    assert (status, answers[0]["as_expected"]) == (1, False)


def test_a_batch_as_junit(capsys, tmp_path):
    rows = [
        {"name": "one & <all>", "source": PLAIN, "destination": NO_VSX, "expect": "reject"},
        {"source": PLAIN, "destination": NO_VSX, "expect": "accept"},
        {"source": PLAIN, "destination": UNKNOWN},
    ]
    out = tmp_path / "out.xml"
    assert batch(capsys, tmp_path, rows, "--junit", str(out))[0] == 2
    suite = Xml.parse(out).getroot().find("testsuite")
    assert [suite.get(key) for key in ("name", "tests", "failures", "errors")] == ["migrate", "3", "1", "1"]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["one & <all>", "row 2", "row 3"]
    failure = cases[1].find("failure")
    assert (failure.get("type"), failure.get("message")) == (
        "not as expected",
        "expected accept, found reject",
    )
    assert "cap-vsx higher level" in failure.text


class Says:
    """A target that gives one answer to all streams."""

    def __init__(self, name, outcome, *messages):
        self.name, self.answer = name, Answer(outcome, messages)

    def run(self, stream):
        return Run(self.name, self.answer)


def results(tmp_path, expect, *targets):
    stream = tmp_path / "guest.mig"
    stream.write_bytes(streams.load(NAME))
    if expect:
        (tmp_path / "guest.mig.expect").write_text(expect)
    return list(replayed(Corpus(tmp_path), targets))


REAL_REJECTS = Says("QEMU 7.2.22", "reject", "no"), Says("simulated 7.2.22", "reject", "no")


@pytest.mark.parametrize(
    ("expect", "fine", "words"),
    [
        (None, True, "of 1: 0 as expected, 1 without an expectation"),
        ("reject: no", True, "of 1: 1 as expected"),
        ("accept", False, "of 1: 0 as expected, 1 not as expected"),
    ],
)
def test_agreement_is_one_thing_and_the_expected_end_another(tmp_path, expect, fine, words):
    (one,) = results(tmp_path, expect, *REAL_REJECTS)
    assert (one.agrees, one.fine) == (True, fine)
    lines = list(_table([one]))
    assert lines[-2:] == ["1 of 1 agree with the simulator", words]
    assert not any("passed" in line for line in lines)


def test_a_disagreement_is_not_fine_even_if_the_real_end_is_the_expected_one(tmp_path):
    (one,) = results(tmp_path, "reject", REAL_REJECTS[0], Says("simulated 7.2.22", "accept"))
    assert (one.agrees, one.unexpected, one.fine) == (False, (), False)


def test_without_a_simulator_there_is_nothing_to_agree_with(tmp_path):
    (one,) = results(tmp_path, None, REAL_REJECTS[0])
    assert (one.agrees, one.fine) == (None, True)
    assert "not compared with the simulator" in list(_table([one]))


def test_the_record_of_the_folder_comes_first_and_a_default_last(tmp_path):
    (tmp_path / "expect.json").write_text('{"guest.mig": "accept"}')
    (one,) = results(tmp_path, "reject", *REAL_REJECTS)
    assert one.expectation == read("accept")
    (tmp_path / "expect.json").unlink()
    (tmp_path / "guest.mig.expect").unlink()
    (one,) = replayed(Corpus(tmp_path), REAL_REJECTS, read("reject"))
    assert one.fine
    assert one.as_json()["as_expected"] is True


TCG = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
QEMU = ("--", "qemu-system-ppc64", "-nodefaults", "-machine", f"pseries-5.2,{TCG}", "-m", "256")


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    path = tmp_path_factory.mktemp("captured") / "guest.mig"
    assert main(["capture", "-o", str(path), "--strip", *QEMU]) == 0
    return path


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-ppc64") is None, reason="there is no qemu-system-ppc64 in PATH")
class TestWithQemu:
    def test_a_reject_that_was_expected_has_status_0(self, captured, capsys):
        assert main(["replay", str(captured), "--expect", "reject", *QEMU, "-cpu", "power8"]) == 0
        assert main(["replay", str(captured), "--expect", "accept", *QEMU, "-cpu", "power8"]) == 1

    def test_a_folder_with_an_expectation(self, captured, capsys):
        folder = ["replay", "--corpus", str(captured.parent), *QEMU, "-cpu", "power8"]
        assert main(folder) == 0
        assert main([*folder[:3], "--expect", "accept", *folder[3:]]) == 1
        assert "of 1: 0 as expected, 1 not as expected" in capsys.readouterr().out

    def test_what_was_sent_arrived(self, captured, capsys):
        words = ["--then", "info registers", "--again", "--ignore", "cpu_common", "--json"]
        assert main(["replay", str(captured), *words, *QEMU]) == 0
        result = json.loads(capsys.readouterr().out)["result"]
        assert "NIP 0000000000000100" in result["then"]["info registers"]
        assert result["again"] == {"same": True, "differences": []}


def test_a_command_line_may_be_longer_than_any_path(tmp_path, capsys):
    path, long = tmp_path / "guest.mig", "qemu-7.2 -machine pseries-7.2 -name " + "n" * 5000
    assert main(["new", long, "-o", str(path)]) == 0
    assert main(["load", str(path), "--on", long]) == 0
    assert main(["migrate", long, long]) == 0
