"""Get a real QEMU's verdict on a stream without waiting, for campaigns of many thousands of streams.

QEMU reads the stream from a regular file.  Such a read never waits, so the load is over before QEMU looks at
its first QMP command; all commands are in its standard input from the start, and no step waits for an answer.
:mod:`vmstate.qemu.replay` is the careful way, used where this one is not conclusive.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from vmstate.dataclass import dataclass
from vmstate.describe.history import History, Release
from vmstate.qemu.binary import identify
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuNotFound, QemuStalled
from vmstate.qemu.replay import RealOutcome, RealVerdict, replay

#: True if a destination reads a file by name (migration/file.c), else by descriptor; 11.1 no longer accepts a
#: file for ``fd:``.
_BY_NAME = History(False, ("9.0", True))
_COMMANDS = b"".join(
    json.dumps({"execute": name}).encode() + b"\n"
    for name in ("qmp_capabilities", "query-status", "query-migrate", "quit")
)
_ENDING = 5.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of one run: ``returncode`` is minus the signal's number, None after a timeout."""

    returncode: int | None
    messages: tuple[str, ...]
    statuses: tuple[str, ...] = ()

    @property
    def completed(self) -> bool:
        """True if QMP reported the migration as completed."""
        return "completed" in self.statuses

    @property
    def undecided(self) -> bool:
        """True if QEMU quit without a verdict; before 2.12 it reports none."""
        return self.returncode == 0 and not self.completed


@contextlib.contextmanager
def readable(stream: Path, release: Release) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the URI by which a QEMU of that release reads a regular file, and descriptors for it."""
    if _BY_NAME.at(release):
        yield f"file:{stream}", ()
        return
    with stream.open("rb") as opened:
        yield f"fd:{opened.fileno()}", (opened.fileno(),)


class FastReplay:
    """A runner of ``command`` on many streams, each in a process of its own.

    ``timeout``: seconds per run.  A context manager, since it keeps a file (in memory if possible).
    Raises QemuNotFound if the program is not a QEMU.
    """

    def __init__(self, command: QemuCommand, *, timeout: float = 10.0) -> None:
        self.command = command
        self.timeout = timeout
        self.release = identify(command.program).release
        shared = Path("/dev/shm")  # noqa: S108 - a file system in memory; the file has a name of its own
        where = shared if os.access(shared, os.W_OK) else None
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(prefix="vmstate-", suffix=".mig", dir=where)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def replay(self, stream: bytes | memoryview) -> RealVerdict:
        """Return the verdict on a stream.  Raises QemuStalled after a timeout."""
        ran = self.run(stream)
        if ran.returncode is None:
            raise QemuStalled(f"{self.command.program}: no verdict in {self.timeout:g} s", ran.messages)
        if ran.undecided:
            return replay(stream, self.command, timeout=self.timeout)
        if ran.completed and ran.returncode == 0:
            return RealVerdict(RealOutcome.ACCEPT, ran.messages)
        crashed = ran.returncode not in (0, 1)
        outcome = RealOutcome.CRASH if crashed else RealOutcome.REJECT
        return RealVerdict(outcome, ran.messages, ran.returncode)

    def run(self, stream: bytes | memoryview) -> RunResult:
        """Start QEMU on a stream, and return the result."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(stream)
        self._file.flush()
        with readable(Path(self._file.name), self.release) as (incoming, descriptors):
            argv = self.command.paused("-incoming", incoming, "-qmp", "stdio")
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=descriptors,
                    start_new_session=True,  # an interrupt from the keyboard must not reach QEMU
                )
            except OSError as error:
                raise QemuNotFound(f"{self.command.program} cannot be started: {error.strerror}") from error
            return self._communicate(process)

    def _communicate(self, process: subprocess.Popen[bytes]) -> RunResult:
        returncode: int | None
        try:
            out, err = process.communicate(_COMMANDS, timeout=self.timeout)
            returncode = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate(timeout=_ENDING)
            returncode = None
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if returncode is not None and returncode > 128:
            returncode = 128 - returncode  # reported by a shell in between
        lines = err.decode("utf-8", "replace").splitlines()
        return RunResult(returncode, tuple(map(self.command.plain, lines)), tuple(_statuses(out)))


def _statuses(out: bytes) -> Iterator[str]:
    """Yield the statuses in the answers to ``query-status`` and ``query-migrate``."""
    for line in out.splitlines():
        try:
            answer: Any = json.loads(line)
        except ValueError:
            continue
        value = answer.get("return") if isinstance(answer, dict) else None
        if isinstance(value, dict) and isinstance(value.get("status"), str):
            yield value["status"]


def no_core_files() -> None:
    """Disable core files for programs started from now on: a campaign crashes hundreds of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def signal_name(returncode: int) -> str:
    """Return the signal's name: ``SIGSEGV`` for -11."""
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
