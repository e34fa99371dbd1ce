"""Migration commands in a stream, obeyed as by a destination that has no source.

migration/savevm.c loadvm_process_command.  A captured stream has no source to answer: commands that need a
return path or a running postcopy are refused, as QEMU refuses them when the stream comes from a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Cursor
from vmstate.describe.diagnostics import CHAINED, EINVAL, EIO, Printed, aborts
from vmstate.describe.history import History, Release
from vmstate.savevm import diagnostics as r
from vmstate.stream.constants import COMMAND_LENGTHS, Command, SectionType

if TYPE_CHECKING:
    from vmstate.savevm.loader import Loader

EAGAIN, ERANGE = 11, 34
MAX_PACKAGED = History(1 << 24, ("2.12", (1 << 32) - 1))  # MAX_VM_CMD_PACKAGED_SIZE
#: How deep packages may nest before they exhaust the stack of 1 MiB, as measured with Debian's builds.
DEEPEST = History(7000, ("7.2", 5000), ("10.0", 7000), ("11.0", 2200))


@dataclass(frozen=True, slots=True)
class MigCmdArgs:
    """A row of ``mig_cmd_args``: data length in bytes (None: it varies); ``named``: QEMU's row has a name."""

    command: Command
    length: int | None
    named: bool = True

    @property
    def name(self) -> str:
        """The command's name, without ``MIG_CMD_``."""
        return self.command.name


def _row(command: Command, *, named: bool = True) -> MigCmdArgs:
    lengths = COMMAND_LENGTHS.get(command, frozenset())
    return MigCmdArgs(command, next(iter(lengths)) if len(lengths) == 1 else None, named)


_FIRST = tuple(_row(command) for command in Command if command <= Command.PACKAGED)
_COLO = _row(Command.ENABLE_COLO, named=False)
_RESUME = (_row(Command.POSTCOPY_RESUME), _row(Command.RECV_BITMAP))
# A command's number is its place in the table: ENABLE_COLO was inserted before two existing commands.
COMMANDS = History(
    tuple(replace(row, length=16) if row.command is Command.POSTCOPY_ADVISE else row for row in _FIRST),
    ("2.11", _FIRST),
    ("3.0", (*_FIRST, *_RESUME)),
    ("3.1", (*_FIRST, _COLO, *_RESUME)),
    ("10.0", (*_FIRST, _COLO, *_RESUME, _row(Command.SWITCHOVER_START))),
)

#: The effect of ENABLE_COLO: at first it needs no capability, and makes the destination wait for its
#: source's checkpoints; later it is refused; then the command is gone.
COLO_NEEDS_CAPABILITY, COLO_GONE = "8.1", "11.1"
COLO = History("begins", (COLO_NEEDS_CAPABILITY, "refused"), (COLO_GONE, "gone"))
NAMES_FUNCTION = History("loadvm_handle_recv_bitmap: ", (CHAINED, ""))
RESUME_WARNS = History("", (CHAINED, "warning: "))
_ILLEGAL_RESUME = "loadvm_postcopy_handle_resume: illegal resume received"


_HEAD = struct.Struct(">HH")
_BARE = 1 + _HEAD.size  # the size of a command without data, with its mark
#: The command before a package.
_OPENS = bytes([SectionType.COMMAND]) + _HEAD.pack(Command.PACKAGED, 4)


@cache
def _limits(release: Release) -> tuple[tuple[MigCmdArgs, ...], int, int]:
    """Return a release's commands, the size of its largest package, and how deep packages may nest."""
    return COMMANDS.at(release), MAX_PACKAGED.at(release), DEEPEST.at(release)


@cache
def _handlers(release: Release) -> tuple[Callable[[Commands, int], None] | None, ...]:
    """Return what obeys each of a release's commands, by its number."""
    return tuple(getattr(Commands, f"_{row.name.lower()}", None) for row in COMMANDS.at(release))


