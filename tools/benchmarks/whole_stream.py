"""Reading of a whole stream, compared with `cat` and analyze-migration.py.

The streams are made by a real QEMU 7.2 if installed (a 256 MiB guest, and one of 2 GiB with 900 MB of
incompressible memory), otherwise by the simulator, with random pages inserted.  ``ANALYZE_MIGRATION`` is the
path of analyze-migration.py from QEMU's source package, if available.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Row, best_child, best_of

TITLE = "A whole stream: indexed, device state decoded"

MIB = 1 << 20
PAGE = 4096
MACHINE = "-machine pseries-7.2,cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
HERE = Path(__file__).resolve().parent
WORK = f"import sys; sys.path.insert(0, {str(HERE)!r}); import whole_stream; whole_stream._read(sys.argv[1])"


def rows(*, smoke: bool) -> Iterator[Row]:
    sizes = ((256, 0),) if smoke else ((256, 0), (2048, 900))
    for memory, random_mb in sizes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            path = Path(folder) / "stream.mig"
            made_by = made(path, memory, random_mb, Path(folder))
            what = f"{memory} MiB guest, {path.stat().st_size / MIB:,.0f} MiB stream of {made_by}"
            yield from _compared(path, what, repeat=1 if smoke else 5)


def _read(path: Path) -> None:
    from vmstate.containers import open_input
    from vmstate.stream import open_stream
    from vmstate.tree import Contents

    with open_input(path) as opened:
        stream = open_stream(opened.data)
        contents = Contents(stream)
        for section in stream.devices:
            contents.decoded(section)


def _compared(path: Path, what: str, repeat: int) -> Iterator[Row]:
    cat = best_child(["cat", path], repeat)
    ours = best_child([sys.executable, "-c", WORK, path], repeat)
    if ours.status:
        raise SystemExit(f"{what}: could not be read")
    beyond = best_of(
        lambda: _read(path), repeat
    )  # without starting Python and importing, which is a row below
    large = path.stat().st_size > 256 * MIB
    yield Row(f"{what}: reading", beyond, 2 * cat.seconds if large else None, cat.seconds, "cat")
    yield Row("as a process", ours.seconds)
    yield Row("its peak memory, pages of the map counted", ours.peak_mb, 150, unit="MB")
    script = os.environ.get("ANALYZE_MIGRATION")
    if script and repeat > 1:
        theirs = best_child([sys.executable, script, "-f", path, "-d", "state"], 1)
        bare = best_child([sys.executable, "-c", "import argparse, json"], repeat)
        work = theirs.seconds - bare.seconds
        yield Row("reading", beyond, work / 20, work, "analyze-migration.py")
        yield Row("as processes", ours.seconds, None, theirs.seconds, "analyze-migration.py")
        yield Row("peak memory", ours.peak_mb, None, theirs.peak_mb, "analyze-migration.py", "MB")


def made(path: Path, memory: int, random_mb: int, folder: Path) -> str:
    """Make a stream, and return who made it: a real QEMU if there is one."""
    return _captured(path, memory, random_mb, folder) or simulated(path, memory, random_mb)


def _captured(path: Path, memory: int, random_mb: int, folder: Path) -> str | None:
    command = [*MACHINE.split(), "-m", str(memory), "-display", "none"]
    if random_mb:
        noise = folder / "noise"
        with noise.open("wb") as file:
            for _ in range(random_mb):
                file.write(random.randbytes(10**6))
        command += ["-device", f"loader,file={noise},force-raw=on,addr=0x10000000"]
    try:
        from vmstate.qemu.binary import find
        from vmstate.qemu.capture import capture

        qemu = find("7.2")
        capture([qemu.path, *command], path, timeout=300)
    except Exception:  # noqa: BLE001 - without a real QEMU that starts, the simulator makes the stream
        return None
    return f"QEMU {qemu.release}"


def simulated(path: Path, memory: int, random_mb: int) -> str:
    """Make the simulator's stream, with ``random_mb`` of its zero pages replaced by random ones."""
    from vmstate.simulate.migration import save
    from vmstate.stream import open_stream

    data = save(f"qemu-7.2 -nodefaults {MACHINE} -m {memory}")
    if not random_mb:
        path.write_bytes(data)
        return "the simulator"
    ram = [s for s in open_stream(data).sections if s.idstr == "ram"][1]
    first = ram.payload_start + 8 + 1 + len("ppc_spapr.ram") + 1
    pages = random_mb * 10**6 // PAGE
    with path.open("wb") as file:
        file.write(data[:first])
        for page in range(1, pages + 1):
            file.write((page * PAGE | 0x28).to_bytes(8, "big") + random.randbytes(PAGE))
        file.write(data[first + 9 * pages :])
    return "the simulator"
