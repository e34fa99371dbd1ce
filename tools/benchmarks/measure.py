"""Tools for benchmarks: rows to report, clocks, child processes with their peak memory.

A benchmark is a module next to this one with ``TITLE`` (a sentence) and ``rows(smoke)``, which yields
:class:`Row`.  With ``smoke`` it uses the smallest input that still runs all its code.  Both sides of a
comparison are measured in the same run, on the same machine.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured figure; seconds unless ``unit`` says otherwise ("MB").

    ``budget`` is the limit; ``baseline`` is the figure of the program named by ``against``.
    """

    what: str
    value: float
    budget: float | None = None
    baseline: float | None = None
    against: str = ""
    unit: str = "s"

    @property
    def kept(self) -> bool:
        """True if the budget is kept, or if there is none."""
        return self.budget is None or self.value <= self.budget


@dataclass(frozen=True)
class Run:
    """One run of another program: wall-clock and processor seconds, and peak resident memory in MB."""

    seconds: float
    peak_mb: float
    status: int
    cpu: float = 0.0


def best_of(work: Callable[[], Any], repeat: int = 5, budget_s: float = 10.0) -> float:
    """Return the shortest of some runs, in seconds; stop early once ``budget_s`` is used up."""
    best = float("inf")
    start = time.perf_counter()
    for _ in range(max(1, repeat)):
        before = time.perf_counter()
        work()
        after = time.perf_counter()
        best = min(best, after - before)
        if after - start > budget_s:
            break
    return best


def child(argv: Sequence[str | os.PathLike[str]], **options: Any) -> Run:
    """Run a program to its end and discard its output."""
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    start = time.perf_counter()
    process = subprocess.Popen(list(argv), **(quiet | options))
    _, status, usage = os.wait4(process.pid, 0)
    cpu = usage.ru_utime + usage.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.perf_counter() - start, usage.ru_maxrss / 1024, process.returncode, cpu)


def best_child(argv: Sequence[str | os.PathLike[str]], repeat: int = 5, **options: Any) -> Run:
    """Return the fastest of some runs of a program."""
    return min((child(argv, **options) for _ in range(max(1, repeat))), key=lambda run: run.seconds)


def in_turn(commands: Mapping[str, Sequence[str]], repeat: int, through: str | None = None) -> dict[str, Run]:
    """Run programs in turn, and return for each the least of its times and the most of its memory.

    ``through``: a file that they get through a pipe.
    """
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(max(1, repeat)):
        for name, argv in commands.items():
            if through is None:
                runs[name].append(child(argv))
                continue
            with subprocess.Popen(["cat", through], stdout=subprocess.PIPE) as cat:
                runs[name].append(child(argv, stdin=cat.stdout))
    return {
        name: Run(
            min(run.seconds for run in done),
            max(run.peak_mb for run in done),
            max(run.status for run in done),
            min(run.cpu for run in done),
        )
        for name, done in runs.items()
    }


def amount(value: float | None, unit: str = "s") -> str:
    """Format a figure for people: seconds as s, ms or µs; anything else with its unit."""
    if value is None:
        return ""
    if unit != "s":
        return f"{value:,.1f} {unit}"
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def markdown(title: str, rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table under a heading."""
    head = "| what | measured | budget | compared with | ratio |\n|---|---|---|---|---|"
    lines = [f"### {title}", "", head]
    for row in rows:
        kept = "kept" if row.kept else "**missed**"
        verdict = "" if row.budget is None else f"{amount(row.budget, row.unit)} {kept}"
        baseline = f"{row.against} {amount(row.baseline, row.unit)}" if row.baseline is not None else ""
        cells = (row.what, amount(row.value, row.unit), verdict, baseline, ratio(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(row: Row) -> str:
    """Return how many times faster (or slower) than its baseline a row is."""
    if not row.baseline or not row.value:
        return ""
    better, worse = ("faster", "slower") if row.unit == "s" else ("less", "more")
    if row.baseline >= row.value:
        return f"{row.baseline / row.value:.3g} × {better}"
    return f"{row.value / row.baseline:.3g} × {worse}"