class Commands:
    """The processor of migration commands for one loader.

    While a package is loaded, the loader's cursor is in the innermost one.  ``file``: the stream itself, from
    which some commands in a package take their data.  ``colo``: set by ENABLE_COLO.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.table, self.largest, self.deepest = _limits(loader.release)
        self.handlers = _handlers(loader.release)
        self.file = loader.cur
        self.colo = False
        self._return_path = False
        self._postcopy = 0  # PostcopyState: none, advised
        self._around: list[tuple[Cursor, int]] = []  # with the place where each goes on

    def leave(self) -> bool:
        """Continue after the package that has just been loaded; return False outside of a package."""
        if not self._around:
            return False
        around, place = self._around.pop()
        if around is not self.file:  # which the packages have moved
            around.pos = place
        self.loader.cur = around
        return True

    def process(self) -> None:
        """Read and execute one command.  Raises LoadFailure."""
        loader, cur = self.loader, self.loader.cur
        start = cur.pos - 1
        if cur.end - cur.pos < _HEAD.size:
            cur.short, cur.pos = True, cur.end
            raise loader.fail(r.CommandUnreadable(-EIO), "command", ret=-EIO)
        number, length = _HEAD.unpack_from(cur.data, cur.pos)
        cur.pos += _HEAD.size
        if not 0 < number < len(self.table):
            raise loader.fail(r.CommandUnknown(number, length), "unknown command", offset=start, found=number)
        command = self.table[number]
        if command.length not in (None, length):
            name = command.name if command.named else "(null)"
            report = r.CommandLength(name, command.length or 0, length)
            raise loader.fail(
                report, "command length", ret=-ERANGE, offset=start, expected=command.length, found=length
            )
        handler = self.handlers[number]
        if handler is None:
            raise self._refuse(f"CMD_{command.name} in wrong postcopy state ({self._postcopy})", -1)
        handler(self, length)

    def _repeat(self, line: str | None = None) -> None:
        """Obey the copies of a command without data that follow it too; it and each of them say ``line``."""
        cur = self.loader.cur
        times = cur.copies(cur.pos - _BARE)
        cur.pos += times * _BARE
        if line is not None:
            cur.diagnostics += [Printed(line)] * (1 + times)

    def _refuse(self, text: str, ret: int) -> Exception:
        return self.loader.fail(r.CommandRefused(text), "command refused", ret=ret)

    def _open_return_path(self, _: int) -> None:
        if self._return_path:
            self._repeat("CMD_OPEN_RETURN_PATH called when RP already open")
        self._return_path = True

    def _ping(self, _: int) -> None:
        value = int.from_bytes(self.loader.cur.number(4), "big")
        if not self._return_path:
            raise self._refuse(f"CMD_PING ({value:#x}) received with no return path", -1)

    def _postcopy_advise(self, length: int) -> None:
        if self._postcopy:
            raise self._refuse(f"CMD_POSTCOPY_ADVISE in wrong postcopy state ({self._postcopy})", -1)
        self._postcopy = 1
        if length == 16:
            raise self._refuse("RAM postcopy is disabled but have 16 byte advise", -EINVAL)
        if length:
            raise self._refuse(f"CMD_POSTCOPY_ADVISE invalid length ({length})", -EINVAL)

    def _postcopy_ram_discard(self, length: int) -> None:
        """Check a request to discard pages, up to the pages (loadvm_postcopy_ram_handle_discard)."""
        name = "CMD_POSTCOPY_RAM_DISCARD"
        if not self._postcopy:
            raise self._refuse(f"{name} in wrong postcopy state (0)", -1)
        if length < 20:
            raise self._refuse(f"{name} invalid length ({length})", -1)
        version = self.file.byte()
        if version:
            raise self._refuse(f"{name} invalid version ({version})", -1)
        size = self.file.byte()
        if not size or size > self.file.end - self.file.pos:
            raise self._refuse(f"{name} Failed to read RAMBlock ID", -1)
        self.file.take(size)
        end = self.file.byte()
        if end:
            raise self._refuse(f"{name} missing nil ({end})", -1)

    def _postcopy_resume(self, _: int) -> None:
        self._repeat(RESUME_WARNS.at(self.loader.release) + _ILLEGAL_RESUME)

    def _recv_bitmap(self, length: int) -> None:
        """Check a request for a bitmap, which cannot be sent without a source (loadvm_handle_recv_bitmap)."""
        where = NAMES_FUNCTION.at(self.loader.release)
        size = self.file.byte()
        if not size or size > self.file.end - self.file.pos:
            raise self._refuse(f"{where}failed to read block name", -EINVAL)
        name = str(self.file.take(size), "utf-8", "replace").split("\0", 1)[0]
        if length != size + 1:
            raise self._refuse(f"{where}invalid payload length ({length})", -EINVAL)
        memory = self.loader.find("ram", 0)
        if memory is None or memory.block(name) is None:  # type: ignore[attr-defined]
            raise self._refuse(f"{where}block '{name}' not found", -EINVAL)
        text = "migrate_send_rp_recv_bitmap: MSG_RP_RECV_BITMAP only used for recovery"
        self.loader.cur.say(text)

    def _enable_colo(self, length: int) -> None:
        effect = COLO.at(self.loader.release)
        if effect == "gone":
            number = self.table.index(_COLO)
            raise self._refuse(f"MIG_CMD {number:#x} deprecated (len {length:#x})", -EINVAL)
        if effect == "refused":
            text = "ENABLE_COLO command come in migration stream, but x-colo capability is not set"
            raise self._refuse(text, -EINVAL)
        self.colo = True
        self._repeat()

    def _switchover_start(self, _: int) -> None:
        self._repeat()

    def _packaged(self, _: int) -> None:
        """Enter a package; its length and content come from the stream, even in a package."""
        loader, file = self.loader, self.file
        length = file.word()
        if length > self.largest:
            raise self._refuse(f"Unreasonably large packaged state: {length}", -1)
        available = file.end - file.pos
        if length > available:
            text = f"CMD_PACKAGED: Buffer receive fail ret={available} length={length}"
            raise self._refuse(text, -EAGAIN)
        if len(self._around) >= self.deepest:
            raise aborts(loader.cur, None)  # each package uses some of the stack
        package = Cursor(file.take(length), judge=True)
        package.diagnostics = file.diagnostics
        self._around.append((loader.cur, loader.cur.pos))
        if package.data[:_BARE] == _OPENS:
            self._nest(package)
        loader.cur = package

    def _nest(self, package: Cursor) -> None:
        """Enter the copies of a package that follow it in the file: each is opened by the one before it."""
        size = 4 + package.end
        levels = min(self.file.copies(self.file.pos - size), self.deepest - len(self._around))
        self.file.pos += levels * size
        self._around += [(package, _BARE)] * levels
