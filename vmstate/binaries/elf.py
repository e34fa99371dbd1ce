"""An ELF file as far as finding data structures needs it: contents, code, pointers, symbols.

pyelftools reads the headers, numpy the tables.  Every number in the file may be wrong: sizes are cut to what
the file holds, and a file that cannot be read raises ConfigurationError.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError, quantity

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

Addresses = npt.NDArray[np.uint64]

WORD = 8
MAX_FILE = 2 << 30
MAX_HEADERS = 4096
LAST_ADDRESS = 1 << 47
_PF_X = 1
_SHF_EXECINSTR = 4

#: By machine: relocations that add the load address, and those that insert the address of a symbol.
RELATIVE = {"EM_X86_64": 8, "EM_AARCH64": 1027, "EM_PPC64": 22, "EM_S390": 12}
ABSOLUTE = {"EM_X86_64": {1, 6}, "EM_AARCH64": {257, 1025}, "EM_PPC64": {38, 43, 20}, "EM_S390": {22, 10}}
HOSTS = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_PPC64": "ppc64", "EM_S390": "s390x"}

_DT_NULL = 0
_RELA_TAGS = ((7, 8), (23, 2))  # DT_RELA and DT_RELASZ, DT_JMPREL and DT_PLTRELSZ
_RELR_TAGS = (36, 35)  # DT_RELR and DT_RELRSZ


@dataclass(frozen=True)
class Segment:
    """A part of the file that is mapped: its address, its place in the file, its size there and in memory."""

    address: int
    offset: int
    size: int
    memory: int


@dataclass(frozen=True)
class Symbol:
    """An exported or needed name."""

    name: str
    address: int
    defined: bool


@dataclass(frozen=True)
class Pointers:
    """Words that hold addresses: where they are, and what they point to, ascending by ``at``."""

    at: Addresses
    to: Addresses


class Elf:
    """One file.  ``byteorder`` is a numpy prefix; ``fixed``: linked to a fixed address."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.contents = _mapped(self.path)
        try:
            self._read(_elftools(self.contents))
        except ConfigurationError:
            raise
        except Exception as why:  # noqa: BLE001 - whatever pyelftools raises for a broken file
            raise ConfigurationError(f"{self.path}: not a readable ELF file: {why!s:.200}") from None

    def _read(self, elf: ELFFile) -> None:
        header = elf.header
        machine = str(header["e_machine"])
        if elf.elfclass != 64 or machine not in RELATIVE:
            what = f"{elf.elfclass}-bit {machine.removeprefix('EM_')}"
            hosts = ", ".join(HOSTS.values())
            raise ConfigurationError(f"{self.path}: a {what} file; programs for 64-bit {hosts} are read")
        if max(header["e_phnum"], header["e_shnum"]) > MAX_HEADERS:
            raise ConfigurationError(f"{self.path}: more than {MAX_HEADERS} headers")
        self.machine = machine
        self.byteorder = "<" if elf.little_endian else ">"
        self.host = HOSTS[machine] + ("le" if machine == "EM_PPC64" and elf.little_endian else "")
        headers = list(_heads(elf, elf.structs.Elf_Phdr, "ph"))
        loaded = [h for h in headers if h["p_type"] == "PT_LOAD"]
        self.segments = tuple(
            Segment(h["p_vaddr"], h["p_offset"], self._held(h["p_offset"], h["p_filesz"]), h["p_memsz"])
            for h in loaded
            if h["p_vaddr"] + max(h["p_filesz"], h["p_memsz"]) <= LAST_ADDRESS
        )
        sections = list(_heads(elf, elf.structs.Elf_Shdr, "sh"))
        self.code = _merged(
            [(h["sh_addr"], h["sh_addr"] + h["sh_size"]) for h in sections if h["sh_flags"] & _SHF_EXECINSTR]
            or [(h["p_vaddr"], h["p_vaddr"] + h["p_memsz"]) for h in loaded if h["p_flags"] & _PF_X]
        )
        self._tables = {
            str(h["sh_type"]): (h, sections[h["sh_link"]]) for h in sections if _has_symbols(h, sections)
        }
        dynamic = [h for h in headers if h["p_type"] == "PT_DYNAMIC"]
        self._tags = self._dynamic(dynamic[0]) if dynamic else {}
        self.fixed = header["e_type"] == "ET_EXEC"

    def _held(self, offset: int, size: int) -> int:
        """Return how many of these bytes the file has."""
        return max(0, min(size, len(self.contents) - offset))

    def _dynamic(self, head: Any) -> dict[int, int]:
        """Return the tags of the dynamic section; the first of each kind counts."""
        size = min(self._held(head["p_offset"], head["p_filesz"]), MAX_HEADERS * 2 * WORD) // (2 * WORD)
        words = np.frombuffer(self.contents, f"{self.byteorder}u8", 2 * size, head["p_offset"] if size else 0)
        tags: dict[int, int] = {}
        for tag, value in words.reshape(-1, 2).tolist():
            if tag == _DT_NULL:
                break
            tags.setdefault(tag, value)
        return tags

    def find(self, address: int) -> tuple[int, int] | None:
        """Return the place in the file of an address, and how many bytes follow in its segment."""
        for one in self.segments:
            if one.address <= address < one.address + one.size:
                return one.offset + address - one.address, one.address + one.size - address
        return None

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes at an address; fewer at the end of a segment, of which a part may be all zeros."""
        for one in self.segments:
            distance = address - one.address
            if 0 <= distance < max(one.size, one.memory):
                held = self.contents[
                    one.offset + min(distance, one.size) : one.offset + min(distance + size, one.size)
                ]
                return held + bytes(min(size, max(one.size, one.memory) - distance) - len(held))
        return b""

    def _table(self, start: int, size: int, item: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return a table that the dynamic section names; empty if there is none, cut where the file ends."""
        place = self.find(self._tags[start]) if start in self._tags else None
        if place is None:
            return np.zeros(0, item)
        length = min(self._tags.get(size, 0), place[1])
        return np.frombuffer(self.contents, item, length // item.itemsize, place[0])

    def _rela(self) -> Iterator[npt.NDArray[Any]]:
        word = f"{self.byteorder}u8"
        item = np.dtype([("at", word), ("info", word), ("addend", word)])
        for start, size in _RELA_TAGS:
            yield self._table(start, size, item)

    @cached_property
    def relative(self) -> Pointers:
        """The words to which the load address is added, by RELA and RELR relocations."""
        at, to = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for table in self._rela():
            ours = table[(table["info"] & 0xFFFFFFFF) == RELATIVE[self.machine]]
            at.append(ours["at"].astype(np.uint64))
            to.append(ours["addend"].astype(np.uint64))
        packed = self._relr()
        at.append(packed)
        to.append(self.words_at(packed))
        return _sorted(np.concatenate(at), np.concatenate(to))

    def _relr(self) -> Addresses:
        """Return the addresses of DT_RELR: an even entry is one, an odd one has 63 bits for what follows."""
        entries = self._table(*_RELR_TAGS, np.dtype(f"{self.byteorder}u8")).astype(np.uint64)
        if not len(entries):
            return entries
        single = (entries & np.uint64(1)) == 0
        if not single[0]:
            raise ConfigurationError(f"{self.path}: the RELR table begins with a bitmap")
        index = np.arange(len(entries), dtype=np.int64)
        leader = np.maximum.accumulate(np.where(single, index, 0))
        behind = (index - leader - 1).astype(np.uint64)  # bitmaps between an address and this one
        base = entries[leader] + np.uint64(WORD) + behind * np.uint64(63 * WORD)
        found = [entries[single]]
        for bit in range(1, 64):
            set_here = ~single & ((entries >> np.uint64(bit)) & np.uint64(1)).astype(bool)
            found.append(base[set_here] + np.uint64((bit - 1) * WORD))
        return np.concatenate(found)

    def words_at(self, addresses: Addresses) -> Addresses:
        """Return the words in the file at these addresses; 0 where there are none."""
        words = np.zeros(len(addresses), np.uint64)
        whole = np.frombuffer(self.contents, np.uint8)
        for one in self.segments:
            here = (addresses >= one.address) & (
                addresses + np.uint64(WORD) <= np.uint64(one.address + one.size)
            )
            if not here.any():
                continue
            places = (addresses[here] - np.uint64(one.address)).astype(np.int64) + one.offset
            words[here] = whole[places[:, None] + np.arange(WORD)].copy().view(f"{self.byteorder}u8")[:, 0]
        return words

    @cached_property
    def symbolic(self) -> tuple[Addresses, npt.NDArray[np.int64], Addresses]:
        """The words that get the address of a symbol: where, which symbol, and what is added."""
        tables = []
        for table in self._rela():
            kind = (table["info"] & 0xFFFFFFFF).astype(np.int64)
            tables.append(table[np.isin(kind, list(ABSOLUTE[self.machine]))])
        ours = np.concatenate(tables)
        number = (ours["info"] >> np.uint64(32)).astype(np.int64)
        return ours["at"].astype(np.uint64), number, ours["addend"].astype(np.uint64)

    @cached_property
    def dynamic_symbols(self) -> SymbolTable:
        """The symbols of the dynamic linker."""
        return self._symbols("SHT_DYNSYM")

    @cached_property
    def symbols(self) -> SymbolTable:
        """All symbols; those of the dynamic linker in a stripped file."""
        whole = self._symbols("SHT_SYMTAB")
        return whole if len(whole) else self.dynamic_symbols

    def _symbols(self, kind: str) -> SymbolTable:
        head, names = self._tables.get(kind, (None, None))
        order = self.byteorder
        item = np.dtype(
            [
                *(("name", f"{order}u4"), ("info", "u1"), ("other", "u1"), ("section", f"{order}u2")),
                *(("value", f"{order}u8"), ("size", f"{order}u8")),
            ]
        )
        if head is None or names is None or head["sh_offset"] >= len(self.contents):
            return SymbolTable(np.zeros(0, item), b"")
        count = min(head["sh_size"], len(self.contents) - head["sh_offset"]) // item.itemsize
        text = bytes(self.contents[names["sh_offset"] : names["sh_offset"] + names["sh_size"]])
        return SymbolTable(np.frombuffer(self.contents, item, count, head["sh_offset"]), text)


class SymbolTable:
    """A table of symbols, searched by number, by name and by address."""

    def __init__(self, rows: npt.NDArray[Any], names: bytes) -> None:
        self._rows = rows
        self._names = names

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, number: int) -> str:
        """Return the name of a symbol; "" if it has none."""
        start = int(self._rows["name"][number]) if 0 <= number < len(self._rows) else 0
        end = self._names.find(b"\0", start)
        return self._names[start:end].decode("utf-8", "replace") if start < end else ""

    def defined(self, number: int) -> int | None:
        """Return the address of a symbol, None if this file only needs it."""
        if not 0 <= number < len(self._rows) or not self._rows["section"][number]:
            return None
        return int(self._rows["value"][number])

    def at(self, address: int) -> str:
        """Return the name of the function or object at an address; "" if there is none."""
        place = int(np.searchsorted(self._values, np.uint64(address)))
        while place < len(self._values) and self._values[place] == address:
            name = self.name(int(self._order[place]))
            if name:
                return name
            place += 1
        return ""

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        kind = self._rows["info"] & 15  # objects and functions: neither sections nor files
        ours = np.flatnonzero((self._rows["section"] != 0) & ((kind == 1) | (kind == 2)))
        return ours[np.argsort(self._rows["value"][ours], kind="stable")]

    @cached_property
    def _values(self) -> Addresses:
        return self._rows["value"][self._order].astype(np.uint64)

    @cached_property
    def addresses(self) -> dict[str, int]:
        """The addresses of all defined names."""
        return {
            name: int(self._rows["value"][number])
            for number in self._order
            if (name := self.name(int(number)))
        }


