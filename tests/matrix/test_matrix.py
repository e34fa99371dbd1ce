"""A matrix: its verdicts are those of plain migrations; its text, JSON and JUnit say the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from xml.etree import ElementTree as Xml

import pytest

from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.matrix.cells import Cell, Kind
from vmstate.matrix.judging import ABSENT, MatrixQuestion, Ways
from vmstate.matrix.matrix import make_matrix
from vmstate.proposals.chosen_set import ChosenSet
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.migration import migrate
from vmstate.workers import Workers

PLAIN = ChosenSet(cpus=("",), hosts=("tcg",), ic_modes=("",), compat_modes=("",), options=("",))
WIDE = ChosenSet(
    releases=("2.12", "3.1", "4.2", "5.2", "7.2", "9.2", "10.0", "11.1"),
    types=("pseries-2.12", "pseries-4.2", "pseries-9.2"),
    cpus=("", "power8", "power10"),
    hosts=("tcg", "p9-hv"),
    ic_modes=("", "xics", "xive", "dual"),
    compat_modes=("", "power8"),
    options=("", "cap-htm=off"),
)
NARROW = ["--machine", "pseries-9.*", "--releases", "9.0..10.0", "--cpu", "power9", "--jobs", "1"]


def chosen(**values):
    return ChosenSet(**{**vars(PLAIN), **values})


@pytest.fixture(scope="module")
def wide():
    return make_matrix(MatrixQuestion(WIDE), Workers(1))


def test_verdicts_are_those_of_migrate(wide):
    pairs = [pair for grid in wide.grids for pair in wide.pairs(grid)]
    kinds = Counter()
    for pair in random.Random(7).sample(pairs, 250):
        verdict = migrate(*(parse(line, wide.judge.catalogue) for line in wide.sides(pair)))
        cell = pair.cell
        plain = verdict.outcome, tuple(verdict.source_messages), tuple(verdict.messages), verdict.aborted
        assert (cell.outcome, cell.source_messages, cell.messages, cell.aborted) == plain, wide.sides(pair)
        decided = verdict.decided_by
        assert (cell.decided_by and cell.decided_by.rule) == (decided and decided.rule)
        kinds[cell.kind] += 1
    assert {Kind.ACCEPT, Kind.REJECT, Kind.REFUSED} <= kinds.keys()


def test_every_verdict_of_the_dictionary_is_that_of_its_pairs(wide):
    """The sample above is of pairs; this is one pair of each verdict that occurs."""
    seen = set()
    for grid in wide.grids:
        for pair in wide.pairs(grid):
            if pair.cell not in seen:
                seen.add(pair.cell)
                verdict = migrate(*(parse(line, wide.judge.catalogue) for line in wide.sides(pair)))
                assert (pair.cell.outcome, pair.cell.messages) == (verdict.outcome, tuple(verdict.messages))
    assert seen == set(wide.cells)


def test_a_pair_is_absent_exactly_where_a_release_lacks_the_machine_type(wide):
    for grid in wide.grids:
        name = wide.judge.chosen.types[grid.setting.type]
        there = [
            name in wide.judge.catalogue.binary(wide.judge.catalogue.release(program)).machine_types
            for program in wide.programs
        ]
        for row, source in enumerate(there):
            for column, destination in enumerate(there):
                assert (grid.cells[row, column] != ABSENT) == (source and destination)


def test_all_combinations_are_there_once(wide):
    settings = [grid.setting for grid in wide.grids]
    assert len(settings) == len(set(settings)) == 3 * 4 * 4 * 2 * 2
    assert sum(wide.counts().values()) == sum(len(list(wide.pairs(grid))) for grid in wide.grids)


def test_many_processes_give_the_same_matrix():
    question = MatrixQuestion(
        chosen(releases=("5.0..7.2",), types=("pseries-4.*",), cpus=("power9", "power8"))
    )
    assert make_matrix(question, Workers(1)).as_json() == make_matrix(question, Workers(2)).as_json()


@pytest.mark.parametrize("ways", list(Ways))
def test_ways(ways):
    matrix = make_matrix(
        MatrixQuestion(chosen(releases=("9.1..10.0",), types=("pseries-9.1",)), (), ways), Workers(1)
    )
    (grid,) = matrix.grids
    places = {(pair.source, pair.destination) for pair in matrix.pairs(grid)}
    wanted = {
        Ways.FORWARD: lambda a, b: a <= b,
        Ways.BACKWARD: lambda a, b: a >= b,
        Ways.BOTH: lambda a, b: True,
    }
    assert places == {(a, b) for a in range(3) for b in range(3) if wanted[ways](a, b)}


def test_an_option_stands_where_a_release_has_it():
    question = MatrixQuestion(
        chosen(releases=("3.1", "4.0"), types=("pseries-3.0",), ic_modes=("xics",), options=("cap-htm=off",))
    )
    matrix = make_matrix(question, Workers(1))
    (grid,) = matrix.grids
    sides = {pair.source: matrix.sides(pair)[0] for pair in matrix.pairs(grid)}
    assert sides[0] == "qemu-3.1.1.1 -machine pseries-3.0,cap-htm=off -nodefaults -m 256"
    assert sides[1] == "qemu-4.0.1 -machine pseries-3.0,ic-mode=xics,cap-htm=off -nodefaults -m 256"


def test_a_vendors_package_and_a_proposal_are_releases():
    question = MatrixQuestion(
        chosen(releases=("4.2+ubuntu-focal", "7.2+cap-xics-xive", "7.2"), types=("pseries-4.2",))
    )
    matrix = make_matrix(question, Workers(1))
    assert matrix.programs == ["4.2.1+ubuntu-focal", "7.2.22+cap-xics-xive", "7.2.22"]
    assert not {Kind.NOT_MODELLED, Kind.ABSENT} & matrix.counts().keys()


def test_a_guest_boots_on_every_source():
    question = MatrixQuestion(
        chosen(
            releases=("7.2",),
            types=("pseries-7.2",),
            cpus=("power9",),
            guest="linux-6.1",
            options=("cap-htm=off",),
        )
    )
    matrix = make_matrix(question, Workers(1))
    assert matrix.counts() == {Kind.ACCEPT: 1}


def test_names_that_no_release_has_are_refused():
    with pytest.raises(ConfigurationError, match=r"has a machine type 'pseries-1\.\*'"):
        make_matrix(MatrixQuestion(chosen(types=("pseries-1.*",))), Workers(1))
    with pytest.raises(ConfigurationError, match="no such host"):
        make_matrix(MatrixQuestion(chosen(hosts=("no-such-host",))), Workers(1))


def test_a_line_of_the_load_is_a_warning_and_one_of_the_start_is_not():
    verdict = Verdict(Outcome.ACCEPT, ["as always", "new"])
    assert [Cell.of(verdict, (), started).kind for started in (1, 2)] == [Kind.WARN, Kind.ACCEPT]
    assert Cell.of(Verdict(Outcome.REJECT, aborted=True), (), 0).kind == Kind.CRASH


def test_causes_count_every_pair_that_is_not_simply_accepted(wide):
    counted = Counter()
    for cause in wide.causes():
        counted[cause.kind] += cause.pairs
    assert counted == {kind: n for kind, n in wide.counts().items() if kind is not Kind.ACCEPT}


def test_the_text_has_a_row_for_each_source(capsys):
    assert main(["matrix", *NARROW]) == 1
    out = capsys.readouterr().out.splitlines()
    assert "pseries-9.0: tcg power9" in out
    at = out.index("pseries-9.0: tcg power9")
    assert [line.split() for line in out[at + 1 : at + 5]] == [
        ["9.0.4", "++R+"],
        ["9.1.3", "++R+"],
        ["9.2.4", "RR++"],
        ["10.0.13", "RRR+"],
    ]
    assert any(line.endswith("rejected: too-new cpu[0].cpu/slb: incoming 2, here 1..1") for line in out)


def test_the_json_is_the_matrix(capsys):
    assert main(["matrix", "--json", *NARROW]) == 1
    result = json.loads(capsys.readouterr().out)["result"]
    (grid,) = [grid for grid in result["grids"] if grid["machine"] == "pseries-9.0"]
    assert (grid["host"], grid["cpu"]) == ("tcg", "power9")
    verdict = result["verdicts"][grid["cells"][2][0]]
    assert (verdict["kind"], verdict["decided_by"]["path"]) == ("reject", "cpu/slb")
    flat = [number for one in result["grids"] for row in one["cells"] for number in row if number is not None]
    assert Counter(result["verdicts"][n]["kind"] for n in flat) == result["counts"]


def test_junit_has_a_case_for_each_pair(tmp_path, capsys):
    path = tmp_path / "out.xml"
    assert main(["matrix", *NARROW, "--junit", str(path)]) == 1
    suites = Xml.parse(path).getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == [f"pseries-9.{n}, tcg power9" for n in (0, 1, 2)]
    case = next(case for case in suites[0] if case.get("name") == "9.2.4 to 9.0.4")
    failure = case.find("failure")
    assert failure.get("type") == "reject"
    assert "vmstate migrate 'qemu-9.2.4 -machine pseries-9.0" in failure.text


def test_a_matrix_in_which_all_migrates_has_status_0(capsys):
    words = ["--machine", "pseries-10.0", "--releases", "10.0..11.1", "--cpu", "power10", "--jobs", "1"]
    assert main(["matrix", *words, "--option", "cap-ccf-assist=off", "--ways", "forward"]) == 0


def test_what_cannot_be_judged_has_status_2(capsys):
    words = ["--machine", "pseries-10.0", "--releases", "10.0", "--jobs", "1", "--rest=-loadvm x"]
    assert main(["matrix", *words]) == 2
    assert "1 cannot be judged" in capsys.readouterr().out


class TestBaseline:
    WORDS = ("matrix", "--machine", "pseries-9.*", "--releases", "9.0..9.2", "--cpu", "power9", "--jobs", "1")

    @pytest.fixture
    def old(self, tmp_path, capsys):
        main([*self.WORDS, "--json"])
        path = tmp_path / "old.json"
        path.write_text(capsys.readouterr().out)
        return path

    def test_the_same_matrix_has_no_changes_though_pairs_are_rejected(self, old, capsys):
        assert main([*self.WORDS, "--baseline", str(old)]) == 0
        assert "0 pairs have another verdict or other lines, 14 have not" in capsys.readouterr().out

    def test_a_changed_verdict_is_shown_with_a_pair(self, old, capsys):
        document = json.loads(old.read_text())
        for verdict in document["result"]["verdicts"]:
            if verdict["kind"] == "reject":
                verdict["kind"] = "accept"
        old.write_text(json.dumps(document))
        assert main([*self.WORDS, "--baseline", str(old)]) == 1
        out = capsys.readouterr().out
        assert "accepted before, now rejected" in out
        assert "vmstate migrate 'qemu-9.2.4 -machine pseries-9.0" in out
        assert main([*self.WORDS, "--baseline", str(old), "--json"]) == 1
        found = json.loads(capsys.readouterr().out)["result"]["baseline"]
        assert {(change["before"], change["after"]) for change in found["changes"]} == {("accept", "reject")}
        assert sum(change["pairs"] for change in found["changes"]) + found["same"] == 14

    def test_other_lines_are_a_change(self, old, capsys):
        old.write_text(old.read_text().replace("cpu/slb: incoming version_id", "cpu/slb: version_id"))
        assert main([*self.WORDS, "--baseline", str(old)]) == 1
        assert "rejected, with other lines" in capsys.readouterr().out

    def test_pairs_that_the_baseline_lacks_are_counted_and_no_change(self, old, capsys):
        words = (
            "matrix",
            "--machine",
            "pseries-9.0",
            "--releases",
            "9.0..10.0",
            "--cpu",
            "power9",
            "--jobs",
            "1",
        )
        assert main([*words, "--baseline", str(old)]) == 0
        assert "9 have not, 7 are not in the baseline" in capsys.readouterr().out

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"result": {"verdicts": [{}]}}'])
    def test_another_file_is_refused(self, tmp_path, text, capsys):
        (tmp_path / "old.json").write_text(text)
        assert main([*self.WORDS, "--baseline", str(tmp_path / "old.json")]) == 2
        assert "not what vmstate matrix --json writes" in capsys.readouterr().err
