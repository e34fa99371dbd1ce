"""Commands as processes: processor time and peak memory, beside an earlier revision and other programs.

``tools/bench --before REV --peer PATH commands``: the same commands of the revision REV, and the
analyze-migration.py of QEMU at PATH, are run in turn with ours; each figure is the best of its runs.
"""

from __future__ import annotations

import compileall
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard
from measure import Row, Run, in_turn
from whole_stream import MACHINE, made, simulated

TITLE = "Commands: processor time, peak memory"

ROOT = Path(__file__).resolve().parents[2]
PAGE = 4096
MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from vmstate.cli import main; sys.exit(main())"
PAIRS = """
import sys; sys.path.insert(0, sys.argv.pop(1))
from vmstate.simulate.migration import migrate
for _ in range(int(sys.argv[1])):
    migrate("qemu-7.2 -nodefaults -m 256", "qemu-10.0 -nodefaults -machine pseries-7.2 -m 256")
"""


@dataclass(frozen=True)
class Case:
    """A command, with the program that it is compared with and how much more it may take than that.

    ``peak``: the megabytes that it may need.  ``script``: what is run with the words.
    """

    what: str
    words: tuple[str, ...]
    other: tuple[str, ...] = ()
    times: float | None = None
    peak: float | None = None
    repeat: int = 5
    script: str = MAIN


def rows(*, smoke: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        trees = {"": ROOT}
        revision = os.environ.get("VMSTATE_BENCH_BEFORE")
        if revision:
            trees[revision] = _checkout(revision, folder / "before")
        for case in _cases(folder, smoke=smoke):
            yield from _measured(case, trees, 1 if smoke else case.repeat)


def _measured(case: Case, trees: dict[str, Path], repeat: int) -> Iterator[Row]:
    commands: dict[str, Sequence[str]] = {
        name: [sys.executable, "-c", case.script, str(tree), *case.words] for name, tree in trees.items()
    }
    if case.other:
        commands["other"] = case.other
    runs = in_turn(commands, repeat)
    ours = runs[""]
    for name in trees:
        before: Run | None = runs[name] if name else None
        if before is not None or len(trees) == 1:
            said = f"at {name}" if name else ""
            yield Row(case.what, ours.cpu, None, before and before.cpu, said)
            yield Row("… peak memory", ours.peak_mb, case.peak, before and before.peak_mb, said, "MB")
    if case.other:
        other = runs["other"].cpu
        budget = None if case.times is None else case.times * other
        words = " ".join(Path(word).name for word in case.other if word != sys.executable)
        yield Row("… processor time", ours.cpu, budget, other, f"`{words}`")


def _cases(folder: Path, *, smoke: bool) -> Iterator[Case]:
    peer = os.environ.get("ANALYZE_MIGRATION")
    small, x86 = _small(folder), _x86(folder)
    yield Case("`--help`", ("--help",))
    yield Case("`show` of a small stream", ("show", small))
    analyzed = (sys.executable, peer, "-d", "state", "-f", x86) if peer else ()
    yield Case("`show --json` of an x86 stream", ("show", "--json", x86), analyzed, 1)
    on = "qemu-7.2 -nodefaults -m 256"
    yield Case("`load`", ("load", small, "--on", on))
    yield Case("`migrate`", ("migrate", on, on))
    many = "2" if smoke else "300"
    yield Case(f"{many} predicted pairs", (many,), script=PAIRS)
    yield from _large(folder, peer, smoke=smoke)


def _large(folder: Path, peer: str | None, *, smoke: bool) -> Iterator[Case]:
    big, copy, packed = (str(folder / name) for name in ("big", "copy", "big.zst"))
    memory, noise = (256, 0) if smoke else (2048, 900)
    made(Path(big), memory, noise, folder)
    shutil.copy(big, copy)
    size = f"{Path(big).stat().st_size / 1e6:,.0f} MB"
    if peer and not smoke:
        analyzed = (sys.executable, peer, "-d", "state", "-f", big)
        yield Case(f"`show --json` of {size}", ("show", "--json", big), analyzed, 1 / 12, 60, 1)
    yield Case(f"`show --json` of {size}", ("show", "--json", big), ("cat", big), 2.5, 60)
    yield Case(f"`diff` with itself: {size}", ("diff", big, copy), ("cmp", big, copy), 3, 150)
    yield Case(f"`strip` of {size}", ("strip", big, "-o", os.devnull), ("cat", big), None, 150)
    if zstd := shutil.which("zstd"):
        subprocess.run([zstd, "-q", big, "-o", packed], check=True)
        yield Case(f"`show` of {size} as .zst", ("show", packed), (zstd, "-qdc", packed), 1.5, 150, 3)
    for used in (copy, packed):
        Path(used).unlink(missing_ok=True)
    zero = str(folder / "zero")
    gigabytes = 1 if smoke else 64
    _elsewhere(simulated, Path(zero), gigabytes * 1024, 0)
    yield Case(f"`diff` with itself: a zero guest of {gigabytes} GiB", ("diff", zero, zero), (), None, 150, 2)
    pieces = str(folder / "pieces")
    number = 2_000 if smoke else 200_000
    _elsewhere(_in_pieces, Path(pieces), number)
    yield Case(f"`verify` of memory in {number:,} pieces", ("verify", pieces), ("cat", pieces), None, 150, 2)


def _elsewhere(work: Callable[..., object], *arguments: object) -> None:
    """Do it in another process: what this one holds counts for the peak of the commands that it starts."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("a stream to measure could not be made")


def _small(folder: Path) -> str:
    from vmstate.simulate.migration import save

    (folder / "small").write_bytes(save("qemu-7.2 -nodefaults -m 256"))
    return str(folder / "small")


def _x86(folder: Path) -> str:
    packed = (ROOT / "streams" / "x86_64-q35.mig.zst").read_bytes()
    (folder / "x86").write_bytes(zstandard.ZstdDecompressor().decompress(packed, 1 << 30))
    return str(folder / "x86")


def _in_pieces(path: Path, number: int) -> None:
    """Make a stream in which whole pages and zero pages take turns."""
    from vmstate.simulate.migration import save
    from vmstate.stream import open_stream

    data = save(f"qemu-7.2 -nodefaults {MACHINE} -m 2048")
    ram = [s for s in open_stream(data).sections if s.idstr == "ram"][1]
    first = ram.payload_start + 8 + 1 + len("ppc_spapr.ram") + 1
    noise = random.Random(1)
    with path.open("wb") as file:
        file.write(data[:first])
        for page in range(1, number + 1):
            whole = (page * PAGE | 0x28).to_bytes(8, "big") + noise.randbytes(64) * (PAGE // 64)
            file.write(whole if page % 2 else (page * PAGE | 0x22).to_bytes(8, "big") + b"\0")
        file.write(data[first + 9 * number :])


def _checkout(revision: str, folder: Path) -> Path:
    """Put the package of a revision into a folder, compiled: neither side compiles while it is measured."""
    folder.mkdir()
    archive = ["git", "-C", str(ROOT), "archive", revision, "vmstate", "fixtures"]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as made_by:
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=made_by.stdout, check=True)
    for tree in (folder, ROOT):
        compileall.compile_dir(tree / "vmstate", quiet=2)
    return folder