def _mapped(path: Path) -> mmap.mmap:
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise ConfigurationError(f"{path}: not a file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not 0 < size <= MAX_FILE:
            raise ConfigurationError(f"{path}: {quantity(size, 'byte')}: not a program")
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as why:
            raise ConfigurationError(f"{path}: cannot be mapped: {why}") from None


def _elftools(contents: mmap.mmap) -> ELFFile:
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError:
        message = "reading programs needs pyelftools: pip install 'qemu-vmstate[describe]'"
        raise ConfigurationError(message) from None
    return ELFFile(cast("IO[bytes]", contents))  # a map has what is read of a file


def _heads(elf: ELFFile, form: Any, prefix: str) -> Iterator[Any]:
    """Yield the headers of segments or sections alone: what is in them may be large, and is not needed."""
    from elftools.common.utils import struct_parse

    start, size = elf.header[f"e_{prefix}off"], elf.header[f"e_{prefix}entsize"]
    for number in range(elf.header[f"e_{prefix}num"]):
        yield struct_parse(form, elf.stream, start + number * size)


def _has_symbols(head: Any, sections: list[Any]) -> bool:
    return head["sh_type"] in {"SHT_SYMTAB", "SHT_DYNSYM"} and head["sh_link"] < len(sections)


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges in order, with those that touch as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(one for one in ranges if one[1] <= LAST_ADDRESS):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def _sorted(at: Addresses, to: Addresses) -> Pointers:
    order = np.argsort(at, kind="stable")
    return Pointers(at[order], to[order])
