"""Let a real QEMU save or load a stream without polling: its commands come at once, its events say the end.

For slow machines, such as an emulated host: one process a stream, no event loop, no question that costs time.
:mod:`vmstate.qemu.capture` and :mod:`vmstate.qemu.replay` are the general way.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuNotFound, QemuStalled
from vmstate.qemu.fast import readable
from vmstate.qemu.replay import RealOutcome, RealVerdict

_OVER = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of a save: ``reason`` is why there is no stream, "" if there is one."""

    reason: str
    messages: tuple[str, ...]


def save(command: QemuCommand, target: Path, *, timeout: float) -> Saved:
    """Start QEMU paused and let it save its stream to a file.

    Raises QemuNotFound; QemuStalled after ``timeout`` seconds.
    """
    uri = f"exec:cat>{shlex.quote(str(target))}"
    said = _converse(command, ("migrate", uri), timeout=timeout)
    reason = said.reason
    if said.returncode:
        reason = f"{command.program} ended (status {said.returncode})"
    if reason:
        target.unlink(missing_ok=True)
    return Saved(reason, said.messages)


def load(command: QemuCommand, stream: Path, release: Release, *, timeout: float) -> RealVerdict:
    """Start a QEMU of that release, let it load a stream from a regular file, and return its verdict.

    Raises QemuNotFound; QemuStalled after ``timeout`` seconds.
    """
    with readable(stream, release) as (uri, descriptors):
        said = _converse(command, ("migrate-incoming", uri), descriptors, timeout=timeout)
    if said.returncode not in (0, 1):
        outcome = RealOutcome.CRASH
    elif not said.started:
        outcome = RealOutcome.DESTINATION_REFUSED
    else:
        accepted = not said.reason and said.returncode == 0
        outcome = RealOutcome.ACCEPT if accepted else RealOutcome.REJECT
    return RealVerdict(outcome, said.messages, said.returncode)


@dataclass(slots=True)
class _Said:
    """The answers of a QEMU: ``started`` if it answered; ``reason``: why its migration was not completed."""

    started: bool = False
    reason: str = "QEMU ended"
    returncode: int = 0
    messages: tuple[str, ...] = ()


def _converse(
    command: QemuCommand, migration: tuple[str, str], descriptors: tuple[int, ...] = (), *, timeout: float
) -> _Said:
    """Start QEMU, let one command migrate, wait until that is over, and let QEMU quit."""
    name, uri = migration
    waiting = ("-incoming", "defer") if name == "migrate-incoming" else ()
    argv = command.paused(*waiting, "-qmp", "stdio")
    said = _Said()
    with tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                pass_fds=descriptors,
                start_new_session=True,  # an interrupt from the keyboard must not reach QEMU
            )
        except OSError as error:
            raise QemuNotFound(f"{command.program} cannot be started: {error.strerror}") from error
        late = threading.Timer(timeout, process.kill)
        late.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                _talk(process, name, uri, said)
            said.returncode = process.wait()
        finally:
            stalled = not late.is_alive()
            late.cancel()
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        stderr.seek(0)
        lines = stderr.read().decode("utf-8", "replace").splitlines()
    said.messages = tuple(map(command.plain, lines))
    if stalled:
        raise QemuStalled(f"{command.program}: not done in {timeout:g} s", said.messages)
    return said


def _talk(process: subprocess.Popen[bytes], name: str, uri: str, said: _Said) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    events = [{"capability": "events", "state": True}]
    for order, given in (
        ("qmp_capabilities", {}),
        ("migrate-set-capabilities", {"capabilities": events}),
        (name, {"uri": uri}),
    ):
        process.stdin.write(json.dumps({"execute": order, "arguments": given}).encode() + b"\n")
    process.stdin.flush()
    for line in process.stdout:
        answer: Any = json.loads(line)
        # QEMU greets early, but answers only when its machine is built.
        said.started |= "return" in answer
        status = answer.get("data", {}).get("status") if answer.get("event") == "MIGRATION" else None
        if "error" in answer:
            said.reason = str(answer["error"].get("desc"))
            break
        if status in _OVER:
            said.reason = "" if status == "completed" else f"the migration is {status}"
            break
    process.stdin.write(b'{"execute": "quit"}\n')
    process.stdin.flush()
    process.stdout.read()
