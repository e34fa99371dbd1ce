"""``vmstate explain`` as a command: arguments, standard input, known bugs, remedies of a running guest."""

from __future__ import annotations

import io
import json
import sys

import pytest

from vmstate.cli import main
from vmstate.simulate.remedies import remedies

FOOTER = "qemu-kvm: Missing section footer for cpu"
LAST = "qemu-kvm: load of migration failed: Invalid argument"
PLAIN = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
SMALL = f"{PLAIN} -smp 4,maxcpus=16"
DISK = f"{PLAIN} -blockdev null-co,node-name=d -device virtio-blk-pci,drive=d"


def told(capsys, *words):
    status = main(["explain", *words])
    return status, capsys.readouterr().out


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_one_line(capsys):
    status, out = told(capsys, FOOTER)
    assert status == 0
    assert out.startswith("footer-missing: ")
    assert "ppc-cpu-tlb" in out


def test_several_lines_are_a_log(capsys):
    status, out = told(capsys, FOOTER, LAST, "noise")
    assert status == 0
    assert (
        out.index("footer-missing")
        < out.index("what followed from it")
        < out.index("load of migration failed")
    )
    assert "1 line is not of a known release" in out


@pytest.mark.parametrize("words", [[], ["-"]])
def test_a_log_on_the_standard_input(capsys, monkeypatch, words):
    stdin(monkeypatch, f"{FOOTER}\n{LAST}\n".encode())
    status, out = told(capsys, *words)
    assert status == 0
    assert "footer-missing" in out


def test_bytes_that_are_no_text_neither_crash_nor_reach_the_terminal(capsys, monkeypatch):
    stdin(monkeypatch, bytes(range(256)) * 50 + b"\n\x1b]0;title\x07\x1b[2J" + FOOTER.encode() + b"\x1b[0m\n")
    status, out = told(capsys)
    assert status == 0
    assert "\x1b" not in out
    assert "\x07" not in out


def test_a_log_of_unknown_lines_is_a_finding(capsys):
    status, out = told(capsys, "a", "b")
    assert status == 1
    assert "no line is of a known release" in out


def test_the_json_has_the_explanations_of_the_line_that_leads(capsys):
    assert main(["explain", FOOTER, LAST, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert [one["rule"] for one in result["explanations"]] == ["footer-missing"]
    assert {"rule", "place", "meaning", "advice", "releases"} <= result["explanations"][0].keys()
    assert [line["role"] for line in result["lines"]] == ["cause", "consequence"]
    assert "ppc-cpu-tlb" in [bug["id"] for bug in result["known_bugs"]]


def test_known_bugs_are_listed_by_their_words(capsys):
    status, out = told(capsys, "--bugs", "presenters", "vsmt")
    assert status == 0
    assert "icp-dummies-vsmt" in out
    assert "virtio-rng" not in out


def test_the_destination_s_remedy_comes_first_and_a_restart_is_said(capsys):
    _, out = told(capsys, SMALL, SMALL.replace("16", "32"))
    first, *others = [line.strip() for line in out[out.index("changes that") :].splitlines()[1:]]
    assert first.startswith("on the destination: -smp 4,maxcpus=16")
    assert all(line.startswith("after a restart of the guest, on the source: ") for line in others)
    assert "max-cpu-compat" not in out


def test_a_remedy_is_the_one_property_of_the_device_that_differs():
    found = remedies(f"{DISK},num-queues=4", DISK)
    assert found[0].side == "destination"
    assert found[0].change == "-device virtio-blk-pci,drive=d,num-queues=4"


def test_the_local_value_is_told_where_it_exists(capsys):
    _, out = told(capsys, f"{DISK},num-queues=4", DISK)
    assert "incoming 4, here 1" in out
    _, out = told(capsys, SMALL, SMALL.replace("256", "512"))
    assert "incoming 268435456, here 536870912" in out
