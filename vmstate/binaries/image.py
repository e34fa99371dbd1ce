"""The data of one program and its modules as one array of words, with what each of them points to.

Places are indices of words: a pointer's target is the index of the word it points to, so that following
pointers is indexing.  Index 0 is a word of nothing; so are the words between two files' data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vmstate.binaries.elf import LAST_ADDRESS, WORD, Addresses, Elf, Segment
from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Each file has addresses of its own: those of the n-th begin here times n.
_ROOM = LAST_ADDRESS
_GAP = 512  # words between the data of two segments: more than any struct has
MAX_WORDS = 8 << 20
MAX_TEXT = 512


@dataclass(frozen=True)
class _Window:
    """A segment's words: ``first`` is the place of the word at ``address``."""

    elf: Elf
    address: int
    offset: int
    words: int
    first: int


class Image:
    """The words of a program and its modules.

    ``points``: by place, the address that a word holds, 0 if it holds none.  ``target``: the place that it
    points to, 0 if that is not among the words.  ``code``: it points to code.
    """

    def __init__(self, elfs: Sequence[Elf]) -> None:
        self.elfs = tuple(elfs)
        orders = {elf.byteorder for elf in elfs}
        if len(orders) != 1 or len({elf.machine for elf in elfs}) != 1:
            raise ConfigurationError("the program and its modules are for different hosts")
        self.byteorder = orders.pop()
        self.windows = self._windows()
        last = self.windows[-1] if self.windows else None
        self.size = (last.first + last.words if last else 0) + _GAP
        self.raw = np.zeros(self.size * WORD, np.uint8)
        self.points = np.zeros(self.size, np.uint64)
        for window in self.windows:
            whole = np.frombuffer(window.elf.contents, np.uint8, window.words * WORD, window.offset)
            self.raw[window.first * WORD : (window.first + window.words) * WORD] = whole
        self.words = self.raw.view(f"{self.byteorder}u8").astype(np.uint64)
        self.halves = self.raw.view(f"{self.byteorder}i4").astype(np.int32)
        for number, elf in enumerate(self.elfs):
            self._fill(number, elf)
        self.code = self._is_code(self.points)
        self.target = self.places(self.points)

    def _windows(self) -> list[_Window]:
        """Choose the segments that may hold pointers: all of a file without relocations."""
        found: list[_Window] = []
        first = _GAP
        for number, elf in enumerate(self.elfs):
            at = np.concatenate((elf.relative.at, elf.symbolic[0]))
            for one in sorted(elf.segments, key=lambda s: s.address):
                skip = -one.address % WORD
                words = max(0, one.size - skip) // WORD
                inside = bool(((at >= one.address) & (at < np.uint64(one.address + one.size))).any())
                if not words or not (inside or (elf.fixed and not len(at))) or one.address >= _ROOM:
                    continue
                found.append(
                    _Window(elf, number * _ROOM + one.address + skip, one.offset + skip, words, first)
                )
                first += words + _GAP
                if first > MAX_WORDS:
                    raise ConfigurationError(f"{elf.path}: more than {MAX_WORDS * WORD} bytes of data")
        return found

    def _fill(self, number: int, elf: Elf) -> None:
        """Note what the words of one file point to."""
        base = np.uint64(number * _ROOM)
        if elf.fixed and not len(elf.relative.at):
            for window in (w for w in self.windows if w.elf is elf):
                here = slice(window.first, window.first + window.words)
                words = self.words[here]
                self.points[here] = np.where(_within(words, elf.segments), words, 0)
        else:
            self._put(elf.relative.at + base, elf.relative.to + base)
        at, symbols, addend = elf.symbolic
        values = np.array([self._symbol(number, int(symbol)) for symbol in symbols], np.uint64)
        known = values != 0
        self._put(at[known] + base, values[known] + addend[known])

    def _put(self, at: Addresses, to: Addresses) -> None:
        places = self.places(at)
        self.points[places] = to
        self.points[0] = 0

    def _symbol(self, number: int, symbol: int) -> int:
        """Return the address of a symbol that a file names: its own, or the first other file's."""
        table = self.elfs[number].dynamic_symbols
        own = table.defined(symbol)
        if own is not None:
            return number * _ROOM + own
        name = table.name(symbol)
        for other, exports in enumerate(self._exports):
            if other != number and name in exports:
                return other * _ROOM + exports[name]
        return 0

    @cached_property
    def _exports(self) -> list[dict[str, int]]:
        """The names that each file offers to the others; of a program alone nobody asks for them."""
        return [elf.dynamic_symbols.addresses if len(self.elfs) > 1 else {} for elf in self.elfs]

    def places(self, addresses: Addresses) -> Places:
        """Return the places of addresses; 0 for those that are not among the words, or not of a word."""
        found = np.zeros(len(addresses), np.int64)
        for window in self.windows:
            distance = addresses - np.uint64(window.address)  # wraps around below the window
            here = (distance < np.uint64(window.words * WORD)) & (distance % np.uint64(WORD) == 0)
            found[here] = (distance[here] // np.uint64(WORD)).astype(np.int64) + window.first
        return found

    def _is_code(self, addresses: Addresses) -> Flags:
        found = np.zeros(len(addresses), np.bool_)
        for number, elf in enumerate(self.elfs):
            for start, end in elf.code:
                distance = addresses - np.uint64(number * _ROOM + start)
                found |= distance < np.uint64(end - start)
        found &= addresses != 0
        return found

    def text(self, address: int) -> str | None:
        """Return the printable C string at an address, or None."""
        raw = self.bytes_at(address, MAX_TEXT)
        end = raw.find(b"\0")
        try:
            text = raw[:end].decode("utf-8") if end >= 0 else ""
        except UnicodeDecodeError:
            return None
        return text if text and text.isprintable() else None

    def bytes_at(self, address: int, size: int) -> bytes:
        """Return the bytes at an address; fewer where the file ends."""
        number, own = divmod(int(address), _ROOM)
        return self.elfs[number].read(own, size) if number < len(self.elfs) else b""

    def symbol(self, address: int) -> str:
        """Return the name of what is at an address; "" if the file does not say it."""
        number, own = divmod(int(address), _ROOM)
        return self.elfs[number].symbols.at(own) if number < len(self.elfs) else ""

    def address(self, place: int) -> int:
        """Return the address of a word."""
        for window in reversed(self.windows):
            if place >= window.first:
                return window.address + (place - window.first) * WORD
        return 0


def _within(words: Addresses, segments: Sequence[Segment]) -> Flags:
    found = np.zeros(len(words), np.bool_)
    for one in segments:
        found |= (words - np.uint64(one.address)) < np.uint64(one.size)
    found &= words != 0
    return found
