"""Loading the records of ``ram`` (migration/ram.c ram_load_precopy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe import Cursor, History
from vmstate.describe.diagnostics import EINVAL, EIO, LoadFailure
from vmstate.describe.history import Span
from vmstate.errors import StreamError
from vmstate.pseries.board.board import RamBlock
from vmstate.pseries.devices.host.ram import CONTINUE, EOS, PAGE, PAGE_SIZE, RECORD, RUN_PAGES, ZERO, zero_run
from vmstate.stream.constants import RamFlag
from vmstate.stream.sections import xbzrle
from vmstate.stream.sections.alike import alike

if TYPE_CHECKING:
    from vmstate.pseries.devices.host.ram import Ram

XBZRLE, HOOK = int(RamFlag.XBZRLE), int(RamFlag.HOOK)
COMPRESSED, MULTIFD_FLUSH = int(RamFlag.COMPRESS_PAGE), int(RamFlag.MULTIFD_FLUSH)
FLAGS = PAGE_SIZE - 1
COMPRESS_BOUND = PAGE_SIZE + (PAGE_SIZE >> 12) + (PAGE_SIZE >> 14) + (PAGE_SIZE >> 25) + 13  # zlib's

#: qemu_ram_resize's refusals: of memory with a fixed size, and of memory that cannot grow that far.
MISMATCH = History(
    "Length mismatch: {}: 0x{:x} in != 0x{:x}: Invalid argument",
    ("5.2", "Size mismatch: {}: 0x{:x} != 0x{:x}: Invalid argument"),
)
TOO_LARGE = History(
    "Length too large: {}: 0x{:x} > 0x{:x}: Invalid argument",
    ("5.2", "Size too large: {}: 0x{:x} > 0x{:x}: Invalid argument"),
)
#: Compressed pages: accepted with or without the capability; only with it; no longer known.
COMPRESSION = History("taken", ("2.10", "unexpected"), ("9.1", "unknown"))
#: A page filled with any one byte could be sent as such, before only zero remained.
FILL = Span(until="8.2")
UNREADABLE = Span(since="10.0")  # "Getting RAM address failed"
FLUSHES = Span(since="8.1")
HOOK_NOTHING = Span(since="8.2")  # a hook without other flags is skipped without RDMA
_NOTHING = ((MULTIFD_FLUSH, FLUSHES), (HOOK, HOOK_NOTHING))


WINDOW = 16  # records checked first when a run is expected; windows grow from there


class RamLoader:
    """The loader of one section of ``ram``."""

    def __init__(self, ram: Ram, cur: Cursor, version_id: int) -> None:
        self.ram = ram
        self.cur = cur
        self.version_id = version_id
        self.release = ram.machine.release

    def run(self) -> None:
        """Load records up to one with the end flag."""
        if self.version_id != self.ram.version_id:
            raise LoadFailure(-EINVAL, "version of ram", offset=self.cur.pos, found=self.version_id)
        while not self._record() & EOS:
            pass

    def refuse(
        self,
        line: str | None,
        what: str,
        *,
        ret: int = -EINVAL,
        found: object = None,
        expected: object = None,
    ) -> LoadFailure:
        """Print the line and return the failure, which the caller raises."""
        if line is not None:
            self.ram.say(line)
        return LoadFailure(ret, what, offset=self.cur.pos, found=found, expected=expected)

    def _record(self) -> int:
        cur = self.cur
        start = cur.pos
        word = int.from_bytes(cur.number(8), "big")
        if cur.short and UNREADABLE.covers(self.release):
            raise self.refuse("Getting RAM address failed", "the stream ends", ret=-EIO)
        flags, address = word & FLAGS, word & ~FLAGS
        compression = COMPRESSION.at(self.release)
        if flags & COMPRESSED and compression == "unexpected":
            raise self.refuse("Received an unexpected compressed page", "compressed page")
        paged = ZERO | PAGE | XBZRLE | (COMPRESSED if compression == "taken" else 0)
        if flags & paged:
            self._place(flags, address)
        self._dispatch(flags, address)
        if cur.short:
            raise self.refuse(None, "the stream ends", ret=-EIO)
        if flags in (ZERO, PAGE):  # with its block's name: to load the same again changes nothing
            cur.pos += cur.copies(start) * (cur.pos - start)
        if flags & ~CONTINUE == ZERO:
            self._skip_run((address >> 12) + 1)
        elif flags == PAGE | CONTINUE:
            self._skip_same_flags(flags, 8 + PAGE_SIZE)
        return flags

    def _place(self, flags: int, address: int) -> None:
        block = self._block(flags)
        if block is None or address >= block.used_length:
            raise self.refuse(f"Illegal RAM offset {address:x}", "page outside its block", found=address)
        if not address:
            self.ram.first_page = "the source's"

    def _block(self, flags: int) -> RamBlock | None:
        if flags & CONTINUE:
            if self.ram.last is None:
                self.ram.say("Ack, bad migration stream!")
            return self.ram.last
        name = self._name()
        block = self.ram.block(name)
        if block is None:
            self.ram.say(f"Can't find block {name}")
            return None
        self.ram.last = block
        return block

    def _name(self) -> str:
        cur = self.cur
        size, left = cur.byte(), cur.end - cur.pos
        cur.short |= size > left  # QEMU then uses uninitialised bytes, which cannot be predicted
        raw = bytes(cur.take(min(size, left)))
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")

    def _dispatch(self, flags: int, address: int) -> None:
        match flags & ~CONTINUE:
            case 0x04:  # MEM_SIZE
                self._blocks(address)
            case 0x02:  # ZERO
                self._zero()
            case 0x08:  # PAGE
                self.cur.take(PAGE_SIZE)
            case 0x40:  # XBZRLE
                self._xbzrle(address)
            case 0x10:  # EOS
                return
            case kind:
                self._unusual(kind, flags)

    def _unusual(self, kind: int, flags: int) -> None:
        if kind == COMPRESSED and COMPRESSION.at(self.release) == "taken":
            self._compressed()
        elif any(kind == mark and span.covers(self.release) for mark, span in _NOTHING):
            return
        elif flags & HOOK and not HOOK_NOTHING.covers(self.release):
            raise self.refuse(None, "an RDMA hook in a stream without RDMA", found=hex(flags))
        else:
            line = (
                f"Unknown combination of migration flags: {'0x' if flags else _ZERO_FLAGS.at(self.release)}"
            )
            raise self.refuse(line + f"{flags:x}", "unknown flags", found=hex(flags))

    def _zero(self) -> None:
        fill = self.cur.byte()
        if fill and not FILL.covers(self.release):
            raise self.refuse(f"Found a zero page with value {fill}", "not a zero page", found=fill)

    def _xbzrle(self, address: int) -> None:
        cur = self.cur
        kind, length = cur.byte(), int.from_bytes(cur.number(2), "big")
        what = "wrong compression!" if kind != 1 else "len overflow!" if length > PAGE_SIZE else None
        if what is None:
            what = _decode_error(cur.take(length))
        if what is not None:
            self.ram.say(f"Failed to load XBZRLE page - {what}")
            raise self.refuse(f"Failed to decompress XBZRLE page at {address:x}", "XBZRLE page")

    def _compressed(self) -> None:
        length = int.from_bytes(self.cur.number(4), "big", signed=True)
        if not 0 <= length <= COMPRESS_BOUND:
            raise self.refuse(f"Invalid compressed data length: {length}", "compressed page", found=length)
        self.cur.take(length)

    # ---- the list of blocks

    def _blocks(self, total: int) -> None:
        """Check that every incoming block exists, with the same size (parse_ramblocks)."""
        while total:
            name = self._name()
            length = int.from_bytes(self.cur.number(8), "big")
            block = self.ram.block(name)
            if block is None:
                line = f'Unknown ramblock "{name}", cannot accept migration'
                raise self.refuse(line, "unknown RAM block", found=name)
            if length != block.used_length:
                self._resize(block, length)
            total = (total - length) % (1 << 64)

    def _resize(self, block: RamBlock, length: int) -> None:
        length = -(-length // PAGE_SIZE) * PAGE_SIZE % (1 << 64)
        if length == block.used_length:
            return
        if not block.resizeable or length > block.max_length:
            words, limit = (
                (TOO_LARGE, block.max_length) if block.resizeable else (MISMATCH, block.used_length)
            )
            line = words.at(self.release).format(block.name, length, limit)
            raise self.refuse(line, "RAM block of another size", found=length, expected=block.used_length)
        self.ram.resize(block, length)

    def _skip_run(self, page: int) -> None:
        """Skip zero pages in order, which come by the thousand, if they are as this package writes them."""
        cur = self.cur
        block = self.ram.last
        assert block is not None
        stop = min(block.used_length >> 12, (page // RUN_PAGES + 1) * RUN_PAGES)
        size = (stop - page) * RECORD
        if stop - page > WINDOW and size <= cur.end - cur.pos:
            sample = slice(cur.pos + size - RECORD, cur.pos + size)
            begin = page // RUN_PAGES * RUN_PAGES or 1
            run = zero_run(begin, stop - begin)
            same = run[-RECORD:] == cur.data[sample] and run.endswith(cur.data[cur.pos : cur.pos + size])
            if same:
                cur.pos += size
                return
        if page == 1 and self._short_run(stop):
            return
        self._skip_same_flags(ZERO | CONTINUE, RECORD)

    def _short_run(self, stop: int) -> bool:
        """Skip the few pages that a compact stream has at a block's start; return True if those are all."""
        cur = self.cur
        run = zero_run(1, min(stop, WINDOW) - 1)
        end = cur.pos + len(run)
        if end + RECORD > cur.end or bytes(cur.data[cur.pos : end]) != run:
            return False
        cur.pos = end
        return bytes(cur.data[end + 6 : end + 8]) != run[6:8] or bool(cur.data[end + 8])

    def _skip_same_flags(self, flags: int, stride: int) -> None:
        """Skip records that begin with the same flags, at any address inside the block, in bulk."""
        cur = self.cur
        assert self.ram.last is not None
        limit = self.ram.last.used_length
        window = WINDOW
        while (count := min(window, (cur.end - cur.pos) // stride)) > 0:
            same = alike(
                cur.data, cur.pos, count, stride, flags, mask=FLAGS, limit=limit, bulk=count > 1 << 13
            )
            if stride == RECORD:
                fill = bytes(cur.data[cur.pos + 8 : cur.pos + same * stride : stride])
                same -= len(fill.lstrip(b"\0"))
            cur.pos += same * stride
            if same < count:
                return
            window = min(window * 8, RUN_PAGES)


def _decode_error(delta: memoryview) -> str | None:
    """Return QEMU's message for a delta that fits no page, whatever the page holds; None if it may fit."""
    try:
        xbzrle.decode(bytes(PAGE_SIZE), delta)
    except StreamError:
        return "decode error!"
    return None


#: printf's %#x prints zero without 0x.
_ZERO_FLAGS = History("", ("5.2", "0x"))
