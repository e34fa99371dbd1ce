"""Commands that write files, killed at some moment of their work."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STREAM = ROOT / "streams" / "7.2-pseries-7.2.mig.zst"
ON = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
OLD = b"what was there before\n"

#: Each writes OUT, which exists, from GUEST.
WRITERS: dict[str, list[str]] = {
    "edit": ["edit", "GUEST", "cpu.env.nip=5", "-o", "OUT"],
    "strip": ["strip", "GUEST", "-o", "OUT"],
    "unwrap": ["unwrap", "GUEST", "-o", "OUT"],
    "wrap": ["wrap", "GUEST", "--as", "gzip", "-o", "OUT"],
    "show --html": ["show", "GUEST", "--html", "OUT"],
    "diff --html": ["diff", "GUEST", "GUEST", "--html", "OUT"],
    "host": ["host", "--from-answers", "ANSWERS", "--level", "0", "-o", "OUT"],
    "load --junit": ["load", "--batch", "BATCH", "--junit", "OUT"],
}


def run(words: list[str], folder: Path, before: Callable[[], object] | None = None) -> int:
    """Run a command in a folder; ``before``: called in its process before it starts.  Return its status."""
    return subprocess.run(
        [sys.executable, "-m", "vmstate", *words],
        cwd=folder, preexec_fn=before, capture_output=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ).returncode  # fmt: skip


def prepared(folder: Path) -> None:
    """Make the files that the commands read."""
    run(["unwrap", str(STREAM), "-o", "GUEST"], folder)
    shutil.copy(ROOT / "fixtures" / "kvm" / "answers" / "p9-hv.txt", folder / "ANSWERS")
    (folder / "BATCH").write_text(f'{{"stream": "GUEST", "destination": "{ON}"}}\n')


class Killing:
    """A command in a prepared folder, whose whole output and processor time are known.

    A process killed by SIGPROF, which it does not handle, cleans up as little as one killed by SIGKILL; and
    its timer counts processor time.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._words, self._folder = WRITERS[name], folder
        self._out = folder / "OUT"
        self._out.write_bytes(OLD)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run(self._words, folder) in (0, 1)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.whole = self._out.read_bytes()
        self.killed = 0

    def kills(self, times: int) -> Iterator[bytes]:
        """Run it ``times`` times, killed after longer and longer; yield what it left in OUT."""
        for number in range(times):
            self._out.write_bytes(OLD)
            seconds = self._seconds * (0.3 + 0.7 * (number + 1) / times)
            status = run(self._words, self._folder, partial(signal.setitimer, signal.ITIMER_PROF, seconds))
            self.killed += status == -signal.SIGPROF
            yield self._out.read_bytes()
