"""Where a codec reads and writes: a position in a buffer, and a list of segments."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vmstate.describe.diagnostics import EINVAL, Diagnostic, LoadFailure, Printed
from vmstate.errors import Truncated

if TYPE_CHECKING:
    from vmstate.describe.nodes import TreeBuilder

SUBSECTION = 0x05  # QEMU_VM_SUBSECTION
_ZERO = bytes(16)
_WORD = struct.Struct(">I")


def signed(number: int, bits: int = 32) -> int:
    """``number`` as C takes it for a signed integer of so many bits."""
    half = 1 << (bits - 1)
    return (number + half) % (2 * half) - half


class Cursor:
    """A reading position in ``data``; never reads at or beyond ``end``.

    ``judge``: true when a destination loads (hooks run, ``equal`` fields compare), false when a
    stream is only decoded.  ``diagnostics`` collects what happened, in order.
    ``tree``: if set, every field is noted there with its offsets.

    ``short`` is QEMU's file error: for a judge, a small read past the end gives zeros and sets it
    (qemu_get_byte, migration/qemu-file.c); the field that was being loaded then fails.
    ``by_hand``: it does not, as no description is loaded, but code that does not look for that error.
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

    def say(self, line: str) -> None:
        """Report a line that QEMU prints here."""
        self.diagnostics.append(Printed(line))

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes, not copied.  Raises Truncated if they are not all there.

        By hand, what is not there is zero; who reads so takes no ``size`` unseen from the stream.
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
        """Like take for the few bytes of a number, but a judge's short reads give zeros and set ``short``."""
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
        """The next byte."""
        pos = self.pos
        if pos < self.end:
            self.pos = pos + 1
            return self.data[pos]
        return self.number(1)[0]

    def word(self) -> int:
        """The next 32 bits."""
        pos = self.pos
        if self.end - pos >= _WORD.size:
            self.pos = pos + _WORD.size
            number: int = _WORD.unpack_from(self.data, pos)[0]
            return number
        return int.from_bytes(self.number(_WORD.size), "big")

    def peek(self) -> int:
        """The next byte without consuming it; 0 past the end, where a judge has asked too much."""
        if self.pos < self.end:
            return self.data[self.pos]
        self.short = self.judge
        return 0


class Writer:
    """Bytes to be, as a list of segments; large views are kept, not copied, until they are joined.

    ``quiet``: run no hooks.  ``replay`` (quiet too): write a decoded state as it was read, with the
    subsections that were there.
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
        """All segments as one bytes object."""
        return b"".join(self.parts)
