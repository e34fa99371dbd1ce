"""Let a real QEMU load a stream, and return its verdict."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from vmstate.dataclass import dataclass
from vmstate.errors import Truncated
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.session import Gone, Session


class RealOutcome(StrEnum):
    """The outcome of a load; the first three are spelled as in a simulated verdict."""

    ACCEPT = "accept"
    REJECT = "reject"
    DESTINATION_REFUSED = "destination-refused"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class RealVerdict:
    """A real QEMU's verdict: ``messages`` are its lines on stderr, those of the start first, without prefix.

    ``returncode`` is minus the signal's number for a crash by a signal.
    """

    outcome: RealOutcome
    messages: tuple[str, ...]
    returncode: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the verdict as a JSON object."""
        return {"outcome": str(self.outcome), "messages": list(self.messages), "returncode": self.returncode}

    def recorded(self) -> dict[str, object]:
        """Return the verdict in the form of the recorded verdicts."""
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
    after: Callable[[Session], None] | None = None,
) -> RealVerdict:
    """Start ``command``, let it load ``stream`` (a path, or the bytes), and return its verdict.

    The guest does not run.  With the capability ``mapped-ram``, QEMU opens the file itself; a folder with
    the channels of a migration needs ``multifd``.  ``timeout`` is in seconds.  ``after`` is called with the
    QEMU that has accepted the stream, to ask it something.
    Raises QemuStalled, QemuNotFound, QmpUnavailable, QmpRefused (this QEMU lacks a capability), OSError (no
    such stream) and Truncated (an empty stream).
    """
    parsed = command if isinstance(command, QemuCommand) else QemuCommand.parse(command)
    with _as_file(stream) as path:
        try:
            with Session(parsed, incoming=True, timeout=timeout) as qemu:
                qemu.enable(capabilities)
                return _load(qemu, path, after, as_file="mapped-ram" in capabilities)
        except QemuRefused as refused:
            return refused_start(refused)


def refused_start(refused: QemuRefused) -> RealVerdict:
    """Return the verdict of a QEMU that ended before it was ready."""
    crashed = refused.returncode not in (0, 1)
    outcome = RealOutcome.CRASH if crashed else RealOutcome.DESTINATION_REFUSED
    return RealVerdict(outcome, refused.messages, refused.returncode)


def _load(
    qemu: Session, path: Path, after: Callable[[Session], None] | None, *, as_file: bool
) -> RealVerdict:
    """Load the stream.  QEMU exits with status 1 if it fails (``process_incoming_migration_co``)."""
    accepted = load_stream(qemu, path, as_file=as_file)
    if accepted and after is not None:
        after(qemu)
    return verdict_of(qemu, accepted=accepted)


def verdict_of(qemu: Session, *, accepted: bool) -> RealVerdict:
    """End a QEMU that has loaded a stream, or failed to, and return its verdict."""
    ended = qemu.finish() if accepted else qemu.ended()
    if accepted and ended.returncode == 0:
        return RealVerdict(RealOutcome.ACCEPT, ended.messages)
    crashed = ended.returncode not in (0, 1)
    return RealVerdict(RealOutcome.CRASH if crashed else RealOutcome.REJECT, ended.messages, ended.returncode)


def load_stream(qemu: Session, path: Path, *, as_file: bool = False) -> bool:
    """Let a QEMU that waits for a stream load it; return True if it accepts, and goes on.

    ``as_file``: QEMU opens the file itself (8.2+), which it must for mapped-ram.
    """
    try:
        if path.is_dir():
            return _load_channels(qemu, path)
        uri = f"file:{path}" if as_file else f"exec:cat {shlex.quote(str(path))}"
        qemu.ask("migrate-incoming", uri=uri)
        return _wait_until_loaded(qemu)
    except (Gone, QmpRefused):
        return False


def _load_channels(qemu: Session, folder: Path) -> bool:
    # Reading streams needs numpy, which a KVM host that only records may not have.
    from vmstate.qemu.channels import Sender

    with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
        sender = Sender(folder)
        qemu.ask("migrate-set-parameters", **sender.parameters)
        socket = Path(directory) / "channels"
        qemu.ask("migrate-incoming", uri=f"unix:{socket}")
        with sender.sending(socket):
            return _wait_until_loaded(qemu)


def _wait_until_loaded(qemu: Session) -> bool:
    for _ in qemu.polls("the stream to be loaded"):
        status = qemu.ask("query-migrate").get("status", "none")
        if status in ("completed", "failed", "cancelled"):
            return bool(status == "completed")
        # Before 2.12 query-migrate on the destination has no status; the run state shows the end.
        if status == "none" and qemu.ask("query-status").get("status") != "inmigrate":
            return True
    return False


def _refuse_empty(size: int) -> None:
    """Refuse an empty stream: QEMU waits for ever on a pipe from ``exec:`` that ends without a byte."""
    if not size:
        raise Truncated(8, 0, offset=0)


@contextmanager
def _as_file(stream: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Iterator[Path]:
    if not isinstance(stream, bytes | bytearray | memoryview):
        path = Path(stream).absolute()
        if path.is_dir():
            yield path
            return
        with path.open("rb"):  # raises here, rather than in the shell that QEMU starts
            pass
        if path.is_file():
            _refuse_empty(path.stat().st_size)
        yield path
        return
    _refuse_empty(len(stream))
    with tempfile.NamedTemporaryFile(prefix="vmstate-", suffix=".mig") as file:
        file.write(stream)
        file.flush()
        yield Path(file.name)
