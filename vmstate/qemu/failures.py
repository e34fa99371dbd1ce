"""Errors about a real QEMU."""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.errors import VmstateError


class QemuError(VmstateError):
    """An error about a real QEMU.  ``messages``: its lines on stderr, as far as known."""

    def __init__(self, message: str, messages: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.messages = tuple(messages)

    def __str__(self) -> str:
        return "\n".join((self.message, *(f"  {line}" for line in self.messages)))


class QemuNotFound(QemuError):
    """The program does not exist, or is not a QEMU system emulator.  Install one, or name another."""


class QmpUnavailable(QemuError):
    """The package ``qemu.qmp`` is not installed.  Install ``qemu-vmstate[qemu]``."""


class QemuRefused(QemuError):
    """QEMU ended before it was ready: it refused its command line, or crashed.

    ``returncode`` is negative (minus the signal's number) when a signal ended it.
    """

    def __init__(self, message: str, returncode: int, messages: Sequence[str] = ()) -> None:
        super().__init__(message, messages)
        self.returncode = returncode


class QemuStalled(QemuError):
    """QEMU did not answer or finish in time, and was killed.  Allow more time, or see its messages."""


class QmpRefused(QemuError):
    """QEMU answered the QMP ``command`` with an error; ``reason`` is in QEMU's words."""

    def __init__(self, command: str, reason: str, messages: Sequence[str] = ()) -> None:
        super().__init__(f"QEMU refuses {command}: {reason}", messages)
        self.command = command
        self.reason = reason
