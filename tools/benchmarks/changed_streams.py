"""A campaign's changed streams in the simulated destination, compared with a real QEMU if installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from measure import Row

from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.worker import Batch, run_batch

TITLE = "A campaign: a changed stream drawn, made, loaded, judged"

STREAMS = Path(__file__).resolve().parent.parent.parent / "streams"
NAMES = ("7.2-pseries-7.2", "10.0-pseries-10.0", "11.1-pseries-11.1")
BUDGET_S = 1 / 1500


def rows(*, smoke: bool) -> Iterator[Row]:
    """Measure processor time, as a campaign on one core does nothing else."""
    many = 200 if smoke else 20_000
    for name in NAMES[:1] if smoke else NAMES:
        release, _, machine = name.partition("-")
        on = f"qemu-{release} -nodefaults -machine {machine} -m 256"
        plan = Plan((Base.read(str(STREAMS / f"{name}.mig.zst")),), on=on)
        run_batch(plan, (), Batch(0, 200))
        start = time.process_time()
        run_batch(plan, (), Batch(200, many))
        seconds = (time.process_time() - start) / many
        real = None if smoke else _real(plan)
        yield Row(f"{name}, 256 MiB", seconds, BUDGET_S, real, "real QEMU, loading," if real else "")


def _real(plan: Plan) -> float | None:
    """Return the seconds per stream of a real QEMU for the same streams; None without that release."""
    from vmstate.fuzz.anatomy import Anatomy
    from vmstate.fuzz.recipe import drawn
    from vmstate.fuzz.splices import applied
    from vmstate.fuzz.targets import Real
    from vmstate.qemu.binary import find

    assert plan.on is not None
    program, *words = plan.on.split()
    try:
        real = Real([str(find(program.removeprefix("qemu-")).path), *words])
    except Exception:  # noqa: BLE001 - without a real QEMU there is nothing to compare with
        return None
    base = Anatomy(plan.bases[0].data(), plan.bases[0].name)
    streams = [applied(base.data, drawn(base, seed).splices(base)) for seed in range(50)]
    start = time.perf_counter()
    for stream in streams:
        real.run(memoryview(stream))
    return (time.perf_counter() - start) / len(streams)
