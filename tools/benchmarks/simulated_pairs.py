"""Time of a predicted migration, compared with the same migration of a real QEMU if installed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Row, best_of

from vmstate.simulate.migration import migrate

TITLE = "One predicted migration: build, save, build, load, verdict"

NEW = "-nodefaults -machine pseries-7.2,cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken -m 256"
OLD = "-nodefaults -machine pseries-2.12 -cpu power8 -m 256"
PAIRS = (
    ("accepted, 7.2 to itself", f"qemu-7.2 {NEW}", f"qemu-7.2 {NEW}"),
    ("rejected by a capability", f"qemu-7.2 {NEW}", f"qemu-7.2 {NEW.replace('ibs=broken', 'ibs=fixed-ibs')}"),
    ("rejected by the processor", f"qemu-7.2 {NEW} -cpu power9", f"qemu-7.2 {NEW} -cpu power8"),
    ("accepted, 2.12 to 7.2", f"qemu-2.12 {OLD}", f"qemu-7.2 {OLD}"),
    ("accepted, 4 processors", f"qemu-7.2 {NEW} -smp 4", f"qemu-7.2 {NEW} -smp 4"),
)


def rows(*, smoke: bool) -> Iterator[Row]:
    many = 3 if smoke else 20
    for what, source, destination in PAIRS:

        def one(source: str = source, destination: str = destination) -> None:
            for _ in range(many):
                migrate(source, destination)

        migrate(source, destination)
        seconds = best_of(one, 1 if smoke else 25) / many
        real = None if smoke else _real(source, destination)
        yield Row(what, seconds, 0.002, real, "real QEMU, saving and loading," if real else "")


def _real(source: str, destination: str) -> float | None:
    """Return the seconds of the same migration in real QEMUs, the better of two; None without QEMU."""
    try:
        from vmstate.qemu.binary import find
        from vmstate.qemu.capture import capture
        from vmstate.qemu.replay import replay

        sides = [
            (find(side.split()[0].removeprefix("qemu-")).path, side.split()[1:])
            for side in (source, destination)
        ]
    except Exception:  # noqa: BLE001 - without a real QEMU there is nothing to compare with
        return None
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            start = time.perf_counter()
            path = Path(folder) / "stream"
            capture([sides[0][0], *sides[0][1]], path)
            replay(path, [sides[1][0], *sides[1][1]])
            times.append(time.perf_counter() - start)
    return min(times)
