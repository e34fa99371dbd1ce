"""Commands as processes: processor time and peak memory, beside an earlier revision and other programs.

``tools/bench --before REV --peer PATH commands``: the same commands of the revision REV, and the
analyze-migration.py of QEMU at PATH, are run in turn with ours; each figure is the best of its runs.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import zstandard
from _earlier import ROOT, trees
from measure import Row, Run, in_turn
from whole_stream import MACHINE, made, simulated

TITLE = "Commands: processor time, peak memory"

PAGE = 4096
#: As the installed command; an earlier revision has run it when its ``__main__`` is imported.
MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); import vmstate.__main__ as a; sys.exit(a.command())"


@dataclass(frozen=True)
class Case:
    """A command, with the program that it is compared with and how much more it may take than that.

    ``part``: how much of the time before it may take; ``most``: the seconds.  ``peak``: the megabytes that it
    may need.  ``through``: a file that comes through a pipe.  ``new``: the earlier revision has not got it.
    """

    what: str
    words: tuple[str, ...]
    other: tuple[str, ...] = ()
    times: float | None = None
    peak: float | None = None
    repeat: int = 5
    part: float | None = None
    most: float | None = None
    through: str | None = None
    new: bool = False


def rows(*, smoke: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        known = trees(folder)
        wanted = re.compile(os.environ.get("VMSTATE_BENCH_ROWS", ""))
        for case in _cases(folder, smoke=smoke):
            if wanted.search(case.what):
                yield from _measured(case, known, 1 if smoke else case.repeat)


def _measured(case: Case, trees: dict[str, Path], repeat: int) -> Iterator[Row]:
    trees = {"": trees[""]} if case.new else trees
    commands: dict[str, Sequence[str]] = {
        name: [sys.executable, "-c", MAIN, str(tree), *case.words] for name, tree in trees.items()
    }
    if case.other:
        commands["other"] = case.other
    runs = in_turn(commands, repeat, case.through)
    ours = runs[""]
    for name in trees:
        before: Run | None = runs[name] if name else None
        if before is not None or len(trees) == 1:
            said = f"at {name}" if name else ""
            limit = case.part * before.cpu if case.part and before else case.most
            yield Row(case.what, ours.cpu, limit, before and before.cpu, said)
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
    rows_of_batch, number = _batch(folder, smoke=smoke)
    yield Case(f"`migrate --batch`, {number} rows", ("migrate", "--batch", rows_of_batch), part=0.5, repeat=2)
    for name in ("pairs", "property-pairs"):
        recorded, number = _recorded(folder, name, 3 if smoke else 1500)
        what = f"`migrate --batch`, {number} recorded rows of `{name}`"
        yield Case(what, ("migrate", "--batch", recorded), part=0.5, repeat=2)
    many, number = _many_sections(folder, 20 if smoke else 10_000)
    for command in ("verify", "show"):
        most = None if smoke else 0.15e-3 * number
        yield Case(f"`{command}` of {number:,} sections", (command, many), most=most, repeat=2)
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
    image, other = str(folder / "image"), str(folder / "other")
    copied = ("cp", big, other)
    yield Case(f"`memory` of {size} to a file", ("memory", big, "-o", image), copied, 3, 150, new=True)
    for used in (image, other):
        Path(used).unlink(missing_ok=True)
    if zstd := shutil.which("zstd"):
        subprocess.run([zstd, "-q", big, "-o", packed], check=True)
        unpacked = (zstd, "-qdc", packed)
        yield Case(f"`show` of {size} as .zst", ("show", packed), unpacked, 1.5, 150, 3)
        piped = Case(f"`show` of {size} through a pipe", ("show", "-"), unpacked, 1.5, 150, 3, through=big)
        yield piped
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


def _batch(folder: Path, *, smoke: bool) -> tuple[str, int]:
    """Write rows of a batch: machines of several types, each to the same number of others."""
    types = ("6.2", "7.2") if smoke else ("2.12", "4.2", "6.2", "7.2", "8.2", "9.2")
    sides = [
        f"qemu-{program} {rest} -machine pseries-{kind} -m 256"
        for kind in types
        for program in ("10.0", "11.1")
        for rest in ("", "-nodefaults", "-nodefaults -smp 2")
    ]
    sides = sides[:3] if smoke else sides
    rows_of_batch = [
        json.dumps({"source": one, "destination": other}) for one in sides for other in sides[::3]
    ]
    (folder / "rows").write_text("\n".join(rows_of_batch))
    return str(folder / "rows"), len(rows_of_batch)


def _recorded(folder: Path, name: str, most: int) -> tuple[str, int]:
    """Write rows of a batch: the first command lines of a file of recorded verdicts."""
    packed = ROOT / "fixtures" / "verdicts" / f"{name}.jsonl.zst"
    with zstandard.open(packed, "rt", encoding="utf-8") as lines:
        rows = list(islice((row for row in map(json.loads, lines) if "destination" in row), most))
    sides = [{side: _line(row[side]) for side in ("source", "destination")} for row in rows]
    (folder / name).write_text("\n".join(map(json.dumps, sides)))
    return str(folder / name), len(sides)


def _line(side: dict[str, Any]) -> str:
    return shlex.join([f"qemu-{side['release']}", *side["args"]])


def _many_sections(folder: Path, number: int) -> tuple[str, int]:
    """Make a stream in which sections of five devices come again and again, all of them described."""
    from vmstate.simulate.migration import save
    from vmstate.stream import open_stream

    data = save("qemu-7.2 -nodefaults -m 256")
    stream = open_stream(data)
    assert stream.description is not None
    text = stream.description.text_start
    described = json.loads(data[text:])
    sections = {section.idstr: section for section in stream.sections}
    entries = {entry["name"]: entry for entry in described["devices"]}
    names = ("icp/server", "xive-tctx", "spapr_cpu", "cpu_common", "spapr/rtc")
    made, more = [], []
    for each in range(number):
        name, instance = names[each % 5], each // 5 + 1
        one = bytearray(data[sections[name].start : sections[name].end])
        one[1:5] = one[-4:] = (1000 + each).to_bytes(4, "big")
        one[6 + len(name) : 10 + len(name)] = instance.to_bytes(4, "big")
        made.append(bytes(one))
        more.append({**entries[name], "instance_id": instance})
    described["devices"][-1:-1] = more
    at = sections["globalstate"].start
    new = json.dumps(described).encode()
    size = len(new).to_bytes(4, "big")
    whole = [data[:at], *made, data[at : text - 4], size, new]
    (folder / "many").write_bytes(b"".join(whole))
    return str(folder / "many"), number + len(sections)


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
