"""Let a real QEMU load a stream, and hear its verdict."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmstate.errors import Truncated
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.session import Gone, Session


class RealOutcome(StrEnum):
    """How it ended; the first three as a simulated verdict spells them."""

    ACCEPT = "accept"
    REJECT = "reject"
    DESTINATION_REFUSED = "destination-refused"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class RealVerdict:
    """What a real QEMU said: ``messages`` are its lines on stderr, start-up first, without its name.

    ``returncode`` is minus the signal's number for a crash by a signal.
    """

    outcome: RealOutcome
    messages: tuple[str, ...]
    returncode: int = 0

    def as_json(self) -> dict[str, object]:
        """The verdict as a JSON object."""
        return {"outcome": str(self.outcome), "messages": list(self.messages), "returncode": self.returncode}

    def recorded(self) -> dict[str, object]:
        """The object that recordings of verdicts have, in their words."""
        words = {
            RealOutcome.DESTINATION_REFUSED: "refused-to-start",
            RealOutcome.CRASH: f"crash rc={self.returncode}",
        }
        return {"verdict": words.get(self.outcome, str(self.outcome)), "stderr": list(self.messages)}


def replay(
    stream: str | os.PathLike[str] | bytes | bytearray | memoryview,
    command: QemuCommand | str | Sequence[str],
    *,
    capabilities: Sequence[str] = (),
    timeout: float = 60.0,
) -> RealVerdict:
    """Start ``command`` waiting for a stream, give it ``stream`` (a path, or the bytes), return its verdict.

    The guest does not run.  ``timeout`` is in seconds.  Raises QemuStalled, QemuNotFound, QmpUnavailable,
    QmpRefused (a capability that this QEMU does not have), OSError (no such stream) and Truncated (an
    empty one).
    """
    parsed = command if isinstance(command, QemuCommand) else QemuCommand.parse(command)
    with _as_file(stream) as path:
        try:
            with Session(parsed, incoming=True, timeout=timeout) as qemu:
                qemu.enable(capabilities)
                return _loaded(qemu, path)
        except QemuRefused as refused:
            crashed = refused.returncode not in (0, 1)
            outcome = RealOutcome.CRASH if crashed else RealOutcome.DESTINATION_REFUSED
            return RealVerdict(outcome, refused.messages, refused.returncode)


def _loaded(qemu: Session, path: Path) -> RealVerdict:
    """A load that fails ends QEMU with status 1 (migration.c, ``process_incoming_migration_co``)."""
    accepted = False
    try:
        qemu.ask("migrate-incoming", uri=f"exec:cat {shlex.quote(str(path))}")
        accepted = _wait_until_loaded(qemu)
    except (Gone, QmpRefused):
        pass
    ended = qemu.finish() if accepted else qemu.ended()
    if accepted and ended.returncode == 0:
        return RealVerdict(RealOutcome.ACCEPT, ended.messages)
    crashed = ended.returncode not in (0, 1)
    return RealVerdict(RealOutcome.CRASH if crashed else RealOutcome.REJECT, ended.messages, ended.returncode)


def _wait_until_loaded(qemu: Session) -> bool:
    for _ in qemu.naps("the stream to be loaded"):
        status = qemu.ask("query-migrate").get("status", "none")
        if status in ("completed", "failed", "cancelled"):
            return bool(status == "completed")
        # Before 2.12 the destination's query-migrate says nothing; its run state does.
        if status == "none" and qemu.ask("query-status").get("status") != "inmigrate":
            return True
    return False


def _some(size: int) -> None:
    """QEMU waits for ever on a pipe from ``exec:`` that ends before its first byte."""
    if not size:
        raise Truncated(8, 0, offset=0)


@contextmanager
def _as_file(stream: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Iterator[Path]:
    if not isinstance(stream, bytes | bytearray | memoryview):
        path = Path(stream).absolute()
        with path.open("rb"):  # its own error, rather than that of the shell that QEMU starts
            pass
        if path.is_file():
            _some(path.stat().st_size)
        yield path
        return
    _some(len(stream))
    with tempfile.NamedTemporaryFile(prefix="vmstate-", suffix=".mig") as file:
        file.write(stream)
        file.flush()
        yield Path(file.name)
