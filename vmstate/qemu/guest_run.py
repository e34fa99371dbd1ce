"""A guest in a real QEMU, for histories: it boots from files, and answers when devices come and go.

A guest is ready when its console shows READY.  It has answered when its event log is empty and the connectors
that its kernel looks after are at rest; what is not at rest after a while is left so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from vmstate.containers import open_input
from vmstate.dataclass import dataclass, replace
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.connectors import TYPE_SHIFT, DrcType
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.devices.spapr.spapr_drc import SPAPR_DRC
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuStalled
from vmstate.qemu.session import Session
from vmstate.simulate.hotplug import KEPT, REFUSED, RELEASED
from vmstate.stream import open_stream

#: Text that the guest's first program prints when it has started all drivers.
READY = "READY-NOW"
#: Seconds of one look at a guest, of waiting for its answers, and of its boot.
_LOOK, _PATIENCE, _LONGEST_BOOT = 0.5, 12.0, 300.0
_NO_CONSOLE = ("-serial", "null")
_PENDING, _LOG = b"spapr_pending_events", 0


@dataclass(frozen=True)
class GuestFiles:
    """The image of a kernel and its first file system, whose ``/init`` prints READY and then waits."""

    kernel: Path
    initrd: Path


@dataclass
class GuestRun:
    """A guest on one QEMU; ``running``: it is not stopped; ``booted``: the machine was not reset since.

    ``console``: the file of its console, ``stream``: a file for streams at which it looks.  ``said``: its
    answer to the last request to release memory; ``waiting_memory``: the connectors not at rest then.
    """

    guest: Guest
    files: Mapping[str, GuestFiles]
    console: Path
    stream: Path
    running: bool = False
    booted: bool = True
    said: str = ""
    waiting_memory: frozenset[int] = frozenset()

    def command(self, command: QemuCommand) -> QemuCommand:
        """Return the command line with which this guest boots.  Raises ConfigurationError."""
        files = self.files.get(self.guest.kernel.name)
        if files is None:
            raise ConfigurationError(f"the files of {self.guest.kernel.name} are not given")
        words, first = list(command.arguments), len(_NO_CONSOLE)
        at = [n for n in range(len(words)) if tuple(words[n : n + first]) == _NO_CONSOLE]
        if len(at) != 1:
            raise ConfigurationError("a guest that boots needs `-serial null` once, for its console")
        words[at[0] : at[0] + first] = ["-serial", f"file:{self.console}"]
        more = " ".join(("console=hvc0", *self.guest.words))
        boot = ["-kernel", str(files.kernel), "-initrd", str(files.initrd), "-append", more]
        return replace(command, arguments=(*words, *boot))

    def boot(self, qemu: Session) -> None:
        """Let the machine, which was reset, run until the guest is ready."""
        self.console.write_bytes(b"")
        qemu.execute("cont")
        self.running = self.booted = True
        self._wait_until_ready(qemu)

    def reset(self, qemu: Session) -> None:
        """Follow a reset of the machine: a guest that runs boots again."""
        self.booted = False
        if self.running:
            self.boot(qemu)

    def cont(self, qemu: Session) -> None:
        """Let a stopped machine run: the guest goes on, or boots after a reset."""
        if not self.booted:
            self.boot(qemu)
            return
        qemu.execute("cont")
        self.running = True

    def _wait_until_ready(self, qemu: Session) -> None:
        """Wait for the guest.  Raises QemuStalled if it takes too long."""
        end = time.monotonic() + _LONGEST_BOOT
        while READY.encode() not in self.console.read_bytes():
            if time.monotonic() > end:
                raise QemuStalled(f"{self.guest.text} did not print {READY}", qemu.finish().messages)
            qemu.sleep(_LOOK)
            qemu.execute("query-status")

    def settle(self, qemu: Session) -> None:
        """Wait until a running guest has answered."""
        end = time.monotonic() + _PATIENCE
        while self.running and time.monotonic() < end:
            qemu.sleep(_LOOK)
            qemu.execute("stop")
            save_stream(qemu, self.stream)
            qemu.execute("cont")
            if not self.is_waiting():
                return

    def note_answer(self, qemu: Session, module: str) -> None:
        """Note what a running guest did when it was asked to release a module."""
        before = self.waiting_memory
        self.settle(qemu)
        if module not in devices(qemu):
            self.said = RELEASED
        else:
            self.said = KEPT if self.waiting_memory - before else REFUSED

    def take_answer(self) -> str:
        """Return what the guest said, once."""
        said, self.said = self.said, ""
        return said

    def is_waiting(self) -> bool:
        """Return True if events wait in the log, or a connector of the kernel's is not at rest."""
        kinds = self.guest.kernel.answers or frozenset()
        found = list(self._look())
        self.waiting_memory = frozenset(one for one in found if one >> TYPE_SHIFT == DrcType.LMB)
        return any(one == _LOG or one >> TYPE_SHIFT in kinds for one in found)

    def _look(self) -> Iterator[int]:
        """Yield the indexes of connectors that are not at rest, and _LOG if events wait."""
        with open_input(str(self.stream)) as opened:
            for section in open_stream(opened.data).sections:
                if section.idstr == SPAPR_DRC.name:
                    yield section.instance_id
                payload = opened.data[section.payload_start : section.payload_end]
                if section.idstr == Spapr.description.name and _PENDING in bytes(payload):
                    yield _LOG


def devices(qemu: Session) -> dict[str, str]:
    """Return the types of the devices that have an id."""
    listed = qemu.execute("qom-list", path="/machine/peripheral")
    return {one["name"]: one["type"] for one in listed}
