"""``vmstate capture`` and ``vmstate replay``."""

from __future__ import annotations

import json
import shutil

import pytest

from vmstate.cli import main
from vmstate.cli.replay import differences
from vmstate.errors import ConfigurationError
from vmstate.qemu import RealOutcome, RealVerdict
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.stream import open_stream

QEMU = "qemu-system-ppc64"
TCG = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
MACHINE = [QEMU, "-nodefaults", "-machine", f"pseries-5.2,{TCG}", "-m", "256"]

real_qemu = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"there is no {QEMU} in PATH"),
]


def test_equal_verdicts_are_not_a_finding():
    real = RealVerdict(RealOutcome.REJECT, ("one", "two"), 1)
    assert not differences(real, Verdict(Outcome.REJECT, ["one", "two"]))


def test_another_outcome_is_an_error_and_another_line_a_warning():
    real = RealVerdict(RealOutcome.REJECT, ("one", "two"), 1)
    (finding,) = differences(real, Verdict(Outcome.ACCEPT))
    assert (finding.rule, finding.severity) == ("replay.outcome", "error")
    (finding,) = differences(real, Verdict(Outcome.REJECT, ["one"]))
    assert (finding.rule, finding.severity) == ("replay.messages", "warning")
    assert "line 2: real QEMU prints 'two', the simulated one nothing more" in finding.message


def test_a_missing_comparison_is_reported():
    real = RealVerdict(RealOutcome.ACCEPT, ())
    (finding,) = differences(real, ConfigurationError("no -device foo"))
    assert (finding.rule, finding.severity) == ("replay.not-compared", "info")
    assert "no -device foo" in finding.message


def test_a_missing_program_is_unusable_input(tmp_path, capsys):
    assert main(["capture", "-o", str(tmp_path / "s"), "--", str(tmp_path / "no-qemu")]) == 2
    assert "no-qemu" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    path = tmp_path_factory.mktemp("captured") / "guest.mig"
    assert main(["capture", "-o", str(path), "--strip", "--", *MACHINE, "-S"]) == 0
    return path


class TestWithQemu:
    pytestmark = real_qemu

    def test_a_stripped_stream_has_no_page_of_memory(self, captured):
        pages = [handler for _, handler in open_stream(captured).handlers if hasattr(handler, "runs")]
        assert pages
        assert captured.stat().st_size < 4 << 20

    def test_replay_agrees_with_the_simulator(self, captured, capsys):
        assert main(["replay", "--json", str(captured), "--", *MACHINE]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["findings"] == []
        assert printed["result"]["outcome"] == printed["result"]["simulated"]["outcome"] == "accept"

    def test_a_reject_exits_1_and_both_print_the_same_lines(self, captured, capsys):
        assert main(["replay", "--json", str(captured), "--", *MACHINE, "-cpu", "power8"]) == 1
        printed = json.loads(capsys.readouterr().out)
        assert printed["findings"] == []
        assert printed["result"]["outcome"] == "reject"
        assert printed["result"]["messages"] == printed["result"]["simulated"]["messages"]

    def test_a_stream_may_be_compressed(self, captured, tmp_path):
        wrapped = tmp_path / "guest.zst"
        assert main(["wrap", "--as", "zstd", "-o", str(wrapped), str(captured)]) == 0
        assert main(["replay", str(wrapped), "--", *MACHINE]) == 0
