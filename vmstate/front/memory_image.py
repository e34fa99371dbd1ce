"""Guest memory of a stream as it was in the guest: by guest-physical address, or block by block."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from vmstate.containers import Buffer
from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError, Unsupported, quantity
from vmstate.front.stream_file import StreamFile
from vmstate.holes import zeros
from vmstate.stream.sections.ram import Ram
from vmstate.stream.sections.ram_pages import RamPages
from vmstate.stream.sections.ram_segments import MADE, WHOLE, Segments, segments
from vmstate.stream.sections.ram_setup import RamBlock

_PIECE = 1 << 20
_MOST = 16 << 40
_Pages: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"


@dataclass(frozen=True)
class Placed:
    """A block of guest memory; ``address``: where it is in the guest, None if that is not known."""

    name: str
    index: int
    length: int
    address: int | None

    def as_json(self) -> dict[str, object]:
        """Return the block as a JSON object."""
        return {"name": self.name, "length": self.length, "address": self.address}


_MIB, _ANY = 1 << 20, 1 << 64
#: The address of a machine's RAM, by the name of its block, as far as it is in one piece: the RAM of a PC
#: has a hole, never below 2 GiB.  As ``info mtree -f`` of QEMU 7.2 shows it.
_MAIN_MEMORY = {
    "ppc_spapr.ram": (0, _ANY),
    "pc.ram": (0, 2048 * _MIB),
    "microvm.ram": (0, 2048 * _MIB),
    "mach-virt.ram": (1024 * _MIB, _ANY),
    "riscv_virt_board.ram": (2048 * _MIB, _ANY),
    "s390.ram": (0, _ANY),
    "m68k_virt.ram": (0, _ANY),
    "openrisc.ram": (0, _ANY),
    "pegasos2.ram": (0, _ANY),
    "ppc_core99.ram": (0, _ANY),
    "ppc_heathrow.ram": (0, _ANY),
}


class GuestMemory:
    """The memory of a stream.  Raises Unsupported for a stream without guest memory.

    The RAM of a machine has a known address if its block has the name that QEMU gives it, and no hole.
    Other blocks have an address if the stream has it, with x-ignore-shared.
    """

    def __init__(self, opened: StreamFile) -> None:
        ram = opened.stream.ram
        if ram is None or not ram.blocks:
            raise Unsupported("a stream without guest memory")
        self._opened = opened
        self._ram: Ram = ram
        self._window = opened.stream.window
        self._pages = RamPages(ram, self._window)
        self._found: dict[int, Segments] = {}
        self._held: _Pages = np.empty(2 * _PIECE, np.uint8)

    @cached_property
    def blocks(self) -> tuple[Placed, ...]:
        """The blocks in stream order."""
        return tuple(
            Placed(block.name, index, block.length, _address(block))
            for index, block in enumerate(self._ram.blocks)
        )

    def space(self, block: str | None = None) -> list[tuple[int, Placed]]:
        """Return the blocks that have an address, in order; or one block alone, at 0.

        Raises ConfigurationError if there is none.
        """
        names = ", ".join(one.name for one in self.blocks)
        if block is not None:
            found = [(0, one) for one in self.blocks if one.name == block]
            if not found:
                raise ConfigurationError(f"no block {block!r}; there are {names}")
            return found
        found = sorted(
            ((one.address, one) for one in self.blocks if one.address is not None), key=lambda pair: pair[0]
        )
        if not found:
            raise ConfigurationError(
                f"where this machine has its memory is not known; --block is one of {names}"
            )
        return found

    def used(self, block: Placed) -> int:
        """Return the number of pages with content."""
        found = self._segments(block)
        return int(found.pages[found.fill != 0].sum())

    @property
    def page_size(self) -> int:
        """The bytes of a page."""
        return self._pages.page_size

    def image(self, block: str | None = None) -> Iterator[Buffer]:
        """Yield the memory from address 0 on; what lies between blocks is zero."""
        at = 0
        space = self.space(block)
        self._check(space)
        for address, placed in space:
            if address < at:
                raise Unsupported(f"{placed.name} overlaps another block")
            yield from zeros(address - at)
            yield from self.content(placed)
            at = address + placed.length

    @staticmethod
    def _check(space: list[tuple[int, Placed]]) -> None:
        end = max(address + placed.length for address, placed in space)
        if end > _MOST:
            raise Unsupported(f"the blocks claim {quantity(end, 'byte')} of memory")

    def content(self, block: Placed) -> Iterator[Buffer]:
        """Yield the content of a block."""
        at = 0
        for start, piece in self._pieces(block):
            yield from zeros(start - at)
            yield piece
            at = start + len(piece)
        yield from zeros(block.length - at)

    def _pieces(self, block: Placed) -> Iterator[tuple[int, Buffer]]:
        """Yield the parts of a block that have content, each with its offset; small ones are joined.

        A part is overwritten when the next one is made: new memory for each would cost more than the copy.
        """
        held = self._held
        start = size = 0
        for at, pages in self._runs(block):
            if size and (at != start + size or size + pages.size > len(held)):
                yield start, held[:size].data
                size = 0
            if not size and pages.size >= _PIECE and pages.flags.c_contiguous:
                yield at, pages.reshape(-1).data
                continue
            if not size:
                start = at
            np.copyto(held[size : size + pages.size].reshape(pages.shape), pages)
            size += pages.size
        if size:
            yield start, held[:size].data

    def _runs(self, block: Placed) -> Iterator[tuple[int, _Pages]]:
        """Yield the pages that have content, a row for each, as many as lie alike in the stream at a time."""
        found, size = self._segments(block), self.page_size
        step = _PIECE // size
        rows = zip(*(column.tolist() for column in found.columns), strict=True)
        for address, pages, data, stride, fill in rows:
            if fill == MADE:
                for at in range(address, address + pages * size, size):
                    page = self._pages.page(block.index, at)
                    yield at, np.broadcast_to(np.frombuffer(page, np.uint8), (1, size))
                continue
            for first in range(0, pages if fill else 0, step):
                count, at = min(step, pages - first), address + first * size
                if fill != WHOLE:
                    yield at, np.broadcast_to(np.uint8(fill), (count, size))
                    continue
                begin = data + first * stride
                yield at, np.ndarray((count, size), np.uint8, self._window.view, begin, (stride, 1))
                self._window.behind(begin, begin + count * stride)

    def _segments(self, block: Placed) -> Segments:
        if block.index not in self._found:
            found = segments(self._ram, self._window, block.index)
            inside = found.address < block.length  # a bitmap may have bits behind the block's end
            self._found[block.index] = Segments(*(column[inside] for column in found.columns))
        return self._found[block.index]

    def read(self, address: int, size: int, block: str | None = None) -> bytes:
        """Return what is at an address, as far as there is memory."""
        found = bytearray()
        for start, placed in self.space(block):
            while start <= address < start + placed.length and len(found) < size:
                page, within = divmod(address - start, self.page_size)
                content = bytes(self._pages.page(placed.index, page * self.page_size))
                part = content[within : within + size - len(found)][: start + placed.length - address]
                found += part
                address += len(part)
        return bytes(found)

    def find(self, wanted: bytes, block: str | None = None) -> Iterator[int]:
        """Yield the addresses of these bytes.  Raises ConfigurationError for zeros alone."""
        if not wanted.strip(b"\0"):
            raise ConfigurationError("zeros are nearly everywhere: look for something else")
        for address, placed in self.space(block):
            tail, end = b"", 0
            for start, piece in self._pieces(placed):
                before = tail if start == end else b""
                data = before + bytes(piece)
                at = data.find(wanted)
                while at >= 0:
                    yield address + start - len(before) + at
                    at = data.find(wanted, at + 1)
                end = start + len(piece)
                tail = data[len(data) - len(wanted) + 1 :] if len(wanted) > 1 else b""


def _address(block: RamBlock) -> int | None:
    if block.guest_address is not None:
        return block.guest_address
    address, most = _MAIN_MEMORY.get(block.name, (0, -1))
    return address if block.length <= most else None
