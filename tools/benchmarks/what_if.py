"""``vmstate whatif`` over its whole default set, for proposals of early and late releases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from measure import Row

TITLE = "What-if: every pair of the default set, without and with a proposal"

PROPOSALS = ("compat-as-posted", "htm-hack-in-defaults", "cap-xics-xive", "gtse-as-posted")
SMALL = ("--releases", "2.9,2.12", "--types", "pseries-2.9", "--hosts", "tcg")
BUDGET_S = 120.0


def rows(*, smoke: bool) -> Iterator[Row]:
    for name in PROPOSALS[:1] if smoke else PROPOSALS:
        command = [sys.executable, "-m", "vmstate", "whatif", name, "--json", *(SMALL if smoke else ())]
        before = os.times()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        after = os.times()
        result = json.loads(done.stdout)["result"]
        said = f"{name}: {result['pairs']:,} pairs of {result['tried']:,} tried"
        yield Row(said, after.elapsed - before.elapsed, BUDGET_S)
        yield Row("… processor time", after.children_user - before.children_user)
