"""What-if: its verdicts are those of a plain migration, its causes those that a reviewer would name."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
from functools import partial

import pytest

from tests.support.share import times
from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.proposals.causes import Direction, Kind, groups
from vmstate.proposals.chosen_set import ChosenSet, Setting, chosen_from
from vmstate.proposals.pair_judge import AFTER, BEFORE
from vmstate.proposals.whatif import Question, what_if
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.migration import migrate
from vmstate.workers import Workers

SMALL = ChosenSet(releases=("4.1", "4.2"), types=("pseries-4.0", "pseries-4.1"), hosts=("tcg",), cpus=("",))


def answers(judge, row, when):
    source, to, type_, *rest = (int(value) for value in row[:-1])
    sides = (source, Setting(type_, *rest[:4])), (to, Setting(type_, *rest[4:]))
    lines = [judge.command_line(program, when, setting) for program, setting in sides]
    guest = judge.chosen.guest
    migrated = partial(migrate_guest, guest=guest) if guest else migrate
    verdict = migrated(*(parse(line, judge.catalogue) for line in lines))
    return verdict.outcome, tuple(verdict.source_messages), tuple(verdict.messages)


@pytest.mark.parametrize("guest", ["", "linux-6.1"])
@pytest.mark.parametrize(
    "name",
    ["cap-xics-xive", "compat-as-posted", "htm-hack-in-defaults", "arch-compat-if-used", "gtse-as-posted"],
)
def test_verdicts_are_those_of_migrate(name, guest):
    judge = Question(name, chosen=ChosenSet(guest=guest)).opened().judge
    tasks = judge.tasks()
    chance = random.Random(name)
    chance.shuffle(tasks)
    judged = 0
    for number, task in enumerate(tasks):
        if number >= times(10, 100) and judged:
            break
        done = judge.run(task)
        for row in chance.sample(list(done.rows), min(8, len(done.rows))):
            plain = [answers(judge, row, when) for when in (BEFORE, AFTER)]
            found = [tuple(answer[:3]) for answer in done.changes[row[-1]]] if row[-1] >= 0 else plain[:1] * 2
            assert plain == found, judge.command_line(int(row[0]), AFTER, Setting(*map(int, row[2:7])))
            judged += 1
    assert judged


@pytest.fixture(scope="module")
def xics_xive():
    return groups(what_if(Question("cap-xics-xive", chosen=SMALL), workers=Workers(1)))


def test_the_messages_of_the_thread_appear_in_its_modes(xics_xive):
    broken = [group for group in xics_xive if group.cause.kind == Kind.NO_LONGER_MIGRATES]
    facts = {
        (group.cause.direction, line[1]): group.common
        for group in broken
        for line in group.new
        if "higher level" in line[1]
    }
    assert set(facts) == {
        (Direction.TO, f"cap-{name} higher level (1) in incoming stream than on destination (0)")
        for name in ("xics", "xive")
    }
    modes = {"cap-xics": "both: ic-mode xive", "cap-xive": "both: ic-mode xics"}
    assert all(modes[line.partition(" ")[0]] in common for (_, line), common in facts.items())


def test_the_command_line_of_a_group_reproduces_it(xics_xive, capsys):
    for group in xics_xive[:6]:
        main(["migrate", *group.example])
        printed = capsys.readouterr().out
        assert all(line in printed for side, line in group.new if side in {"source", "destination"})
        main(["migrate", *group.unchanged])
        before = capsys.readouterr().out
        assert str(group.change.before.outcome) != "accept" or "accepted" in before


def test_new_options_are_separate(xics_xive):
    for group in xics_xive:
        names_new = any("cap-xics=" in side or "cap-xive=" in side for side in group.example)
        assert names_new == (group.cause.kind == Kind.NEW_OPTION)


def test_jobs_do_not_change_the_answer(xics_xive):
    assert groups(what_if(Question("cap-xics-xive", chosen=SMALL), workers=Workers(2))) == xics_xive


def test_a_proposal_that_changes_nothing_changes_nothing(tmp_path):
    file = tmp_path / "nothing.py"
    file.write_text('from vmstate.proposals import Proposal\np = Proposal("nothing", "4.2", "nothing")\n')
    answer = what_if(Question(str(file), chosen=SMALL), workers=Workers(1))
    assert len(answer.rows)
    assert groups(answer) == []
    assert main(["whatif", str(file), "--releases", "4.2", "--types", "pseries-4.1", "--jobs", "1"]) == 0


def test_two_proposals_in_both_directions():
    one, other = "htm-hack-in-defaults", "htm-hack-after-defaults"
    chosen = ChosenSet(releases=("2.11", "2.12"), types=("pseries-2.11",), hosts=("tcg",), cpus=("",))
    ways = [
        groups(what_if(Question(a, b, chosen=chosen), workers=Workers(1)))
        for a, b in ((one, other), (other, one))
    ]
    broken, fixed = (
        sum(group.pairs for group in found if group.cause.kind == kind)
        for found, kind in zip(ways, (Kind.NO_LONGER_MIGRATES, Kind.FIXED), strict=True)
    )
    assert broken == fixed > 0


def test_the_hack_in_the_defaults_is_rejected_by_2_12_with_the_line_of_the_thread():
    chosen = ChosenSet(releases=("2.12",), types=("pseries-2.11",), hosts=("tcg",), cpus=("",))
    found = groups(what_if(Question("htm-hack-in-defaults", chosen=chosen), workers=Workers(1)))
    line = "cap-htm higher level (1) in incoming stream than on destination (0)"
    causes = [
        (group.cause.kind, group.cause.direction) for group in found if ("destination", line) in group.new
    ]
    assert causes == [(Kind.NO_LONGER_MIGRATES, Direction.FROM), (Kind.STARTS_REJECTED, Direction.FROM)]


def test_later_releases_can_have_it_too():
    chosen = ChosenSet(releases=("4.1", "4.2", "5.0"))
    plain, later = (
        Question("cap-xics-xive", later=later, chosen=chosen).opened().programs for later in (False, True)
    )
    assert [program.affected for program in plain] == [True, False, False, False]
    assert [program.affected for program in later] == [True, False, False, True]


def test_an_interrupted_result_has_the_finished_part():
    def stop(done, of):
        if done >= 5:
            raise KeyboardInterrupt

    answer = what_if(Question("cap-xics-xive", chosen=SMALL), workers=Workers(1), tick=stop)
    assert answer.tasks[0] == 5
    assert not answer.complete


def test_ctrl_c_ends_with_a_report_and_130(tmp_path):
    """Ctrl-C is pressed when the first tasks are done."""
    script = (
        "import sys\n"
        "from vmstate.cli import main\n"
        "from vmstate import workers\n"
        "times = []\n"
        "def interrupted(running):\n"
        "    times.append(1)\n"
        "    if len(times) > 1:\n"
        "        raise KeyboardInterrupt\n"
        "    return original(running)\n"
        "original, workers._finished = workers._finished, interrupted\n"
        "sys.exit(main(['whatif', 'cap-xics-xive', '--releases', '4.1,4.2', '--json', '--jobs', '2']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 130, done.stderr
    result = json.loads(done.stdout)["result"]
    assert not result["complete"]
    assert 0 < result["part_done"] < 1
    assert result["pairs"]


def test_the_report_ends_with_what_it_does_not_cover(capsys):
    arguments = [
        "--releases",
        "4.1",
        "--types",
        "pseries-4.1",
        "--hosts",
        "tcg",
        "--cpus",
        "default",
        "--jobs",
        "1",
    ]
    assert main(["whatif", "cap-xics-xive", *arguments]) == 1
    printed = capsys.readouterr().out
    report, _, missing = printed.partition("Not covered:")
    assert "guests: machines are in their reset states" in missing
    assert "never compared with a KVM host" in missing
    command = next(line for line in report.splitlines() if line.strip().startswith("vmstate migrate"))
    words = shlex.split(command)
    assert main(words[1:]) == 1


def test_a_users_own_set(tmp_path):
    file = tmp_path / "set.toml"
    file.write_text(
        'releases = ["4.1-5.0"]\ntypes = ["pseries-4.1"]\nhosts = ["tcg"]\nic-modes = ["", "xive"]\n'
    )
    assert main(["whatif", "cap-xics-xive", "--set", str(file), "--jobs", "1"]) == 1


@pytest.mark.parametrize("wrong", [{"colour": []}, {"types": "pseries"}, {"rest": []}, {"cpus": [8]}])
def test_a_malformed_set(wrong):
    with pytest.raises(ConfigurationError):
        chosen_from(wrong)


@pytest.mark.parametrize(
    ("proposal", "against"),
    [("no-such", ""), ("cap-xics-xive", "compat-as-posted"), ("cap-xics-xive", "cap-xics-xive")],
)
def test_an_invalid_question(proposal, against):
    with pytest.raises(ConfigurationError):
        Question(proposal, against).opened()


def test_a_side_varies_in_one_option_and_sides_differ_in_one():
    for a, b in ChosenSet().pairs_of_variations:
        assert sum(value > 0 for value in a) <= 1
        assert sum(value > 0 for value in b) <= 1
        assert sum(x != y for x, y in zip(a, b, strict=True)) <= 1


def test_a_sample_says_so_and_how_much_there_is_comes_first(monkeypatch):
    monkeypatch.setattr("vmstate.proposals.whatif._LEAST", 20)
    chosen = ChosenSet(releases=("7.2",))
    sizes = []
    answer = what_if(Question("gtse-as-posted", chosen=chosen), Workers(1), sample=True, begin=sizes.append)
    assert answer.complete
    assert 0 < answer.part < 1
    assert sizes == [answer.tried]
