"""The time of ``import vmstate`` and ``vmstate --help``, each in a fresh interpreter."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from measure import Row, best_child

TITLE = "Starting up"
COST = 0.005  # seconds that importing the package may add to the bare interpreter's


def rows(*, smoke: bool) -> Iterator[Row]:
    repeat = 1 if smoke else 15
    bare = best_child([sys.executable, "-c", "pass"], repeat).seconds
    cases = (
        ("`import vmstate`", [sys.executable, "-c", "import vmstate"], bare + COST),
        ("`vmstate --help`", [sys.executable, "-m", "vmstate", "--help"], 0.25),
    )
    for what, argv, budget in cases:
        run = best_child(argv, repeat)
        if run.status != 0:
            raise SystemExit(f"{what} failed with status {run.status}")
        yield Row(what, run.seconds, budget, bare, "the bare interpreter")
