"""Work that is done many times in a process: a pair, a changed stream, a section, beside an earlier revision.

``tools/bench --before REV in_one_process``: each figure is the least processor time of its runs, in processes
of both revisions in turn.  No file is read and nothing is started while the clock runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _earlier import ROOT, trees
from measure import Row

TITLE = "In one process: processor time of a unit of work"

START = """
import sys, time
sys.path.insert(0, sys.argv[1])
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.migration import load, migrate, save
def least(work, times, many=1, units=1):
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        for _ in range(many):
            work()
        best = min(best, (time.process_time() - start) / many)
    print(best / units)
"""
PAIR = """
one, other = parse({0!r}), parse({1!r})
migrate(one, other)
least(lambda: migrate(one, other), {2}, 5)
"""
LOAD = """
one = parse('qemu-7.2 -nodefaults -m 1024 -smp {0}')
stream = save(one)
least(lambda: load(stream, one), {1})
"""
FUZZ = """
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.worker import Batch, run_batch
name = "{0}"
release, _, machine = name.partition("-")
base = Base.read("{1}/streams/" + name + ".mig.zst")
plan = Plan((base,), on="qemu-" + release + " -nodefaults -machine " + machine + " -m 256")
run_batch(plan, (), Batch(0, {2}))
least(lambda: run_batch(plan, (), Batch({2}, {2})), 3, units={2})
"""
SECTION = """
from vmstate.describe import Cursor, Record, plan_of
from vmstate.describe.arrays import WireArray
from vmstate.describe.from_vmdesc import from_vmdesc, member, parse_json
from vmstate.stream import open_stream
stream = open_stream(save("qemu-7.2 -nodefaults -m 256"))
text = stream.data[stream.description.text_start : stream.description.end]
entry = next(one for one in member(parse_json(text), "devices", list) if member(one, "name", str) == "cpu")
section = next(one for one in stream.sections if one.idstr == "cpu")
plan = plan_of(from_vmdesc(entry))
def lazily():
    state = Record()
    plan.load(Cursor(stream.data, section.payload_start, section.payload_end), state, section.version_id)
    return state
def whole():
    for value in vars(lazily()).values():
        if isinstance(value, WireArray):
            list(value)
least({0}, {1}, 20)
"""
ALONE = "-nodefaults -machine pseries-7.2 -m 256"


@dataclass(frozen=True)
class Work:
    """A script that prints the time of a unit; the limit in seconds, or as a part of what it was."""

    what: str
    script: str
    budget: float | None = None
    part: float | None = None


def rows(*, smoke: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        known = trees(Path(name))
        for work in _works(smoke=smoke):
            best = dict.fromkeys(known, float("inf"))
            for _ in range(1 if smoke else 4):
                for name, tree in known.items():
                    best[name] = min(best[name], _measured(work.script, tree))
            for name in list(known)[1:] or [""]:
                before = best[name] if name else None
                limit = work.part * before if work.part and before else work.budget
                yield Row(work.what, best[""], limit, before, f"at {name}" if name else "")


def _measured(script: str, tree: Path) -> float:
    run = [sys.executable, "-c", START + script, str(tree)]
    return float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


def _works(*, smoke: bool) -> Iterator[Work]:
    few, many = (1, 1) if smoke else (5, 60)
    accepted = f"qemu-7.2 {ALONE}"
    for what, source, destination in (
        ("a predicted pair: accepted", accepted, accepted),
        ("… rejected by a capability", accepted, accepted.replace("7.2 -m", "7.2,cap-vsx=off -m")),
        ("… 7.2 to 10.0", accepted, f"qemu-10.0 {ALONE}"),
        ("… 4 processors", f"{accepted} -smp 4", f"{accepted} -smp 4"),
        ("… with the default devices", "qemu-7.2 -m 256", "qemu-7.2 -m 256"),
    ):
        yield Work(what, PAIR.format(source, destination, many), part=0.5)
    for name in ("7.2-pseries-7.2", "10.0-pseries-10.0", "11.1-pseries-11.1")[: 1 if smoke else None]:
        yield Work(f"a fuzz run: {name}", FUZZ.format(name, ROOT, 50 if smoke else 2000), part=0.6)
    for cpus in (2, 4) if smoke else (128, 512):
        yield Work(f"`load` of {cpus} processors", LOAD.format(cpus, few))
    yield Work("a `cpu` section, lazily", SECTION.format("lazily", many, few), 30e-6)
    yield Work("a `cpu` section, every value", SECTION.format("whole", many, few), 60e-6)
