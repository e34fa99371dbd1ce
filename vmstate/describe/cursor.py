"""The places that a codec reads from and writes to: a position in a buffer, a list of segments."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vmstate.describe.diagnostics import EINVAL, Diagnostic, LoadFailure, Printed
from vmstate.errors import NotModelled, Truncated, Unsupported, VmstateError

if TYPE_CHECKING:
    from vmstate.describe.nodes import TreeBuilder

SUBSECTION = 0x05  # QEMU_VM_SUBSECTION
_ZERO = bytes(16)
_WORD = struct.Struct(">I")


def signed(number: int, bits: int = 32) -> int:
    """Return ``number`` as C converts it to a signed integer of ``bits`` bits."""
    half = 1 << (bits - 1)
    return (number + half) % (2 * half) - half


class Cursor:
    """A reading position in ``data``; never reads at or beyond ``end``.

    ``judge``: True if a destination loads (hooks run, ``equal`` fields compare), False if a stream is only
    decoded.  ``diagnostics``: everything that a loader reports, in order.  ``tree``: if set, collects every
    field with its offsets.

    ``short`` is QEMU's file error: for a judge, a small read past the end returns zeros and sets it
    (qemu_get_byte, migration/qemu-file.c); the field that is being loaded then fails.  ``by_hand``: the
    reader is not a description but code that does not check for that error.
    """

    __slots__ = ("by_hand", "data", "diagnostics", "end", "judge", "pos", "short", "tree")

    def __init__(
        self,
        data: memoryview,
        pos: int = 0,
        end: int | None = None,
        *,
        judge: bool = False,
        tree: TreeBuilder | None = None,
    ) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else min(end, len(data))
        self.judge = judge
        self.diagnostics: list[Diagnostic] = []
        self.tree = tree
        self.short = False
        self.by_hand = False

    def fail(
        self, diagnostic: Diagnostic, message: str, *, ret: int = -EINVAL, **where: object
    ) -> LoadFailure:
        """Report ``diagnostic``; return the exception to raise, which says ``message`` and where."""
        self.diagnostics.append(diagnostic)
        return LoadFailure(ret, message, **{"offset": self.pos, **where})

    def unknown(self, what: str, *, offset: int | None = None) -> VmstateError:
        """Return the exception to raise where ``what`` is not modelled: a judge cannot judge further."""
        at = self.pos if offset is None else offset
        return NotModelled(what, offset=at) if self.judge else Unsupported(what, offset=at)

    def say(self, line: str) -> None:
        """Report a line that QEMU prints here."""
        self.diagnostics.append(Printed(line))

    def take(self, size: int) -> memoryview:
        """Return the next ``size`` bytes, not copied.  Raises Truncated if there are fewer.

        With ``by_hand``, missing bytes are zero; such a reader takes no unchecked ``size`` from the stream.
        """
        pos = self.pos
        if not 0 <= size <= self.end - pos:
            if self.by_hand and size >= 0:
                self.short, self.pos = True, self.end
                return memoryview(bytes(self.data[pos : self.end]).ljust(size, b"\0"))
            raise Truncated(size, max(0, self.end - pos), offset=pos)
        self.pos = pos + size
        return self.data[pos : pos + size]

    def number(self, size: int) -> memoryview | bytes:
        """Return the bytes of a number; a judge's read past the end returns zeros and sets ``short``."""
        pos = self.pos
        if size <= self.end - pos:
            self.pos = pos + size
            return self.data[pos : pos + size]
        if not self.judge:
            raise Truncated(size, self.end - pos, offset=pos)
        self.short = True
        self.pos = self.end
        return (bytes(self.data[pos : self.end]) + _ZERO)[:size]

    def byte(self) -> int:
        """Return the next byte."""
        pos = self.pos
        if pos < self.end:
            self.pos = pos + 1
            return self.data[pos]
        return self.number(1)[0]

    def word(self) -> int:
        """Return the next 32 bits as a number."""
        pos = self.pos
        if self.end - pos >= _WORD.size:
            self.pos = pos + _WORD.size
            number: int = _WORD.unpack_from(self.data, pos)[0]
            return number
        return int.from_bytes(self.number(_WORD.size), "big")

    def copies(self, start: int) -> int:
        """Return how many copies of the bytes from ``start`` to here follow, one behind the other."""
        data, size = self.data, self.pos - start
        one = bytes(data[start : self.pos])
        found, more = 0, 1
        while more:
            at = self.pos + found * size
            if more * size <= self.end - at and bytes(data[at : at + more * size]) == one * more:
                found += more
                more *= 2
            else:
                more //= 2
        return found

    def peek(self) -> int:
        """Return the next byte without consuming it; past the end 0, which sets ``short`` for a judge."""
        if self.pos < self.end:
            return self.data[self.pos]
        self.short = self.judge
        return 0


class Writer:
    """Written bytes as a list of segments; large views are not copied before they are joined.

    ``quiet``: run no hooks.  ``replay`` (quiet too): write a decoded state as it was read, with the
    subsections that it came with.
    """

    __slots__ = ("parts", "quiet", "replay", "size")

    def __init__(self, *, replay: bool = False, quiet: bool = False) -> None:
        self.replay = replay
        self.quiet = quiet or replay
        self.parts: list[bytes | bytearray | memoryview] = []
        self.size = 0

    def put(self, part: bytes | bytearray | memoryview) -> None:
        """Append bytes.  The caller must not change ``part`` afterwards."""
        self.parts.append(part)
        self.size += len(part)

    def join(self) -> bytes:
        """Return all segments as one bytes object."""
        return b"".join(self.parts)

    def join_in(self, room: Room) -> memoryview:
        """Return all segments as one view of ``room``, which is valid until the next one."""
        return room.filled(self.parts, self.size)


class Room:
    """Memory for one stream after another: to get new memory takes several times as long as to fill it."""

    def __init__(self) -> None:
        self._memory: memoryview | None = None

    def filled(self, parts: Iterable[bytes | bytearray | memoryview], size: int) -> memoryview:
        """Return a view, which is read-only, of ``parts`` one behind the other, ``size`` bytes in all."""
        if self._memory is None:  # there may never be another one
            self._memory = memoryview(bytearray())
            return memoryview(b"".join(parts))
        if size > len(self._memory):
            self._memory = memoryview(bytearray(size + size // 4))
        memory, at = self._memory, 0
        for part in parts:
            end = at + len(part)
            memory[at:end] = part
            at = end
        return memory[:size].toreadonly()
