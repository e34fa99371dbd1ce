"""The ``spapr/htab`` section (QEMU hw/ppc/spapr.c): the hash page table of a pseries guest."""

from __future__ import annotations

import struct
from array import array

from vmstate.dataclass import dataclass, field
from vmstate.stream.sections.handlers import LiveContext, records, register
from vmstate.stream.wire import Window

HPTE_SIZE = 16
NO_TABLE = 0xFFFFFFFF
_CHUNK = struct.Struct(">IHH")


@dataclass
class HtabChunks:
    """Chunks in stream order, as parallel arrays: first entry, valid and invalid entries, data offset."""

    index: array[int] = field(default_factory=lambda: array("L"))
    n_valid: array[int] = field(default_factory=lambda: array("H"))
    n_invalid: array[int] = field(default_factory=lambda: array("H"))
    data: array[int] = field(default_factory=lambda: array("Q"))


@register("spapr/htab")
class Htab:
    """The contents of the htab sections.

    ``shift``: log2 of the table's size in bytes, None when the guest has none (radix; 2.10+);
    ``chunks``: the parts of the table that were sent.
    """

    bulky = False

    def __init__(self, context: LiveContext) -> None:
        self.shift: int | None = None
        self.chunks = HtabChunks()
        self._in_chunks = False

    def skip(self, start: int, end: int) -> None:
        """Forget unfinished chunks: the next payload begins with a header again."""
        self._in_chunks = False

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read a header (size, none, or zero), and after zero the chunks up to an empty one (htab_load)."""
        return records(self._record, win, at)

    def _record(self, win: Window, at: int) -> tuple[int, bool]:
        if not self._in_chunks:
            header = win.u32(at)
            if header:
                self.shift = None if header == NO_TABLE else header
                return at + 4, True
            self._in_chunks = True
            return at + 4, False
        index, n_valid, n_invalid = _CHUNK.unpack(win.take(at, _CHUNK.size))
        if not (index or n_valid or n_invalid):
            self._in_chunks = False
            return at + 8, True
        win.take(at + 8, n_valid * HPTE_SIZE)
        self.chunks.index.append(index)
        self.chunks.n_valid.append(n_valid)
        self.chunks.n_invalid.append(n_invalid)
        self.chunks.data.append(at + 8)
        return at + 8 + n_valid * HPTE_SIZE, False
