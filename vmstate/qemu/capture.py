"""Let a real QEMU save a stream."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vmstate.errors import ConfigurationError
from vmstate.outputs import new_folder, replaced
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.session import Ended, Session

#: Capabilities with which a source waits for a destination's answers.
_ANSWERED = ("postcopy-ram", "return-path", "postcopy-preempt", "switchover-ack", "x-colo", "rdma-pin-all")
_TLS = "tls-creds"


def capture(
    command: QemuCommand | str | Sequence[str],
    out: str | os.PathLike[str],
    run_seconds: float = 0,
    *,
    capabilities: Sequence[str] = (),
    parameters: Mapping[str, object] | None = None,
    timeout: float = 60.0,
) -> tuple[str, ...]:
    """Start ``command`` paused, let the guest run for ``run_seconds``, and save its stream to ``out``.

    Return QEMU's lines on stderr, without the program's name.  ``capabilities`` and ``parameters`` are first
    set by QMP.  ``timeout``: seconds, not counting ``run_seconds``.  With ``multifd``, ``out`` is a new
    folder with a file for each channel; with ``mapped-ram`` too, all channels write into one file.

    Raises QemuRefused (it did not start, or ended), QmpRefused (it does not migrate this machine, or the
    migration failed), QemuStalled, QemuNotFound, QmpUnavailable,
    OutputError.  What was at ``out`` then stays.  ConfigurationError for what a file cannot capture.
    """
    parameters = parameters or {}
    _refuse(capabilities, parameters)
    parsed = command if isinstance(command, QemuCommand) else QemuCommand.parse(command)
    with _whole(Path(out).absolute(), folder=_separate(capabilities)) as target:
        with Session(parsed, timeout=timeout) as qemu:
            _set(qemu, capabilities, parameters)
            if run_seconds > 0:
                qemu.execute("cont")
                qemu.sleep(run_seconds)
            ended = _save(qemu, target, capabilities)
        if ended.returncode:
            raise QemuRefused("QEMU failed after saving", ended.returncode, ended.messages)
        return ended.messages


def _refuse(capabilities: Sequence[str], parameters: Mapping[str, object]) -> None:
    for name in capabilities:
        if name in _ANSWERED:
            raise ConfigurationError(
                f"{name}: the source waits for a destination's answers, and a file gives none; capture "
                "without it, or migrate to a real QEMU and copy what goes through the socket"
            )
    if parameters.get(_TLS):
        raise ConfigurationError(f"{_TLS}: what QEMU sends is then encrypted, and cannot be captured")


def _separate(capabilities: Sequence[str]) -> bool:
    """Return True if the channels are captured one by one; in a mapped-ram file they write to one."""
    return "multifd" in capabilities and "mapped-ram" not in capabilities


def _set(qemu: Session, capabilities: Sequence[str], parameters: Mapping[str, object]) -> None:
    qemu.enable(capabilities)
    if parameters:
        qemu.execute("migrate-set-parameters", **parameters)


@contextmanager
def _whole(target: Path, *, folder: bool) -> Iterator[Path]:
    """Give a new file or folder, which takes the target's place when it is complete."""
    if not folder:
        with replaced(target) as made:
            yield made
        return
    with new_folder(target) as made:
        yield made


def _save(qemu: Session, target: Path, capabilities: Sequence[str]) -> Ended:
    """Save to a file, or the channels to a folder; let QEMU end."""
    if not _separate(capabilities):
        save_stream(qemu, target, as_file="mapped-ram" in capabilities)
        return qemu.finish()
    with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
        # Reading streams needs numpy, which a KVM host that only records may not have.
        from vmstate.qemu.channels import Receiver

        path = Path(directory) / "channels"
        receiver = Receiver(path, target)
        try:
            _migrate(qemu, f"unix:{path}")
        finally:
            ended = qemu.finish()
            receiver.finish()
    return ended


def save_stream(qemu: Session, target: Path, *, as_file: bool = False) -> None:
    """Let a running QEMU save its stream to ``target``.  ``as_file``: QEMU opens the file itself.

    Raises QmpRefused if it does not migrate this machine, or the migration fails; QemuRefused if it ends.
    """
    quoted = _quote(target)
    _migrate(qemu, f"file:{target}" if as_file else f"exec:cat>{quoted}")


def _migrate(qemu: Session, uri: str) -> None:
    try:
        qemu.execute("migrate", uri=uri)
    except QmpRefused as refused:
        raise QmpRefused(refused.command, refused.reason, qemu.finish().messages) from None
    _wait_until_saved(qemu)


def _wait_until_saved(qemu: Session) -> None:
    for _ in qemu.polls("the stream to be saved"):
        answer = qemu.execute("query-migrate")
        status = answer.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            reason = answer.get("error-desc", f"the migration is {status}")
            raise QmpRefused("migrate", reason, qemu.finish().messages)


def _quote(path: Path) -> str:
    """Quote the path for ``exec:``, whose command is run by the shell."""
    if "\0" in str(path) or "\n" in str(path):
        raise ConfigurationError(f"not a valid name for a stream: {str(path)!r}")
    return shlex.quote(str(path))
