"""A campaign does the same on any executor, stops on request, keeps everything, and continues."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import pytest

from vmstate.errors import ConfigurationError
from vmstate.fuzz.campaign import Campaign, Limits
from vmstate.fuzz.device import opened_device
from vmstate.fuzz.folder import Progress, read_findings
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.summary import agreement_lines, agreements, checks, coverage, finding_lines
from vmstate.fuzz.tally import Tally
from vmstate.fuzz.worker import Batch, Worker, run_batch
from vmstate.simulate.migration import save
from vmstate.workers import WorkerLost, local, scheduled

COMMAND = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"

# A device that does not check its count.
DEVICE = """
from types import SimpleNamespace
from vmstate.describe import UInt8, UInt32, VMStateDescription

DESCRIPTION = VMStateDescription(
    "ring", version_id=1, minimum_version_id=1, fields=[UInt32("used"), UInt8("data")["used"]]
)

def device():
    return SimpleNamespace(used=2, data=[0] * 8)
"""


class Here(Executor):
    """Runs at once, in this process; raises KeyboardInterrupt after ``stop`` batches."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop
        self.done = 0

    def submit(self, function, /, *arguments, **named):
        if self.stop is not None and self.done >= self.stop:
            raise KeyboardInterrupt
        self.done += 1
        future: Future = Future()
        future.set_result(function(*arguments, **named))
        return future


@pytest.fixture(scope="module")
def device() -> Plan:
    base = Base.of("ring", opened_device("ring.py", DEVICE).stream())
    return Plan((base,), device=("ring.py", DEVICE), seed=5)


@pytest.fixture(scope="module")
def machine() -> Plan:
    from vmstate.fuzz.compact import compact

    return Plan((Base.of("7.2", compact(save(COMMAND))),), on=COMMAND, sample=50)


def counted(tally: Tally) -> dict:
    result = tally.as_json()
    return {name: value for name, value in result.items() if name not in {"seconds", "peak_bytes"}}


def test_the_simulator_is_robust_against_a_few_hundred_streams(machine):
    tally = Campaign(machine, Limits(runs=400)).run(Here())
    assert tally.found == {}
    assert tally.runs == 400
    assert sum(tally.outcomes.values()) == 400
    assert {"simulated 7.2.22: accept", "simulated 7.2.22: reject"} <= set(tally.outcomes)
    assert tally.traced["section"] > 0, "sampled runs are traced"


def test_the_same_seeds_give_the_same_counts_in_batches_of_any_size(device):
    whole = Campaign(device, Limits(runs=1500)).run(Here())
    parts = Tally()
    for first in range(0, 1500, 500):
        parts.add(run_batch(device, (), Batch(first, 500)))
    assert counted(whole) == counted(parts)
    assert set(whole.found) == set(parts.found)


def test_processes_of_an_executor_do_what_one_does(device):
    alone = Campaign(device, Limits(runs=2000)).run(Here())
    with local(2) as pool:
        many = Campaign(device, Limits(runs=2000)).run(pool.executor, 2)
    assert counted(many) == counted(alone)


def test_an_interrupt_keeps_finished_runs_and_the_folder_continues(device, tmp_path):
    stopped = Campaign(device, Limits(runs=4000), tmp_path)
    first = stopped.run(Here(stop=2))
    assert stopped.interrupted
    assert 0 < first.runs < 4000
    again = Campaign(device, Limits(runs=4000), tmp_path)
    second = again.run(Here())
    assert not again.interrupted
    assert second.runs == 4000
    assert counted(second) == counted(Campaign(device, Limits(runs=4000)).run(Here()))


