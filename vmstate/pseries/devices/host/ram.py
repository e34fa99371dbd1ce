"""``ram``: guest memory (migration/ram.c), as a machine sends it whose pages are all zero.

START lists the blocks, one PART has every page, END what the guest has written since (nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vmstate.describe import Cursor, Writer
from vmstate.pseries.board.board import RamBlock
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.machine import Machine
from vmstate.stream.constants import RamFlag

if TYPE_CHECKING:
    import numpy

PAGE_BITS = 12
PAGE_SIZE = 1 << PAGE_BITS
# Plain numbers: an enum's operators cost more than the records.
ZERO, MEM_SIZE, PAGE = int(RamFlag.ZERO), int(RamFlag.MEM_SIZE), int(RamFlag.PAGE)
EOS, CONTINUE = int(RamFlag.EOS), int(RamFlag.CONTINUE)
RECORD = 9  # a zero page of the block of the record before: its address with flags, the byte that fills it
RUN_PAGES = 1 << 16

_END = EOS.to_bytes(8, "big")


def in_list_order(blocks: Sequence[RamBlock]) -> list[RamBlock]:
    """RAMBlocks from the largest to the smallest; of two of a size, the one made first (ram_block_add)."""
    return sorted(blocks, key=lambda block: -max(block.used_length, block.max_length))


@lru_cache(maxsize=64)
def zero_run(first_page: int, pages: int) -> bytes:
    """So many zero-page records, each of the same block as the record before it; shared, never copied."""
    import numpy as np

    records = np.zeros((pages, RECORD), dtype=np.uint8)
    records[:, :8] = _addresses(first_page, pages).view(np.uint8).reshape(-1, 8)
    return records.tobytes()


def _addresses(first_page: int, pages: int) -> numpy.ndarray[Any, Any]:
    import numpy as np

    page = np.arange(first_page, first_page + pages, dtype=np.uint64)
    return (page << np.uint64(PAGE_BITS) | np.uint64(ZERO | CONTINUE)).astype(">u8")


def runs(pages: int) -> list[tuple[int, int]]:
    """How the pages of a block, from the second on, are cut: (first page, count) of each shared run."""
    cuts = [(at, min(RUN_PAGES, pages - at)) for at in range(0, pages, RUN_PAGES)]
    return [(at or 1, count if at else count - 1) for at, count in cuts if at or count > 1]


class Ram(LiveDevice):
    """All RAM blocks of a machine; ``blocks`` in any order.

    ``first_page``: whose the first page is, where the machine puts its firmware as it starts.
    """

    idstr = "ram"
    version_id = 4

    def __init__(self, machine: Machine, blocks: Sequence[RamBlock]) -> None:
        super().__init__(machine)
        self.blocks = in_list_order(blocks)
        self.last: RamBlock | None = None
        self.first_page = "the machine's own firmware"

    def block(self, name: str) -> RamBlock | None:
        """The block of that name."""
        return next((block for block in self.blocks if block.name == name), None)

    def resize(self, block: RamBlock, length: int) -> None:
        """A block has the source's length now."""
        self.blocks[self.blocks.index(block)] = replace(block, used_length=length)

    def setup(self, out: Writer) -> None:
        """The list of blocks (ram_save_setup)."""
        total = sum(block.used_length for block in self.blocks)
        out.put((total | MEM_SIZE).to_bytes(8, "big"))
        for block in self.blocks:
            out.put(block.header + block.used_length.to_bytes(8, "big"))
        out.put(_END)

    def iterate(self, out: Writer) -> None:
        """Every page of every block, as zeros (ram_save_iterate)."""
        for block in self.blocks if self.machine.rules.sends_zero_pages(self.machine) else ():
            out.put(ZERO.to_bytes(8, "big") + block.header + b"\0")
            for first, pages in runs(block.used_length >> PAGE_BITS):
                out.put(zero_run(first, pages))
        out.put(_END)

    def complete(self, out: Writer) -> None:
        """Nothing has changed since (ram_save_complete)."""
        out.put(_END)

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Read records up to the end of the section (ram_load).  Raises LoadFailure, Truncated."""
        from vmstate.pseries.devices.host.ram_load import RamLoader

        RamLoader(self, cur, version_id).run()
