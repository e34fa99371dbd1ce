"""``ram``: guest memory (migration/ram.c), as sent by a machine whose pages are all zero.

START lists the blocks, one PART has every page, END the pages that the guest has written since (none).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from vmstate.dataclass import replace
from vmstate.describe import Cursor, Writer
from vmstate.pseries.board.board import RamBlock
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.machine import Machine
from vmstate.stream.constants import RamFlag

PAGE_BITS = 12
PAGE_SIZE = 1 << PAGE_BITS
# Plain numbers: an enum's operators cost more than the records.
ZERO, MEM_SIZE, PAGE = int(RamFlag.ZERO), int(RamFlag.MEM_SIZE), int(RamFlag.PAGE)
EOS, CONTINUE = int(RamFlag.EOS), int(RamFlag.CONTINUE)
RECORD = 9  # bytes of a zero page in the previous record's block: its address with flags, the fill byte
RUN_PAGES = 1 << 16

_END = EOS.to_bytes(8, "big")


def in_list_order(blocks: Sequence[RamBlock]) -> list[RamBlock]:
    """Return RAMBlocks from the largest to the smallest, then in order of creation (ram_block_add)."""
    return sorted(blocks, key=lambda block: -max(block.used_length, block.max_length))


@lru_cache(maxsize=64)
def zero_run(first_page: int, pages: int) -> bytes:
    """Return that many zero-page records, each in the previous record's block; shared, never copied."""
    begin = first_page % RUN_PAGES
    if begin + pages > RUN_PAGES:
        raise ValueError(f"{pages} pages from {first_page} on are not in one run")
    # Addresses differ in three bytes; above are those of the run, below are the flags.
    high = (first_page // RUN_PAGES << 4).to_bytes(5, "big")
    records = bytearray(RECORD * pages)
    for place, value in enumerate(high[:4]):
        if value:
            records[place::RECORD] = bytes([value]) * pages
    for place, column in enumerate(_columns(), 4):
        records[place::RECORD] = column[begin : begin + pages]
    if high[4]:
        records[4::RECORD] = records[4::RECORD].translate(bytes(value | high[4] for value in range(256)))
    records[7::RECORD] = bytes([ZERO | CONTINUE]) * pages
    return bytes(records)


@cache
def _columns() -> tuple[bytes, bytes, bytes]:
    """Return the bytes 4, 5 and 6 of the addresses of one run's pages."""
    one_nibble, one_byte = bytes(range(0, 256, 16)), bytes(range(256))
    many = (value.to_bytes() * 16 for value in one_byte)
    return b"".join(v.to_bytes() * 4096 for v in range(16)), b"".join(many) * 16, one_nibble * 4096


def runs(pages: int) -> list[tuple[int, int]]:
    """Split the pages of a block, from the second on, into shared runs: (first page, count)."""
    cuts = [(at, min(RUN_PAGES, pages - at)) for at in range(0, pages, RUN_PAGES)]
    return [(at or 1, count if at else count - 1) for at, count in cuts if at or count > 1]


class Ram(LiveDevice):
    """All RAM blocks of a machine; ``blocks`` in any order.

    ``first_page``: the origin of the first page, where the machine puts its firmware at start.
    """

    idstr = "ram"
    version_id = 4

    def __init__(self, machine: Machine, blocks: Sequence[RamBlock]) -> None:
        super().__init__(machine)
        self.blocks = in_list_order(blocks)
        self.last: RamBlock | None = None
        self.first_page = "the machine's own firmware"

    def block(self, name: str) -> RamBlock | None:
        """Return the block of that name, or None."""
        return next((block for block in self.blocks if block.name == name), None)

    def replace_blocks(self, blocks: Sequence[RamBlock]) -> None:
        """Take the blocks of the current devices; those that are there already stay as they are."""
        self.blocks = in_list_order([self.block(block.name) or block for block in blocks])

    def resize(self, block: RamBlock, length: int) -> None:
        """Give a block the source's length."""
        self.blocks[self.blocks.index(block)] = replace(block, used_length=length)

    def setup(self, out: Writer) -> None:
        """Write the list of blocks (ram_save_setup)."""
        total = sum(block.used_length for block in self.blocks)
        out.put((total | MEM_SIZE).to_bytes(8, "big"))
        for block in self.blocks:
            out.put(block.header + block.used_length.to_bytes(8, "big"))
        out.put(_END)

    def iterate(self, out: Writer) -> None:
        """Write every page of every block, as zeros (ram_save_iterate)."""
        for block in self.blocks if self.machine.rules.sends_zero_pages(self.machine) else ():
            out.put(ZERO.to_bytes(8, "big") + block.header + b"\0")
            for first, pages in runs(block.used_length >> PAGE_BITS):
                out.put(zero_run(first, pages))
        out.put(_END)

    def complete(self, out: Writer) -> None:
        """Write that nothing has changed since (ram_save_complete)."""
        out.put(_END)

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Read records up to the end of the section (ram_load).  Raises LoadFailure, Truncated."""
        from vmstate.pseries.devices.host.ram_load import RamLoader

        RamLoader(self, cur, version_id).run()
