"""``spapr/htab``: the guest's hash page table (hw/ppc/spapr.c), which an idle guest has not filled."""

from __future__ import annotations

from vmstate.describe import Cursor, Writer
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import EINVAL, LoadFailure, aborts
from vmstate.describe.history import History, Span
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.machine import Machine

PTE_SIZE = 16
NO_TABLE = 0xFFFFFFFF
RADIX_KNOWN = Span(since="2.10")  # the header that says that there is no table

MOST_MEMORY = 1 << 46  # aligned to itself, no process has room for it; less is the host's business
_NO_MEMORY = History(
    "Failed to allocate memory: Cannot allocate memory",
    ("7.0", "qemu_memalign: failed to allocate {size} bytes at alignment {size}: Cannot allocate memory"),
)
ASSERTION = "htab_load: Assertion `kvm_enabled()' failed."  # of a table's entries, where there is none

#: Whoever gets a hash table is not radix; 2.10 forgot that a destination may have started so.
_NOT_RADIX = History(False, ("2.11", True))

_CHUNKS_FOLLOW, _NO_TABLE = bytes(4), b"\xff" * 4
_END = bytes(8)


class Htab(LiveDevice):
    """The table of a guest that has not run: ``shift`` is the base-2 logarithm of its bytes, 0 for none."""

    idstr = "spapr/htab"

    def __init__(self, machine: Machine, shift: int) -> None:
        super().__init__(machine)
        self.shift = shift

    def setup(self, out: Writer) -> None:
        """The table's size (htab_save_setup)."""
        out.put(self.shift.to_bytes(4, "big") if self.shift else _NO_TABLE)

    def iterate(self, out: Writer) -> None:
        """No entry is valid (htab_save_iterate)."""
        out.put(_CHUNKS_FOLLOW + _END if self.shift else _NO_TABLE)

    def complete(self, out: Writer) -> None:
        """Nor has one become so (htab_save_complete)."""
        self.iterate(out)

    def pass_ends(self) -> bool:
        """A table that is there is gone through; one that is not must say so."""
        return bool(self.shift) or bool(self.machine.rules.htab_pass_ends(self.machine))

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """A new size, that there is none, or chunks of entries (htab_load).  Raises LoadFailure."""
        if version_id != self.version_id:
            raise self._refuse(cur, "htab_load() bad version", version_id)
        header = int.from_bytes(cur.number(4), "big")
        if header == NO_TABLE and RADIX_KNOWN.covers(self.machine.release):
            self.shift = 0
        elif header:
            self._reallocate(cur, header)
        elif not self.shift:
            raise aborts(cur, ASSERTION)
        else:
            while self._chunk(cur):
                pass

    def _reallocate(self, cur: Cursor, shift: int) -> None:
        """A table of another size (spapr_reallocate_hpt); C shifts by the lower six bits only."""
        size = 1 << (shift & 63)
        if size >= MOST_MEMORY:
            raise aborts(cur, _NO_MEMORY.at(self.machine.release).format(size=size))
        self.shift = shift
        if _NOT_RADIX.at(self.machine.release):
            for spapr in self.machine.registered(Spapr):
                spapr.patb_entry = 0

    def _chunk(self, cur: Cursor) -> bool:
        at = cur.pos
        head = cur.number(8)
        index = int.from_bytes(head[:4], "big")
        valid, invalid = int.from_bytes(head[4:6], "big"), int.from_bytes(head[6:8], "big")
        if not index and not valid and not invalid:
            return False
        most = (1 << (self.shift & 63)) // PTE_SIZE
        if (index + valid + invalid) & 0xFFFFFFFF > most:
            numbers = f"{signed(index)} ({signed(valid, 16)}+{signed(invalid, 16)} entries)"
            line = f"htab_load() bad index {numbers} in htab stream (htab_shift={signed(self.shift)})"
            cur.pos = at
            raise self._refuse(cur, line, index)
        if index > most:
            raise aborts(
                cur, None
            )  # the sum was cut to 32 bits, so nothing keeps it from writing far outside
        size = valid * PTE_SIZE
        if size > cur.end - cur.pos:  # what is missing is read as zeros: no more chunks
            cur.short, cur.pos = True, cur.end
            return False
        cur.pos += size
        return True

    def _refuse(self, cur: Cursor, line: str, found: object) -> LoadFailure:
        self.say(line)
        return LoadFailure(-EINVAL, line, offset=cur.pos, found=found)
