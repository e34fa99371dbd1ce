"""``vmstate migrate``, ``load`` and ``explain``: shapes, batches, traces, both ways, remedies."""

from __future__ import annotations

import json

import pytest

from tests.support.machines import PLAIN, command, stream_of
from vmstate.cli import main
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.migration import migrate
from vmstate.simulate.remedies import remedies

NO_VSX = command("pseries-7.2,cap-vsx=off")
KEYS = {"outcome", "source_messages", "messages", "decided_by"}


def result(capsys, *words):
    status = main([*words, "--json"])
    result = json.loads(capsys.readouterr().out)["result"]
    if "--both-ways" in words:
        return status, result["migrations"]
    return status, result["migrations"][0] if words[0] == "migrate" else result


def batch(capsys, tmp_path, name, rows, status=0):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    assert main([name, "--batch", str(file)]) == status
    return list(map(json.loads, capsys.readouterr().out.splitlines()))


def test_a_verdict_as_json(capsys):
    status, accepted = result(capsys, "migrate", PLAIN, PLAIN)
    verdict = {"outcome": "accept", "source_messages": [], "messages": [], "decided_by": None}
    assert {name: accepted[name] for name in KEYS} == verdict
    assert status == 0
    status, rejected = result(capsys, "migrate", PLAIN, NO_VSX)
    assert status == 1
    assert rejected.keys() == {*KEYS, "source", "destination"}
    decided = rejected["decided_by"]
    assert (decided["rule"], decided["path"], decided["incoming"], decided["local"]) == (
        "capability",
        "cap-vsx",
        1,
        0,
    )


def test_a_batch_answers_in_order_and_continues_after_a_bad_line(capsys, tmp_path):
    rows = [
        {"source": PLAIN, "destination": PLAIN},
        {"source": PLAIN, "destination": "qemu-7.2 -loadvm x"},
        "this is no JSON\n",
        {"source": PLAIN},
        [1, 2],
        {"source": PLAIN, "destination": 7},
        {"source": "qemu-1.0 -m 256", "destination": PLAIN},
        "\n",
        {"source": "qemu-7.2 -machine nonsense", "destination": PLAIN},
        {"source": PLAIN, "destination": "qemu-7.2 -machine nonsense"},
        {"source": PLAIN, "destination": NO_VSX},
    ]
    answers = batch(capsys, tmp_path, "migrate", rows, status=2)
    outcomes = [
        "accept",
        "not modelled",
        *[None] * 4,
        "not modelled",
        "source-refused",
        "destination-refused",
        "reject",
    ]
    assert [answer.get("outcome") for answer in answers] == outcomes
    assert all(answer.keys() == KEYS for answer in answers if "error" not in answer)
    assert answers[1].keys() == answers[6].keys() == {*KEYS, "error", "line"}
    assert "option -loadvm is not modelled" in answers[1]["error"]
    assert [answer["line"] for answer in answers if "error" in answer] == [2, 3, 4, 5, 6, 7]
    assert answers[7]["source_messages"][0].startswith("unsupported machine type")


def test_a_batch_of_streams(capsys, tmp_path):
    good, broken = tmp_path / "good", tmp_path / "broken"
    good.write_bytes(stream_of(PLAIN))
    broken.write_bytes(stream_of(PLAIN)[:-20_000])
    rows = [
        {"stream": str(good), "destination": PLAIN},
        {"stream": str(broken), "destination": PLAIN},
        {"stream": str(tmp_path / "none"), "destination": PLAIN},
        {"stream": str(good), "destination": NO_VSX},
        {"stream": 0, "destination": PLAIN},
    ]
    answers = batch(capsys, tmp_path, "load", rows, status=2)
    assert [answer.get("outcome") for answer in answers] == ["accept", "reject", None, "reject", None]
    assert "No such file" in answers[2]["error"]


def test_a_line_that_is_not_utf_8_is_answered_by_an_error(capsys, tmp_path):
    file = tmp_path / "rows"
    file.write_bytes(b'{"source": "\xff", "destination": ""}\n[]\n')
    assert main(["migrate", "--batch", str(file)]) == 2
    answers = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert [(answer["line"], "cannot be judged" in answer["error"]) for answer in answers] == [
        (1, True),
        (2, True),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"source": {"machine": "pseries"}, "destination": PLAIN}, "'source' must be text, found an object"),
        ({"source": PLAIN, "destination": ["qemu-7.2"]}, "'destination' must be text, found a list"),
        ({"source": PLAIN, "destinaton": PLAIN}, "the row has no 'destination'; did you mean destinaton?"),
        ({"source": PLAIN, "destination": PLAIN, "events": "stop"}, "'events' must be a list of texts"),
        ({"source": PLAIN, "destination": PLAIN, "guest": {}}, "'guest' must be text, found an object"),
        ([], "a row is an object, found a list"),
        ("{\n", "no line of JSON"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(capsys, tmp_path, row, said):
    (answer,) = batch(capsys, tmp_path, "migrate", [row], status=2)
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("sides", "status"), [([PLAIN], 0), ([PLAIN, NO_VSX], 1), ([NO_VSX, "qemu-7.2 -loadvm x"], 2)]
)
def test_the_worst_row_decides_the_status(capsys, tmp_path, sides, status):
    batch(capsys, tmp_path, "migrate", [{"source": PLAIN, "destination": to} for to in sides], status)


