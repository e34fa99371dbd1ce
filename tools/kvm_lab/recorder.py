"""Record what a host's QEMU and KVM say: runs in an emulated host, or on a real POWER machine.

``FOLDER/jobs.jsonl`` has a job a line; the list is read anew for each job, and answered jobs are not run
again.  The answers go to ``FOLDER/results.jsonl``, those of the KVM itself to ``FOLDER/answers.txt``.

A job has an ``id`` and an ``op``:

- ``pair``: save the ``source``, load in the ``destination``; with ``until``, the guest runs first, until its
  console says that, for ``limit`` seconds at most;
- ``load``: load ``stream``, a file of ``FOLDER/streams``, in the ``destination``.

Source and destination are arguments of QEMU after -nodefaults.  With ``keep`` a saved stream stays, as
``FOLDER/saved/KEEP``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmstate.kvm.probe import NoKvm, probe
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuError, QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.replay import replay
from vmstate.qemu.session import Session

Row = dict[str, Any]
LIMIT = 240.0  # seconds for one QEMU: emulated hosts are slow


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


def write_answers(folder: Path) -> None:
    """Write down what this machine's KVM answers, unless it is there.  Raises NoKvm."""
    answers = folder / "answers.txt"
    if not answers.exists():
        answers.write_text("".join(f"{line}\n" for line in probe()), "utf-8")


class Recorder:
    """Does the jobs of a folder with one QEMU."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        self._results = folder / "results.jsonl"
        self._scratch = Path(tempfile.mkdtemp(prefix="vmstate-"))
        self._saved: dict[str, tuple[Row, Path | None]] = {}  # by source, so that a source saves once

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
                file.flush()
                os.fsync(file.fileno())
            verdict = row.get("load", row.get("save", row.get("failed")))
            print(f"{job['id']}: {json.dumps(verdict)[:150]}, {row['seconds']} s", flush=True)

    def _jobs(self) -> Iterator[Row]:
        done = {key(row) for row in read(self._results)}
        while True:
            left = [job for job in read(self._folder / "jobs.jsonl") if key(job) not in done]
            if not left:
                return
            done.add(key(left[0]))
            yield left[0]

    def _do(self, job: Row) -> Row:
        if job["op"] == "load":
            return {"load": self._load(job["destination"], self._folder / "streams" / job["stream"])}
        saved, stream = self._save_once(job)
        if stream is None or "destination" not in job:
            return {"save": saved}
        return {"save": saved, "load": self._load(job["destination"], stream)}

    def _save_once(self, job: Row) -> tuple[Row, Path | None]:
        source = json.dumps([job["source"], job.get("until")])
        if source not in self._saved or "keep" in job:
            folder = self._folder / "saved" if "keep" in job else self._scratch
            folder.mkdir(exist_ok=True)
            stream = folder / job.get("keep", f"{len(self._saved)}")
            row = self._save(job, stream)
            self._saved[source] = row, stream if row["ok"] else None
        return self._saved[source]

    def _command(self, arguments: list[str]) -> QemuCommand:
        return QemuCommand.parse([self._program, "-nodefaults", *arguments])

    def _save(self, job: Row, stream: Path) -> Row:
        ran: Row = {}
        try:
            with Session(self._command(job["source"]), timeout=LIMIT) as qemu:
                if "until" in job:
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
        verdict = replay(stream, self._command(arguments), timeout=LIMIT)
        return {**verdict.recorded()}


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
