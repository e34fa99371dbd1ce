"""The ``ram`` section (QEMU migration/ram.c): block list and page records, found in bulk.

A page record begins with a 64-bit word, page address | flags.  Without CONTINUE a counted block name follows,
then the data that the flags call for.  Records are kept as *runs* (same kind, same size, one after another),
so that a run of a million pages costs no more than one of two; addresses and contents stay in the stream.
"""

from __future__ import annotations

import struct
from array import array
from enum import IntEnum

from vmstate.dataclass import dataclass, field
from vmstate.errors import StreamError, Truncated
from vmstate.stream.constants import RamFlag
from vmstate.stream.sections.alike import WORTH_NUMPY, alike
from vmstate.stream.sections.handlers import LiveContext, register
from vmstate.stream.sections.ram_setup import RamBlock, read_setup
from vmstate.stream.sections.rows import IN_A_ROW, ZERO_RECORD, Rows, in_a_row, zeros_in_a_row
from vmstate.stream.wire import Window

WORD = struct.Struct(">Q")


class PageKind(IntEnum):
    """The kinds of page records."""

    ZERO = RamFlag.ZERO
    PAGE = RamFlag.PAGE
    XBZRLE = RamFlag.XBZRLE
    COMPRESSED = RamFlag.COMPRESS_PAGE


# Plain numbers for the loop over records: an enum's operators cost more than everything else there.
CONTINUE, _EOS, _MEM_SIZE = int(RamFlag.CONTINUE), int(RamFlag.EOS), int(RamFlag.MEM_SIZE)
_HOOK, _FLUSH = int(RamFlag.HOOK), int(RamFlag.MULTIFD_FLUSH)
_ZERO, _PAGE, _XBZRLE = int(PageKind.ZERO), int(PageKind.PAGE), int(PageKind.XBZRLE)
_PAGE_SIZES = (4096, 8192, 16384, 65536, 2048, 1024, 256)
_PAGE_KINDS = frozenset(int(kind) for kind in PageKind)
_ZERO_AGAIN, _PAGE_AGAIN = _ZERO | CONTINUE, _PAGE | CONTINUE
_ORDINARY = frozenset({_ZERO_AGAIN, _PAGE_AGAIN})
_MARKERS = frozenset({_EOS, _HOOK, _FLUSH})
_LEGAL = _PAGE_KINDS | {kind | CONTINUE for kind in _PAGE_KINDS} | _MARKERS
_KNOWN = _LEGAL | {_MEM_SIZE}
_XBZRLE_ENCODING = 1
_NO_BLOCK = -1
_USUAL_SMALLEST = 1024
_SMALLEST = 256
_SHORT_RUN = 4
_FIRST_STEP = 128
_SHORT_STEP = IN_A_ROW
_LARGEST_PAGE = 1 << 16
_WORTH_A_ROW = 64  # records: shorter rows are not looked for again and again
_WORTH_IN_BULK = 1024  # where numpy looks at them
_LONGEST_STEP = 4 << 20  # bytes: not much is wasted where a run ends


@dataclass
class Runs:
    """Runs of equal page records, in stream order: parallel arrays, one entry per run.

    ``kind``: a :class:`PageKind`; ``start``: absolute offset of the first record; ``count``: records in the
    run; ``stride``: bytes from one record to the next; ``lead``: bytes of a record before its data;
    ``block``: index into the block list, -1 for a block not in it.
    """

    kind: array[int] = field(default_factory=lambda: array("H"))
    start: array[int] = field(default_factory=lambda: array("Q"))
    count: array[int] = field(default_factory=lambda: array("Q"))
    stride: array[int] = field(default_factory=lambda: array("L"))
    lead: array[int] = field(default_factory=lambda: array("H"))
    block: array[int] = field(default_factory=lambda: array("l"))

    def add(self, kind: int, start: int, count: int, stride: int, lead: int, block: int) -> None:
        """Append a run, or extend the last one if it continues it."""
        last = len(self.kind) - 1
        if (
            last >= 0
            and self.kind[last] == kind
            and self.stride[last] == stride
            and self.lead[last] == lead
            and self.block[last] == block
            and self.start[last] + self.count[last] * stride == start
        ):
            self.count[last] += count
            return
        self.kind.append(kind)
        self.start.append(start)
        self.count.append(count)
        self.stride.append(stride)
        self.lead.append(lead)
        self.block.append(block)

    def add_each(self, kinds: list[int], starts: list[int], counts: list[int], block: int, page: int) -> None:
        """Append runs of zero pages and whole pages of one block, all after a bare word."""
        if not kinds:
            return
        strides = {_ZERO: 9, _PAGE: 8 + page}
        self.add(kinds[0], starts[0], counts[0], strides[kinds[0]], 8, block)
        self.kind.extend(kinds[1:])
        self.start.extend(starts[1:])
        self.count.extend(counts[1:])
        self.stride.extend([strides[kind] for kind in kinds[1:]])
        self.lead.extend([8] * (len(kinds) - 1))
        self.block.extend([block] * (len(kinds) - 1))

    def __len__(self) -> int:
        return len(self.kind)