def test_a_folder_has_streams_state_and_findings(device, tmp_path):
    tally = Campaign(device, Limits(runs=1000), tmp_path).run(Here())
    assert (tmp_path / "streams" / "ring.mig.zst").read_bytes() == device.bases[0].packed
    assert json.loads((tmp_path / "state.json").read_text())["tally"]["runs"] == 1000
    lines = (tmp_path / "findings.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["count"] for line in lines) == sum(tally.signatures.values())
    assert {found.key for found in read_findings(tmp_path / "findings.jsonl")} == set(tally.found)
    worker = Worker(device)
    for found in tally.found.values():
        assert found.key in {again.key for again in worker.findings(found.recipe)}, (
            "a finding can be seen again"
        )


def test_a_folder_of_another_campaign_is_refused(device, tmp_path):
    Campaign(device, Limits(runs=10), tmp_path).run(Here())
    with pytest.raises(ConfigurationError, match="another campaign"):
        Campaign(replace(device, seed=6), Limits(runs=10), tmp_path).run(Here())


def test_a_campaign_ends_after_its_seconds(device):
    tally = Campaign(device, Limits(seconds=0.5)).run(Here())
    assert tally.runs > 0


def test_a_worker_that_dies_is_reported_and_nothing_is_lost(device, tmp_path):
    campaign = Campaign(device, Limits(runs=5000), tmp_path)
    with local(1) as pool:
        pool.executor.submit(os._exit, 1)
        with pytest.raises(WorkerLost):
            campaign.run(pool.executor)
    assert (tmp_path / "state.json").exists()


def test_finished_runs_are_not_repeated():
    progress = Progress()
    for first, count in ((0, 10), (30, 10), (10, 5)):
        progress.made(first, count)
    assert progress.done == [[0, 15], [30, 40]]
    assert list(progress.todo(10, 50)) == [(15, 10), (25, 5), (40, 10)]
    endless: Iterator[tuple[int, int]] = iter(progress.todo(10, None))
    assert [next(endless) for _ in range(4)] == [(15, 10), (25, 5), (40, 10), (50, 10)]


def test_a_dask_cluster_does_what_one_process_does(device, dask_cluster):
    with scheduled(dask_cluster.scheduler_address) as pool:
        assert pool.workers == 2
        spread = Campaign(device, Limits(runs=3000)).run(pool.executor, pool.workers)
    assert counted(spread) == counted(Campaign(device, Limits(runs=3000)).run(Here()))


def test_coverage_has_places_checks_and_mutations(device):
    tally = Campaign(device, Limits(runs=2000)).run(Here())
    result = coverage(tally, {"ring.used", "ring.data", "nowhere"})
    assert result["places"]["changed"] == 2
    assert result["places"]["unchanged"] == ["nowhere"]
    assert "section-too-new" in result["rules"]
    assert set(result["rules"]).isdisjoint(result["rules_not_reached"])
    assert set(result["rules_not_reached"]) <= set(checks())
    assert any("overflow of data in ring" in line for line in finding_lines(tally))


def test_agreement_is_counted_by_kind_of_mutation():
    tally = Tally()
    tally.compared({"values", "ram"}, {"field-edge", "page-fill"}, outcome=True, lines=True, known=False)
    tally.compared({"values"}, {"field-edge"}, outcome=True, lines=False, known=True)
    tally.compared({"values"}, {"field-edge"}, outcome=False, lines=False, known=False)
    rows = {row.what: row for row in agreements(tally)}
    assert (rows["values"].runs, rows["values"].outcome, rows["values"].lines) == (3, 2, 1)
    assert rows["values"].explained == 1
    assert (rows["ram"].runs, rows["ram"].outcome, rows["all"].runs) == (1, 1, 3)
    assert {row.what for row in agreements(tally, "name")} == {"field-edge", "page-fill"}
    assert list(agreement_lines(tally))[-1].startswith("all")
    again = Tally.from_json(json.loads(json.dumps(tally.as_json())))
    assert again.agreement == tally.agreement


def test_unknown_mutations_are_an_error(device):
    with pytest.raises(ConfigurationError, match="no mutation or kind of mutation"):
        replace(device, only=("section-swapped",)).mutations()
    assert {m.kind for m in replace(device, only=("counts", "section-missing")).mutations()} == {
        "counts",
        "sections",
    }


def test_thousands_of_streams_leak_no_memory():
    """The short form of ``tools/campaign 1000000``."""
    campaign = Path(__file__).parents[2] / "tools" / "campaign"
    command = [sys.executable, campaign, "6000", "--batch", "2000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    now = [int(text.replace(",", "")) for text in re.findall(r"now ([0-9,]+) KiB", done.stdout)]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6,000 streams" in done.stdout
    assert len(now) == 3
    assert now[2] - now[1] < 4 << 10


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-ppc64") is None, reason="qemu-system-ppc64 is not installed")
def test_a_qemu_that_is_not_simulated_can_be_tested_alone(machine):
    real = ("qemu-system-ppc64", *COMMAND.split()[1:])
    plan = replace(machine, on=None, real=real, only=("footers",))
    tally = Worker(plan).batch(Batch(0, 10))
    assert sum(count for key, count in tally.outcomes.items() if key.startswith("QEMU ")) == 10
    assert tally.agreement == {}, "nothing is compared"
