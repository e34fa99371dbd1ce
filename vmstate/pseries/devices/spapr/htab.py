"""``spapr/htab``: the guest's hash page table (hw/ppc/spapr.c), empty in a guest that has not run."""

from __future__ import annotations

import struct

from vmstate.describe import Cursor, Writer
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import EINVAL, EOPNOTSUPP, LoadFailure, aborts
from vmstate.describe.history import History, Span
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.memory import hash_table_refusal

PTE_SIZE = 16
_CHUNK = struct.Struct(">IHH")  # the first entry's index, how many are valid and sent, how many are not
NO_TABLE = 0xFFFFFFFF
RADIX_KNOWN = Span(since="2.10")  # the header for a guest without a table

MOST_MEMORY = 1 << 46  # aligned to its own size, it fits into no process; less depends on the host
_NO_MEMORY = History(
    "Failed to allocate memory: Cannot allocate memory",
    ("7.0", "qemu_memalign: failed to allocate {size} bytes at alignment {size}: Cannot allocate memory"),
)
ASSERTION = "htab_load: Assertion `kvm_enabled()' failed."  # for entries without a table

#: A guest that receives a hash table does not use radix; 2.10 forgot that a destination may start with it.
_NOT_RADIX = History(False, ("2.11", True))

#: The error of a load that cannot have a table.
_REFUSED_WITH = History(EINVAL, ("5.2", EOPNOTSUPP))

_CHUNKS_FOLLOW, _NO_TABLE = bytes(4), b"\xff" * 4
_END = bytes(8)


class Htab(LiveDevice):
    """The table of a guest that has not run: ``shift`` is the base-2 logarithm of its bytes, 0 for none."""

    idstr = "spapr/htab"

    def __init__(self, machine: Machine, shift: int) -> None:
        super().__init__(machine)
        self.shift = shift

    def setup(self, out: Writer) -> None:
        """Write the table's size (htab_save_setup)."""
        out.put(self.shift.to_bytes(4, "big") if self.shift else _NO_TABLE)

    def iterate(self, out: Writer) -> None:
        """Write that no entry is valid (htab_save_iterate)."""
        out.put(_CHUNKS_FOLLOW + _END if self.shift else _NO_TABLE)

    def complete(self, out: Writer) -> None:
        """Write that no entry has become valid (htab_save_complete)."""
        self.iterate(out)

    def pass_ends(self) -> bool:
        """Return True if a pass ends: always with a table; without one, if the release reports the end."""
        return bool(self.shift) or bool(self.machine.rules.htab_pass_ends(self.machine))

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Load a new size, the absence of a table, or chunks of entries (htab_load).  Raises LoadFailure."""
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
            self._skip_chunks(cur)
            while self._chunk(cur):
                pass

    def _reallocate(self, cur: Cursor, shift: int) -> None:
        """Make a table of another size (spapr_reallocate_hpt); C shifts by the lower six bits only."""
        refusal = hash_table_refusal(self.machine, shift)
        if refusal is not None:
            self.say(refusal)
            code = _REFUSED_WITH.at(self.machine.release)
            raise LoadFailure(-code, refusal, offset=cur.pos, found=shift)
        size = 1 << (shift & 63)
        if size >= MOST_MEMORY:
            raise aborts(cur, _NO_MEMORY.at(self.machine.release).format(size=size))
        self.shift = shift
        if _NOT_RADIX.at(self.machine.release):
            for spapr in self.machine.registered(Spapr):
                spapr.patb_entry = 0

    @property
    def _entries(self) -> int:
        """The number of the table's entries."""
        return (1 << (self.shift & 63)) // PTE_SIZE

    def _skip_chunks(self, cur: Cursor) -> None:
        """Skip complete chunks of entries that the table has, which come by the ten thousand."""
        data, pos, most = cur.data, cur.pos, self._entries
        last, head = cur.end - _CHUNK.size, _CHUNK.unpack_from
        while pos <= last:
            index, valid, invalid = head(data, pos)
            behind = pos + _CHUNK.size + valid * PTE_SIZE
            if not 0 < index + valid + invalid <= most or behind > cur.end:
                break
            pos = behind
        cur.pos = pos

    def _chunk(self, cur: Cursor) -> bool:
        """Load any chunk; return False if no other one follows."""
        at = cur.pos
        index, valid, invalid = _CHUNK.unpack(cur.number(_CHUNK.size))
        if not index and not valid and not invalid:
            return False
        most = self._entries
        if (index + valid + invalid) & 0xFFFFFFFF > most:
            numbers = f"{signed(index)} ({signed(valid, 16)}+{signed(invalid, 16)} entries)"
            line = f"htab_load() bad index {numbers} in htab stream (htab_shift={signed(self.shift)})"
            cur.pos = at
            raise self._refuse(cur, line, index)
        if index > most:
            raise aborts(cur, None)  # the sum overflowed 32 bits, so QEMU writes far out of bounds
        size = valid * PTE_SIZE
        if size > cur.end - cur.pos:  # missing bytes read as zeros: no more chunks
            cur.short, cur.pos = True, cur.end
            return False
        cur.pos += size
        return True

    def _refuse(self, cur: Cursor, line: str, found: object) -> LoadFailure:
        self.say(line)
        return LoadFailure(-EINVAL, line, offset=cur.pos, found=found)
