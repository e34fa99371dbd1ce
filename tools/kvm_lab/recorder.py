"""Record what a host's QEMU and KVM say: runs in an emulated host, or on a real POWER machine.

``FOLDER/jobs.jsonl`` has a job a line; the list is read anew for each job, and answered jobs are not run
again.  The answers go to ``FOLDER/results.jsonl``, those of the KVM itself to ``FOLDER/answers.txt``.

Emulated hosts are slow: QEMUs are not polled (:mod:`vmstate.qemu.prompt`), and a source's stream is kept for
the jobs that follow.

A job has an ``id`` and an ``op``:

- ``pair``: save the ``source``, load in the ``destination``; with ``until``, the guest runs first, until its
  console says that, for ``limit`` seconds at most;
- ``load``: load ``stream``, a file of ``FOLDER/streams``, in the ``destination``;
- ``group``: a pair, or a load, for each of ``destinations``; a source that is refused is asked once.

Source and destination are arguments of QEMU after -nodefaults.  With ``keep`` a saved stream stays, as
``FOLDER/saved/KEEP``.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmstate.kvm.probe import NoKvm, probe
from vmstate.qemu.binary import identify
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuError, QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.prompt import load, save
from vmstate.qemu.session import Session

Row = dict[str, Any]
LIMIT = 240.0  # seconds for one QEMU
STREAMS = 16  # that are kept for further destinations
#: A page of zeros that continues a block (RAM_SAVE_FLAG_ZERO, _CONTINUE), below 4 GiB, and a run of them.
_ZERO_PAGE = 9
_ZERO_PAGES = re.compile(rb"(?:\0{4}.{2}[\0\x10-\xf0]\x22\0){64,}", re.DOTALL)
_FLAGS_AND_NEXT = b"\x22\0\0\0\0\0"


def key(row: Row) -> str:
    """Return what makes two jobs the same question."""
    return json.dumps([row.get(name) for name in ("op", "source", "destination", "stream", "until")])


def read(path: Path) -> list[Row]:
    """Read a file of JSON lines; a missing file is empty, and a line cut short by a crash is skipped."""
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _pairs(job: Row) -> Iterator[Row]:
    """Yield a job, or the pairs and loads that a group is."""
    if job["op"] != "group":
        yield job
        return
    for number, destination in enumerate(job["destinations"]):
        row = {name: value for name, value in job.items() if name != "destinations"}
        what = "load" if "stream" in job else "pair"
        yield {**row, "id": f"{job['id']}-{number}", "op": what, "destination": destination}


def write_answers(folder: Path) -> None:
    """Write down what this machine's KVM answers, unless it is there.  Raises NoKvm."""
    answers = folder / "answers.txt"
    if not answers.exists():
        answers.write_text("".join(f"{line}\n" for line in probe()), "utf-8")


def without_zero_pages(stream: bytes) -> bytes:
    """Leave out long runs of pages of zeros: a destination's memory is zero, and to look at it is slow."""
    kept, done, place = [], 0, 0
    while (place := stream.find(_FLAGS_AND_NEXT, place)) >= 0:  # quick, also in an emulated host
        run = _ZERO_PAGES.match(stream, max(place + 2 - _ZERO_PAGE, done))
        if run is not None:
            kept.append(stream[done : run.start()])
            done = run.end()
        place = max(place + 1, done)
    return b"".join([*kept, stream[done:]])


