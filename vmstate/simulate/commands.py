"""Migration commands in a stream, as a destination without a source obeys them.

migration/savevm.c loadvm_process_command.  A captured stream has nobody to answer: what needs a return
path or a running postcopy is refused, as QEMU refuses it when the stream comes from a file.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmstate.describe.history import History
from vmstate.describe.reports import EINVAL, EIO
from vmstate.simulate import reports as r

if TYPE_CHECKING:
    from vmstate.simulate.loader import Loader

ERANGE = 34
MAX_PACKAGED = 16 << 20  # MAX_VM_CMD_PACKAGED_SIZE


@dataclass(frozen=True, slots=True)
class Command:
    """A command's name and data length; None: it varies."""

    name: str
    length: int | None


_FIRST = (
    Command("INVALID", None),
    Command("OPEN_RETURN_PATH", 0),
    Command("PING", 4),
    Command("POSTCOPY_ADVISE", None),
    Command("POSTCOPY_LISTEN", 0),
    Command("POSTCOPY_RUN", 0),
    Command("POSTCOPY_RAM_DISCARD", None),
    Command("PACKAGED", 4),
)
_COLO = Command("ENABLE_COLO", 0)
_RESUME = (Command("POSTCOPY_RESUME", 0), Command("RECV_BITMAP", None))
# The numbers are positions: ENABLE_COLO went in before two that were there already.
COMMANDS = History(
    (*_FIRST[:3], Command("POSTCOPY_ADVISE", 16), *_FIRST[4:]),
    ("2.11", _FIRST),
    ("3.0", (*_FIRST, *_RESUME)),
    ("3.1", (*_FIRST, _COLO, *_RESUME)),
    ("10.0", (*_FIRST, _COLO, *_RESUME, Command("SWITCHOVER_START", 0))),
)


class Commands:
    """Obeys commands for one loader; ``quit`` is set by a command that ends the loading."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.table = COMMANDS.at(loader.release)
        self.quit = False
        self._return_path = False

    def process(self) -> None:
        """Read one command and do what it says.  Raises LoadFailure."""
        loader, cur = self.loader, self.loader.cur
        start = cur.pos - 1
        number, length = (int.from_bytes(cur.number(2), "big") for _ in range(2))
        if cur.short:
            raise loader.fail(r.CommandUnreadable(-EIO), "command", ret=-EIO)
        if not 0 < number < len(self.table):
            raise loader.fail(r.CommandUnknown(number, length), "unknown command", offset=start, found=number)
        command = self.table[number]
        if command.length not in (None, length):
            report = r.CommandLength(command.name, command.length or 0, length)
            raise loader.fail(
                report, "command length", ret=-ERANGE, offset=start, expected=command.length, found=length
            )
        handler = getattr(self, f"_{command.name.lower()}", None)
        if handler is None:
            raise self._refuse(f"CMD_{command.name} in wrong postcopy state (0)", -1)
        handler(length)

    def _refuse(self, text: str, ret: int) -> Exception:
        return self.loader.fail(r.CommandRefused(text), "command refused", ret=ret)

    def _open_return_path(self, _: int) -> None:
        if self._return_path:
            self.loader.cur.reports.append("CMD_OPEN_RETURN_PATH called when RP already open")
        self._return_path = True

    def _ping(self, _: int) -> None:
        value = int.from_bytes(self.loader.cur.number(4), "big")
        if not self._return_path:
            raise self._refuse(f"CMD_PING ({value:#x}) received with no return path", -1)

    def _postcopy_advise(self, length: int) -> None:
        if length == 16:
            raise self._refuse("RAM postcopy is disabled but have 16 byte advise", -EINVAL)
        if length:
            raise self._refuse(f"CMD_POSTCOPY_ADVISE invalid length ({length})", -EINVAL)

    def _postcopy_resume(self, _: int) -> None:
        self.loader.cur.reports.append("loadvm_postcopy_handle_resume: illegal resume received")

    def _switchover_start(self, _: int) -> None:
        return None

    def _packaged(self, _: int) -> None:
        loader = self.loader
        length = int.from_bytes(loader.cur.number(4), "big")
        if length > MAX_PACKAGED:
            raise self._refuse(f"Unreasonably large packaged state: {length}", -1)
        body = loader.cur.take(length)
        inner = copy.copy(loader)
        inner.cur = copy.copy(loader.cur)
        inner.cur.data, inner.cur.pos, inner.cur.end = body, 0, len(body)
        ret = inner.sections()
        loader.decided_by = inner.decided_by
        if ret < 0:
            raise loader.fail(r.CommandRefused(""), "packaged stream", ret=ret)
