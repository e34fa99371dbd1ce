"""Let a real QEMU save a stream."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from vmstate.errors import ConfigurationError
from vmstate.outputs import replaced
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.session import Session


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
    set by QMP.  ``timeout``: seconds, not counting ``run_seconds``.

    Raises QemuRefused (it did not start, or ended), QmpRefused (it does not migrate this machine, or the
    migration failed), QemuStalled, QemuNotFound, QmpUnavailable, OutputError.
    What was at ``out`` then stays.
    """
    parsed = command if isinstance(command, QemuCommand) else QemuCommand.parse(command)
    with replaced(Path(out).absolute()) as target:
        return _capture(parsed, target, run_seconds, capabilities, parameters or {}, timeout)


def _capture(
    command: QemuCommand,
    target: Path,
    run_seconds: float,
    capabilities: Sequence[str],
    parameters: Mapping[str, object],
    timeout: float,
) -> tuple[str, ...]:
    with Session(command, timeout=timeout) as qemu:
        qemu.enable(capabilities)
        if parameters:
            qemu.execute("migrate-set-parameters", **parameters)
        if run_seconds > 0:
            qemu.execute("cont")
            qemu.sleep(run_seconds)
        save_stream(qemu, target)
        ended = qemu.finish()
    if ended.returncode:
        raise QemuRefused("QEMU failed after saving", ended.returncode, ended.messages)
    return ended.messages


def save_stream(qemu: Session, target: Path) -> None:
    """Let a running QEMU save its stream to ``target``.

    Raises QmpRefused if it does not migrate this machine, or the migration fails; QemuRefused if it ends.
    """
    try:
        qemu.execute("migrate", uri=f"exec:cat>{_quote(target)}")
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