def test_both_ways_are_two_verdicts(capsys):
    status, verdicts = result(capsys, "migrate", PLAIN, NO_VSX, "--both-ways")
    assert status == 1
    assert [verdict["outcome"] for verdict in verdicts] == ["reject", "accept"]
    assert verdicts[1]["messages"] == [
        "warning: cap-vsx lower level (0) in incoming stream than on destination (1)"
    ]


def test_a_trace_has_every_check_and_ends_with_the_one_that_decided(capsys):
    _, verdict = result(capsys, "migrate", PLAIN, NO_VSX, "--trace")
    trace = verdict["trace"]
    assert [check["section"] for check in trace if check["rule"] == "section"][:3] == [
        "ram",
        "spapr/htab",
        "timer",
    ]
    failed = [check for check in trace if not check["passed"]]
    assert failed[0]["path"] == "cap-vsx"
    assert all(check["passed"] for check in trace[: trace.index(failed[0])])
    _, accepted = result(capsys, "migrate", PLAIN, PLAIN, "--trace")
    assert all(check["passed"] for check in accepted["trace"])


REJECTED = [
    (PLAIN, NO_VSX),
    (PLAIN, command("pseries-7.2", rest="-m 512")),
    (PLAIN, command("pseries-7.2", rest="-m 256 -smp 2")),
    (PLAIN, command("pseries-7.1")),
    (PLAIN, command("pseries-7.2,ic-mode=xics")),
    (PLAIN, command("pseries-7.2", rest="-m 256 -cpu power8")),
    (command("pseries-7.2", rest="-m 256 -device spapr-vscsi"), PLAIN),
    (command("pseries-7.2", "10.0.13"), PLAIN),
]


@pytest.mark.parametrize(("source", "destination"), REJECTED)
def test_every_remedy_is_one_change_that_a_migration_proves(source, destination):
    assert migrate(source, destination).outcome != "accept"
    found = remedies(source, destination)
    assert found
    for remedy in found:
        pair = (
            (remedy.command_line, destination) if remedy.side == "source" else (source, remedy.command_line)
        )
        assert migrate(*pair).outcome == "accept", remedy
        changed = source if remedy.side == "source" else destination
        assert parse(remedy.command_line).text != parse(changed).text


def test_an_accepted_migration_is_explained_without_remedies(capsys):
    assert main(["explain", PLAIN, PLAIN]) == 0
    assert "would make it work" not in capsys.readouterr().out


def test_a_rejected_one_is_explained_with_its_lines_and_remedies(capsys):
    status, answer = result(capsys, "explain", PLAIN, NO_VSX)
    assert status == 1
    assert answer["decided_by"]["path"] == "cap-vsx"
    assert answer["remedies"][0]["change"] == "-machine cap-vsx=on"
    assert main(["explain", PLAIN, NO_VSX]) == 1
    assert "The guest may rely on a capability" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("qemu-system-ppc64: Missing section footer for ram", "footer-missing"),
        ("cap-htm higher level (1) in incoming stream than on destination (0)", "capability-higher"),
        ("qemu: cpu/slb: incoming version_id 2 is too new for local version_id 1", "too-new"),
        ("Compatibility PVR 0x0f000005 not valid for CPU", "compat-not-valid"),
        ("../../hw/ppc/spapr.c:2363: htab_load: Assertion `kvm_enabled()' failed.", "assertion"),
        ("GLib: ../../../glib/gmem.c:136: failed to allocate 18446744047939747840 bytes", "allocation"),
    ],
)
def test_a_line_that_qemu_printed_is_explained(capsys, line, rule):
    status, answer = result(capsys, "explain", line)
    assert status == 0
    assert answer["explanations"][0]["rule"] == rule
    assert answer["explanations"][0]["advice"]


def test_a_line_that_no_qemu_prints_is_reported_as_unknown(capsys):
    assert main(["explain", "this line is of another program"]) == 1
    assert "no known release" in capsys.readouterr().out
