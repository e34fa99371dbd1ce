"""Ask a QEMU that has loaded a stream: its monitor's answers, and the stream that it sends itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vmstate.dataclass import dataclass, field
from vmstate.qemu.capture import save_stream
from vmstate.qemu.session import Session


@dataclass
class Arrived:
    """Asks a QEMU that has accepted a stream; for ``after`` of :func:`vmstate.qemu.replay.replay`.

    ``commands``: of the human monitor, with their ``answers``.  ``again``: the file to which it then saves
    what it has loaded, if any; ``saved`` is True once it has.
    """

    commands: Sequence[str] = ()
    again: Path | None = None
    answers: list[str] = field(default_factory=list)
    saved: bool = False

    def __call__(self, qemu: Session) -> None:
        """Raises QmpRefused, QemuRefused or QemuStalled if QEMU does not do it."""
        for command in self.commands:
            answer = qemu.execute("human-monitor-command", **{"command-line": command})
            self.answers.append(str(answer).replace("\r\n", "\n").rstrip("\n"))
        if self.again is not None:
            save_stream(qemu, self.again)
            self.saved = True