@register("ram")
class Ram:
    """The contents of a stream's ram sections.

    ``blocks``: the block list; ``runs``: every page record; ``rows``: those found to be in a row, not all of
    them; ``counts``: page records by kind;
    ``page_size``: bytes per page, known at the latest after the first whole page;
    ``hooks`` and ``flushes``: records that carry no page; ``flushed_at``: the offsets of the latter.
    """

    bulky = True

    def __init__(self, context: LiveContext) -> None:
        self.version = context.start.version_id
        self.blocks: list[RamBlock] = []
        self.runs = Runs()
        self.rows = Rows()
        self.counts: dict[int, int] = dict.fromkeys(PageKind, 0)
        self.hooks = 0
        self.flushes = 0
        self.flushed_at = array("Q")
        self._context = context
        self._page_size = context.page_size
        self._names: dict[bytes, int] = {}
        self._block = _NO_BLOCK
        self._block_end = 0
        self._looked_at = 0
        self._released = context.start.payload_start
        if self.version not in (3, 4):
            raise StreamError(
                "unknown version of the ram section",
                offset=context.start.payload_start,
                expected="3 or 4",
                found=self.version,
            )

    @property
    def page_size(self) -> int:
        """Bytes per target page; 4096 until the stream shows otherwise."""
        return self._page_size or 4096

    @property
    def _mask(self) -> int:
        """The bits below a page address; all flags fit below the smallest usual page size."""
        return (self._page_size or _USUAL_SMALLEST) - 1

    @property
    def pages(self) -> int:
        """Number of page records of any kind."""
        return sum(self.counts.values())

    def skip(self, start: int, end: int) -> None:
        """Ignore unreadable bytes: the best guess is that CONTINUE still means the same block."""

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read page records up to the end mark of this payload (ram_load_precopy)."""
        view, base, end, start = win.view, win.base, win.end, at
        left = -1  # a record that was left by the loop over ordinary ones
        while at + 8 <= end:
            word = WORD.unpack_from(view, at - base)[0]
            flags = word & self._mask
            if flags not in _KNOWN and self._page_size is None and flags & (_SMALLEST - 1) in _KNOWN:
                self._page_size = _SMALLEST  # avr: its addresses reach into the bits of later flags
                continue
            if flags == _EOS:
                return at + 8, True
            if flags in _ORDINARY and at != left and self._page_size is not None and self._block != _NO_BLOCK:
                at = left = self._ordinary(win, at)
                continue
            try:
                at = self._record(win, at, word, flags)
            except StreamError as error:
                if at == start and not isinstance(error, Truncated):
                    raise
                break
        return at, False

    def _ordinary(self, win: Window, at: int) -> int:
        """Read zero pages and whole pages of the current block as long as few are alike; return the end.

        This is the loop over memory in pieces.  What is unusual or wrong, or begins a long run, is left.
        """
        view, base, end, limit, mask = win.view, win.base, win.end, self._block_end, self._mask
        page, unpack = self.page_size, WORD.unpack_from
        kinds: list[int] = []
        starts: list[int] = []
        counts: list[int] = []
        last, alike = 0, 0
        stop = min(end, at + _LONGEST_STEP)
        while at + 8 <= stop:
            word = unpack(view, at - base)[0]
            flags = word & mask
            if flags == _ZERO_AGAIN:
                kind, after = _ZERO, at + 9
            elif flags == _PAGE_AGAIN:
                kind, after = _PAGE, at + 8 + page
            else:
                break
            if word >= limit or after > end:
                break
            if kind == last:
                if alike == _SHORT_RUN:
                    if self._begins_row(win, starts[-1], (at - starts[-1]) // alike, _WORTH_A_ROW):
                        del kinds[-1]
                        at, last = starts.pop(), 0
                    break
                alike += 1
            else:
                if last:
                    counts.append(alike)
                kinds.append(kind)
                starts.append(at)
                last, alike = kind, 1
            at = after
        if last:
            counts.append(alike)
        if kinds:
            self._took(win, kinds, starts, counts, at)
        return at

    def _took(self, win: Window, kinds: list[int], starts: list[int], counts: list[int], end: int) -> None:
        for kind, count in zip(kinds, counts, strict=True):
            self.counts[kind] += count
        if self._context.keep_pages:
            self.runs.add_each(kinds, starts, counts, self._block, self.page_size)
        win.behind(self._released, end)
        self._released = end

    def _record(self, win: Window, at: int, word: int, flags: int) -> int:
        kind = flags & ~CONTINUE
        if kind in _PAGE_KINDS:
            return self._page(win, at, word, kind, bool(flags & CONTINUE))
        if flags & _MEM_SIZE:
            return self._setup(win, at, word & ~self._mask)
        if flags & _HOOK:
            self.hooks += 1
        elif flags & _FLUSH:
            self.flushes += 1
            if self._context.keep_pages:
                self.flushed_at.append(at)
        else:
            raise StreamError(
                "unknown combination of page flags", offset=at, section="ram", found=f"{flags:#x}"
            )
        return at + 8

    def _setup(self, win: Window, at: int, total: int) -> int:
        if self.version < 4:
            blocks, end = [RamBlock("", total)], at + 8
        else:
            blocks, end = read_setup(win, at + 8, total, self._context, frozenset(_LEGAL))
        self.enter_blocks(blocks)
        for block in blocks:
            if block.mapped is not None:
                self._page_size = self._page_size or block.mapped.page_size
        return end

    def enter_blocks(self, blocks: list[RamBlock]) -> None:
        """Take a block list: the stream's own, or of another channel the main one's."""
        self.blocks = blocks
        self._names = {block.raw_name: index for index, block in enumerate(blocks)}

    def assume_page_size(self, size: int) -> None:
        """Take the size of a page from elsewhere, if the stream does not show it."""
        self._page_size = self._page_size or size

    def _page(self, win: Window, at: int, word: int, kind: int, same: bool) -> int:
        lead = 8
        if self.version < 4:
            self._enter(0)
        elif not same:
            size = win.u8(at + 8)
            lead = 9 + size
            name = bytes(win.take(at + 9, size))
            self._enter(self._names.get(name, _NO_BLOCK))
            if self._block == _NO_BLOCK:
                raise StreamError(f"page of an unknown RAM block {name!r}", offset=at + 8, section="ram")
        elif self._block == _NO_BLOCK:
            raise StreamError("page with CONTINUE, but no block was named before", offset=at, section="ram")
        if kind == _PAGE and self._page_size is None:
            self._page_size = detect_page_size(win, at + lead)
        stride = lead + self._data_size(win, at + lead, kind)
        if stride > win.end - at:
            raise Truncated(stride, win.end - at, offset=at)
        count = 1
        if lead == 8 and kind in (_ZERO, _PAGE):
            count = self._run(win, at, kind | CONTINUE if self.version > 3 else kind, stride)
        else:
            self._check(word & ~self._mask, at)
        self.counts[kind] += count
        if at - self._released > _LONGEST_STEP:  # the pages of the map, which are read by other code later
            win.behind(self._released, at)
            self._released = at
        if self._context.keep_pages:
            self.runs.add(kind, at, count, stride, lead, self._block)
        return at + count * stride

    def _enter(self, block: int) -> None:
        self._block = block
        self._block_end = self.blocks[block].length if 0 <= block < len(self.blocks) else 0

    def _check(self, address: int, at: int) -> None:
        if address >= self._block_end:
            raise StreamError(
                "page outside its RAM block",
                offset=at,
                section="ram",
                expected=f"below {self._block_end:#x}",
                found=f"{address:#x}",
            )

    def _data_size(self, win: Window, at: int, kind: int) -> int:
        if kind == _ZERO:
            return 1
        if kind == _PAGE:
            return self.page_size
        if kind == _XBZRLE:
            header = win.take(at, 3)
            size = header[1] << 8 | header[2]
            if header[0] != _XBZRLE_ENCODING or size > self.page_size:
                raise StreamError("bad XBZRLE header", offset=at, section="ram", found=bytes(header).hex())
            return 3 + size
        size = win.u32(at)
        if size > 2 * self.page_size:  # zlib's compressBound is a little over one page
            raise StreamError("invalid compressed length", offset=at, section="ram", found=size)
        return 4 + size

    def _run(self, win: Window, at: int, flags: int, stride: int) -> int:
        """Count consecutive records like this one, with addresses inside the block."""
        view, pos, mask = win.view, at - win.base, self._mask
        self._check(WORD.unpack_from(view, pos)[0] & ~mask, at)
        most = (win.end - at) // stride
        for count in range(1, min(_SHORT_RUN, most)):
            word = WORD.unpack_from(view, pos + count * stride)[0]
            if word & mask != flags or word >= self._block_end:
                return count
        return self._long_run(win, at, flags, stride, most)

    def _long_run(self, win: Window, at: int, flags: int, stride: int, most: int) -> int:
        count, step, ended = 0, _FIRST_STEP, False
        while count < most and not ended:
            bulk = self._looked_at > WORTH_NUMPY
            longest = max(_LONGEST_STEP // stride, _SHORT_STEP)
            step = min(step, most - count, longest if bulk or stride == ZERO_RECORD else _SHORT_STEP)
            here = at + count * stride
            win.ahead(here, here + step * stride)
            good = self._row(win, here, step, flags, stride, bulk=bulk)
            if good:
                step = step * 4 if good == step else _FIRST_STEP
            elif not count:
                good = min(_SHORT_RUN, most)  # they were looked at one by one
            else:
                step = step if bulk else min(step, _SHORT_STEP)
                good = self._good(win, here - win.base, step, flags, stride, bulk=bulk)
                ended = good < step
                step *= 4
            count += good
            win.behind(self._released, at + count * stride)
            self._released = at + count * stride
        return count

    def _row(self, win: Window, at: int, count: int, flags: int, stride: int, *, bulk: bool) -> int:
        """Return how many of these records, with the flags and addresses of the block, are in a row; keep it.

        0 if they are too few to be worth it.
        """
        view, pos, page = win.view, at - win.base, self.page_size
        word = WORD.unpack_from(view, pos)[0]
        wanted = min(count, _WORTH_IN_BULK if bulk else _WORTH_A_ROW)
        most = min(count, -((word - self._block_end) // page))
        if word & self._mask != flags or most < wanted or not self._begins_row(win, at, stride, wanted):
            return 0
        found = in_a_row(view, pos, min(most, IN_A_ROW), stride, page)
        if found == IN_A_ROW and stride == ZERO_RECORD and page <= _LARGEST_PAGE:
            found = zeros_in_a_row(view, pos, most, page)
        if found < min(count, _WORTH_IN_BULK):
            self._looked_at += found
        if found < wanted:
            return 0
        if self._context.keep_pages and self._page_size is not None:
            size = ZERO_RECORD if stride == ZERO_RECORD else WORD.size
            self.rows.add(at, found, stride, bytes(view[pos : pos + size]), page)
        return found

    def _begins_row(self, win: Window, at: int, stride: int, count: int) -> bool:
        """Return True if the second and the last of ``count`` records may be in a row with the first one."""
        view, pos, page = win.view, at - win.base, self.page_size
        if count < 2 or at + count * stride > win.end:
            return False
        first, *others = (WORD.unpack_from(view, pos + nth * stride)[0] for nth in (0, 1, count - 1))
        return others == [first + page, first + (count - 1) * page]

    def _good(self, win: Window, at: int, count: int, flags: int, stride: int, *, bulk: bool) -> int:
        """Return how many of these records have the flags and an address of the block."""
        good = alike(win.view, at, count, stride, flags, mask=self._mask, limit=self._block_end, bulk=bulk)
        self._looked_at += good
        return good


def detect_page_size(win: Window, at: int) -> int:
    """Return the size of the page at ``at``: the first size after which a legal record follows, or 4096."""
    for size in _PAGE_SIZES:
        if at + size + 8 > win.end:
            if win.complete:
                continue
            raise Truncated(size + 8, win.end - at, offset=at)
        word = win.u64(at + size)
        if word & (size - 1) in _LEGAL and word < 1 << 52:
            return size
    return 4096