class Recorder:
    """Does the jobs of a folder with one QEMU."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        self._results = folder / "results.jsonl"
        self._scratch = Path(tempfile.mkdtemp(prefix="vmstate-"))
        self._saved: OrderedDict[str, tuple[Row, Path | None]] = (
            OrderedDict()
        )  # by source, the last used last
        self._list: tuple[int, list[Row]] = 0, []

    def run(self) -> None:
        """Write the host's answers, unless they are there, and do all jobs."""
        write_answers(self._folder)
        for job in self._jobs():
            start = time.monotonic()
            try:
                row = {**job, **self._do(job)}
            except (QemuStalled, QmpRefused) as error:
                row = {**job, "failed": str(error)}
            row["seconds"] = round(time.monotonic() - start, 1)
            with self._results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            verdict = row.get("load", row.get("save", row.get("failed")))
            print(f"{job['id']}: {json.dumps(verdict)[:60]}, {row['seconds']} s", flush=True)

    def _jobs(self) -> Iterator[Row]:
        known = read(self._results)
        done = {key(row) for row in known}
        refused = {json.dumps(row["source"]) for row in known if not row.get("save", {"ok": True})["ok"]}
        listed, place = self._listed(), 0
        while place < len(listed):
            group = listed[place]
            place += 1
            for job in _pairs(group):
                source = json.dumps(job.get("source"))
                if key(job) in done or (group["op"] == "group" and source in refused):
                    continue
                done.add(key(job))
                yield job
                if source in self._saved and self._saved[source][1] is None:
                    refused.add(source)
            if self._listed() is not listed:
                listed, place = self._listed(), 0

    def _listed(self) -> list[Row]:
        """Return the list of jobs, read anew if it has changed."""
        path = self._folder / "jobs.jsonl"
        changed = path.stat().st_mtime_ns
        if changed != self._list[0]:
            self._list = changed, read(path)
        return self._list[1]

    def _do(self, job: Row) -> Row:
        if job["op"] == "load":
            return {"load": self._load(job["destination"], self._folder / "streams" / job["stream"])}
        saved, stream = self._save_once(job)
        if stream is None or "destination" not in job:
            return {"save": saved}
        return {"save": saved, "load": self._load(job["destination"], stream)}

    def _save_once(self, job: Row) -> tuple[Row, Path | None]:
        source = json.dumps([job["source"], job["until"]] if "until" in job else job["source"])
        if source not in self._saved or "keep" in job:
            folder = self._folder / "saved" if "keep" in job else self._scratch
            folder.mkdir(exist_ok=True)
            stream = folder / job.get("keep", f"{time.monotonic_ns()}.mig")
            row = self._run(job, stream) if "until" in job else self._save(job, stream)
            self._saved[source] = row, stream if row["ok"] else None
        self._saved.move_to_end(source)
        if len(self._saved) > STREAMS:
            _, (_, old) = self._saved.popitem(last=False)
            if old is not None and old.parent == self._scratch:
                old.unlink()
        return self._saved[source]

    def _command(self, arguments: list[str]) -> QemuCommand:
        return QemuCommand.parse([self._program, "-nodefaults", *arguments])

    def _save(self, job: Row, stream: Path) -> Row:
        saved = save(self._command(job["source"]), stream, timeout=LIMIT)
        if not saved.reason and "keep" not in job:
            stream.write_bytes(without_zero_pages(stream.read_bytes()))
        row: Row = {"ok": not saved.reason, "stderr": list(saved.messages)}
        return {**row, "why": saved.reason} if saved.reason else row

    def _run(self, job: Row, stream: Path) -> Row:
        """Save a guest that has run."""
        ran: Row = {}
        try:
            with Session(self._command(job["source"]), timeout=LIMIT) as qemu:
                ran["guest"] = self._boot(qemu, job)
                save_stream(qemu, stream)
                ended = qemu.finish()
        except (QemuRefused, QmpRefused) as refused:
            stream.unlink(missing_ok=True)
            return {"ok": False, "stderr": list(refused.messages), "why": refused.message, **ran}
        return {"ok": True, "stderr": list(ended.messages), **ran}

    def _boot(self, qemu: Session, job: Row) -> Row:
        """Let the guest run until its console says ``until``.  Raises QemuRefused if QEMU ends."""
        console = Path(job["console"])
        start = time.monotonic()
        said = ""
        qemu.execute("cont")
        while job["until"] not in said and time.monotonic() - start < job["limit"]:
            qemu.sleep(2)
            qemu.execute("query-status")
            said = console.read_text("utf-8", "replace") if console.exists() else ""
        qemu.execute("stop")
        seconds = round(time.monotonic() - start)
        return {"booted": job["until"] in said, "seconds": seconds, "console": said[-1500:]}

    def _load(self, arguments: list[str], stream: Path) -> Row:
        release = identify(self._program).release
        return load(self._command(arguments), stream, release, timeout=LIMIT).recorded()


def main(folder: str, program: str = "qemu-system-ppc64") -> int:
    """Record in a folder; return the exit status."""
    try:
        Recorder(Path(folder), program).run()
    except (NoKvm, QemuError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
