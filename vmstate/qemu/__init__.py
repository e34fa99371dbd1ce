"""Drive a real QEMU: find it, start it paused, let it save or load a stream.

    from vmstate.qemu import capture, replay

    command = ["qemu-system-ppc64", "-machine", "pseries-7.2", "-m", "256"]
    capture(command, "guest.mig")
    replay("guest.mig", command).outcome        # "accept"

Needs the extra ``qemu-vmstate[qemu]`` (``qemu.qmp``), which is imported only when a QEMU is started.
"""

from __future__ import annotations

from vmstate.qemu.binary import Binary, find, find_all, identify
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import (
    QemuError,
    QemuNotFound,
    QemuRefused,
    QemuStalled,
    QmpRefused,
    QmpUnavailable,
)
from vmstate.qemu.replay import RealOutcome, RealVerdict, replay
from vmstate.qemu.session import Ended, Session

__all__ = [
    "Binary",
    "Ended",
    "QemuCommand",
    "QemuError",
    "QemuNotFound",
    "QemuRefused",
    "QemuStalled",
    "QmpRefused",
    "QmpUnavailable",
    "RealOutcome",
    "RealVerdict",
    "Session",
    "capture",
    "find",
    "find_all",
    "identify",
    "replay",
]
