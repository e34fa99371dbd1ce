"""What is not modelled is neither accepted nor rejected, by any command; what was printed before is shown."""

from __future__ import annotations

import json
import struct

import pytest

import vmstate
from tests.support import corpus
from tests.support.machines import TCG, stream_of
from tests.support.recorded import rows, side
from vmstate.cli import main
from vmstate.errors import NotModelled
from vmstate.fuzz.targets import Simulated
from vmstate.judge.recording import edited
from vmstate.proposals.chosen_set import ChosenSet
from vmstate.proposals.whatif import Question
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import load

WHY = "this state is not modelled"
PLAIN = f"qemu-7.2.22 -nodefaults -machine pseries-7.2,{TCG},cap-cfpc=workaround -m 256"
WARNING = "warning: TCG doesn't support requested feature, cap-cfpc=workaround"


@pytest.fixture
def unknown(monkeypatch):
    """Make the end of every load something that is not modelled."""

    def take_over(state):
        raise NotModelled(WHY, offset=7).within(state.idstr, 0)

    monkeypatch.setattr(GlobalState, "take_over", take_over)


@pytest.fixture
def stream(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(stream_of(PLAIN))
    return str(path)


def judged(capsys, *words):
    status = main([*words, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["findings"][0]["rule"] == "error.notmodelled"
    assert not answer["ok"]
    return status, answer["result"]


def check(verdict):
    assert verdict["outcome"] == "not modelled"
    assert verdict["messages"] == [WARNING]
    decided = verdict["decided_by"]
    assert (decided["rule"], decided["message"]) == ("not-modelled", WHY)
    assert (decided["section"], decided["offset"]) == ("globalstate", 7)


@pytest.mark.usefixtures("unknown")
def test_a_load(capsys, stream):
    status, verdict = judged(capsys, "load", stream, "--on", PLAIN)
    assert status == 2
    check(verdict)
    assert main(["load", stream, "--on", PLAIN]) == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines()[:2] == ["cannot judge", f"  destination: {WARNING}"]
    assert WHY in printed.err


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("words", [("migrate",), ("explain",), ("migrate", "--explain")])
def test_a_migration(capsys, words):
    status, result = judged(capsys, *words, PLAIN, PLAIN)
    verdict = result["migrations"][0] if words[0] == "migrate" else result
    assert status == 2
    check(verdict)
    assert verdict["source_messages"] == [WARNING]


def test_one_way_of_two(capsys, monkeypatch):
    def take_over(state):
        if str(state.machine.release).startswith("7.1"):
            raise NotModelled(WHY)

    monkeypatch.setattr(GlobalState, "take_over", take_over)
    lines = [f"qemu-{release} -machine pseries-7.1 -nodefaults -m 256" for release in ("7.1", "7.2")]
    status, result = judged(capsys, "migrate", *lines, "--both-ways")
    there, back = result["migrations"]
    assert status == 2
    assert (there["outcome"], back["outcome"]) == ("accept", "not modelled")


@pytest.mark.usefixtures("unknown")
def test_batches(capsys, stream, tmp_path):
    file = tmp_path / "rows"
    for name, row in (
        ("migrate", {"source": PLAIN, "destination": PLAIN}),
        ("migrate", {"source": PLAIN, "destination": PLAIN, "guest": "linux-6.1"}),
        ("load", {"stream": stream, "destination": PLAIN}),
    ):
        file.write_text(json.dumps(row) + "\n")
        assert main([name, "--batch", str(file)]) == 2
        answer = json.loads(capsys.readouterr().out)
        check(answer)
        assert (answer["error"].startswith(WHY), answer["line"]) == (True, 1)


@pytest.mark.usefixtures("unknown")
def test_a_library_gets_the_exception_with_the_lines(stream):
    with pytest.raises(NotModelled, match=WHY) as caught:
        vmstate.load(stream, on=PLAIN)
    assert caught.value.messages == [WARNING]
    with pytest.raises(NotModelled) as caught:
        vmstate.migrate(PLAIN, PLAIN)
    assert (caught.value.source_messages, caught.value.messages) == ([WARNING], [WARNING])


@pytest.mark.usefixtures("unknown")
def test_a_campaign_counts_it_as_neither(stream):
    target = Simulated(PLAIN)
    run = target.run(memoryview(stream_of(PLAIN)))
    assert run.answer.outcome == Outcome.NOT_MODELLED
    assert run.faults == ()


@pytest.mark.usefixtures("unknown")
def test_whatif_says_that_it_was_not_tried():
    chosen = ChosenSet(releases=("4.1",), types=("pseries-4.1",), hosts=("tcg",), cpus=("",))
    judge = Question("cap-xics-xive", chosen=chosen).opened().judge
    done = [judge.run(task) for task in judge.tasks()]
    assert {reason for one in done for reason in one.unmodelled} == {
        f"{WHY} (at offset 0x7, in globalstate[0])"
    }


@pytest.mark.usefixtures("unknown")
def test_a_scenario_with_such_a_case_has_no_result(capsys, tmp_path):
    file = tmp_path / "one.toml"
    file.write_text(
        'title = "One"\nquestion = "?"\nanswer = "!"\n[[case]]\nname = "one"\nabout = "One."\n'
        f'source = "{PLAIN}"\ndestination = "{PLAIN}"\noutcome = "accept"\n'
    )
    assert main(["scenario", str(file)]) == 2
    assert WHY in capsys.readouterr().out


def with_section(stream, idstr, payload):
    """Return the stream with a live section of its own before all others."""
    data = bytes(stream)
    start = data.index(b"\x01\x00\x00\x00\x02\x03ram")
    name = idstr.encode()
    section = b"\x01" + struct.pack(">IB", 1, len(name)) + name + struct.pack(">II", 0, 1) + payload
    return data[:start] + section + data[start:]


@pytest.mark.parametrize("idstr", ["block", "dirty-bitmap"])
def test_data_of_disks(idstr):
    stream = with_section(stream_of(PLAIN), idstr, bytes(64))
    with pytest.raises(NotModelled, match="a disk of the destination") as caught:
        vmstate.load(stream, on=PLAIN)
    assert (caught.value.place.section, caught.value.messages) == (idstr, [WARNING])


def test_a_queue_whose_rings_are_not_in_the_memory_that_was_sent():
    row = next(row for row in rows("queue-indexes") if row["destination"]["release"] == "7.2.22")
    edits = [[at, old, new.replace("0000000001000000", "0000010000000000")] for at, old, new in row["edits"]]
    assert edits != row["edits"]
    with pytest.raises(NotModelled, match="queue 0: its index in guest memory"):
        load(edited(corpus.load(row["base"]), edits), side(row["destination"]))
