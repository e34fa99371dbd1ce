"""Put another stream into a snapshot of a qcow2 image: into its clusters, and into new ones at the end.

A cluster that other tables use too, as after `loadvm`, is left to them; the stream gets a new one.  So it
does for a compressed one.  QEMU's docs/interop/qcow2.txt; block/qcow2-cluster.c, block/qcow2-refcount.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from vmstate.dataclass import dataclass, field
from vmstate.errors import Unsupported

_COPIED = 1 << 63
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED, _ZERO = 1 << 62, 1
_REFCOUNT_TABLE_IN_HEADER, _SECTOR = 48, 512
_MOST_L1 = (32 << 20) // 8
_ALL_WRITTEN = 0xFFFFFFFF
_SIZE_IN_ENTRY, _LARGE_SIZE_IN_ENTRY, _L1_SIZE_IN_ENTRY = 32, 40, 8


@dataclass(frozen=True)
class Replacement:
    """A replacement: ``stream`` for the state of one snapshot of ``image``.

    ``entry``: the offset of the snapshot's entry; ``l1``: its L1 table; ``first``: the index there of the
    state's first L2 table; ``clusters``: the entries of the state's clusters.  ``active``: the L1 table of
    the disk as it is now, and ``active_size`` its entries.
    """

    image: memoryview = field(repr=False)
    stream: memoryview = field(repr=False)
    cluster_bits: int
    refcount_order: int
    refcount_table: int
    refcount_table_clusters: int
    extended: bool
    entry: int
    extra_size: int
    l1: int
    l1_size: int
    first: int
    clusters: list[int]
    active: int
    active_size: int


def rewritten(asked: Replacement) -> Iterator[bytes]:
    """Yield the image with the stream in it.  Raises Unsupported for tables behind the image's end."""
    yield from _Rewriting(asked).pieces()


class _Rewriting:
    def __init__(self, asked: Replacement) -> None:
        self._asked = asked
        self._size = 1 << asked.cluster_bits
        #: Changed clusters of tables, by their number in the image; the stream's clusters are not among them.
        self._tables: dict[int, bytearray] = {}
        self._streamed: dict[int, int] = {}
        self._end = self._old_end = -(-len(asked.image) // self._size)
        self._l1, self._l1_size = asked.l1, asked.l1_size
        self._refcounts, self._refcount_clusters = asked.refcount_table, asked.refcount_table_clusters
        self._place()

    def pieces(self) -> Iterator[bytes]:
        """Yield the new image."""
        for number in range(self._end):
            piece = self._piece(number).ljust(self._size, b"\0")
            if number == self._old_end - 1 == self._end - 1:
                piece = piece[: len(self._asked.image) - number * self._size]  # the image ends as it did
            yield piece

    def _piece(self, number: int) -> bytes:
        if number not in self._streamed:
            return bytes(self._cluster(number))
        at = self._streamed[number]
        return bytes(self._asked.stream[at : at + self._size])

    def _place(self) -> None:
        needed = -(-len(self._asked.stream) // self._size)
        for index in range(needed):
            entry = self._asked.clusters[index] if index < len(self._asked.clusters) else 0
            number = self._own(entry)
            if number is None:
                number = self._allocate()
                self._map(index, number)
                self._release(entry)
            elif self._asked.extended:
                self._map(index, number)  # all its subclusters are written now
            self._streamed[number] = index * self._size
        self._write_sizes()

    def _own(self, entry: int) -> int | None:
        """Return the number of a cluster that only this state has; None if it must not be overwritten."""
        number = (entry & _OFFSET) >> self._asked.cluster_bits
        zero = entry & _ZERO and not self._asked.extended
        if entry & _COMPRESSED or zero or not number or number in self._streamed:
            return None
        return number if self._refcount(number) == 1 else None

    def _release(self, entry: int) -> None:
        """Leave a cluster to the other tables that use it; a compressed one may be parts of several."""
        bits = self._asked.cluster_bits
        if not entry & _COMPRESSED:
            if entry & _OFFSET:
                self._leave((entry & _OFFSET) >> bits)
            return
        shift = 62 - (bits - 8)
        at = entry & (1 << shift) - 1
        end = (at & -_SECTOR) + ((entry >> shift & (1 << bits - 8) - 1) + 1) * _SECTOR
        for number in range(at >> bits, (end - 1 >> bits) + 1):
            self._leave(number)

    def _leave(self, number: int) -> None:
        count = self._refcount(number)
        if count:
            self._count(number, count - 1)
        if count == 2 and number in self._active_entries:
            where = self._active_entries[number]
            self._put(where, (self._number(where, 8) | _COPIED).to_bytes(8, "big"))

    @cached_property
    def _active_entries(self) -> dict[int, int]:
        """Where the disk's present tables have an entry of a cluster, of what is behind the disk's end."""
        found: dict[int, int] = {}
        words = 2 if self._asked.extended else 1
        for index in range(self._asked.first, min(self._asked.active_size, _MOST_L1)):
            where = self._asked.active + index * 8
            l2 = self._number(where, 8) & _OFFSET
            if not l2:
                continue
            found[l2 >> self._asked.cluster_bits] = where
            table = self._bytes(l2, self._size)
            for at in range(0, self._size, 8 * words):
                entry = int.from_bytes(table[at : at + 8], "big")
                if entry & _OFFSET and not entry & _COMPRESSED:
                    found[(entry & _OFFSET) >> self._asked.cluster_bits] = l2 + at
        return found

    def _write_sizes(self) -> None:
        asked, size = self._asked, len(self._asked.stream)
        self._put(asked.entry + _SIZE_IN_ENTRY, (size if size < 1 << 32 else 0).to_bytes(4, "big"))
        if asked.extra_size >= 8:
            self._put(asked.entry + _LARGE_SIZE_IN_ENTRY, size.to_bytes(8, "big"))
        elif size >= 1 << 32:
            raise Unsupported("this snapshot's entry has no room for a state of 4 GiB or more")
        self._put(asked.entry, self._l1.to_bytes(8, "big") + self._l1_size.to_bytes(4, "big"))

    # ---- tables

    def _map(self, index: int, number: int) -> None:
        """Enter a new cluster of the state in its L2 table, which is made if it does not exist."""
        words = 2 if self._asked.extended else 1
        table, place = divmod(index, self._size // 8 // words)
        l1_index = self._asked.first + table
        if l1_index >= self._l1_size:
            self._grow_l1(l1_index + 1)
        where = self._l1 + l1_index * 8
        l2 = self._number(where, 8) & _OFFSET
        if not l2:
            l2 = self._allocate() << self._asked.cluster_bits
            self._put(where, (l2 | _COPIED).to_bytes(8, "big"))
        elif self._refcount(l2 >> self._asked.cluster_bits) > 1:
            l2 = self._copied(l2, where)
        entry = (number << self._asked.cluster_bits | _COPIED).to_bytes(8, "big")
        self._put(l2 + place * 8 * words, entry + (_ALL_WRITTEN.to_bytes(8, "big") if words == 2 else b""))

    def _copied(self, l2: int, where: int) -> int:
        """Give this snapshot its own copy of an L2 table that others use too; return its offset."""
        content, number = self._bytes(l2, self._size), self._allocate()
        new = number << self._asked.cluster_bits
        self._put(new, content)
        self._put(where, (new | _COPIED).to_bytes(8, "big"))
        self._leave(l2 >> self._asked.cluster_bits)
        return new

    def _grow_l1(self, size: int) -> None:
        """Make the L1 table anew at the end, with room for more entries; free the old one's clusters."""
        old, bytes_now = self._l1, self._l1_size * 8
        content = self._bytes(old, bytes_now)
        clusters = -(-size * 8 // self._size)
        numbers = [self._allocate() for _ in range(clusters)]
        if numbers != list(range(numbers[0], numbers[0] + clusters)):
            numbers = [self._allocate() for _ in range(clusters)]  # a refcount block came between
        for n in range(-(-bytes_now // self._size)):
            self._count((old >> self._asked.cluster_bits) + n, 0)
        self._l1, self._l1_size = numbers[0] << self._asked.cluster_bits, clusters * self._size // 8
        self._put(self._l1, content)

    # ---- refcounts

    def _allocate(self) -> int:
        """Take a new cluster at the end; return its number."""
        number = self._end
        self._end += 1
        self._tables[number] = bytearray(self._size)
        self._count_new(number)
        return number

    def _count_new(self, number: int) -> None:
        """Count a new cluster as used once; make the refcount block for it if there is none."""
        entry = self._block_entry(number)
        if not self._number(entry, 8) & _OFFSET:
            block, self._end = self._end, self._end + 1
            self._tables[block] = bytearray(self._size)
            self._put(entry, (block << self._asked.cluster_bits).to_bytes(8, "big"))
            self._count_new(block)
        self._count(number, 1)

    @property
    def _per_block(self) -> int:
        return self._size * 8 >> self._asked.refcount_order

    def _block_entry(self, number: int) -> int:
        """Return the offset of the entry of a cluster's refcount block; the table grows to have it."""
        index = number // self._per_block
        while index >= self._refcount_clusters * self._size // 8:
            self._grow_refcount_table()
        return self._refcounts + index * 8

    def _grow_refcount_table(self) -> None:
        """Make the refcount table anew at the end, twice as large; free the old one's clusters."""
        bits = self._asked.cluster_bits
        old, clusters = self._refcounts >> bits, self._refcount_clusters
        content = self._bytes(self._refcounts, clusters * self._size)
        numbers = range(self._end, self._end + max(2 * clusters, 1))
        self._end = numbers.stop
        for number in numbers:
            self._tables[number] = bytearray(self._size)
        self._refcounts, self._refcount_clusters = numbers[0] << bits, len(numbers)
        self._put(self._refcounts, content)
        place = self._refcounts.to_bytes(8, "big") + self._refcount_clusters.to_bytes(4, "big")
        self._put(_REFCOUNT_TABLE_IN_HEADER, place)
        for number in numbers:
            self._count_new(number)
        for number in range(old, old + clusters):
            self._count(number, 0)

    def _block_of(self, number: int) -> int:
        """Return the offset of a cluster's refcount block; 0 if there is none."""
        index = number // self._per_block
        if index >= self._refcount_clusters * self._size // 8:
            return 0  # a damaged entry may refer to any cluster
        return self._number(self._refcounts + index * 8, 8) & _OFFSET

    def _refcount(self, number: int) -> int:
        block, order = self._block_of(number), self._asked.refcount_order
        if not block:
            return 0
        bit = number % self._per_block << order
        word = self._number(block + bit // 8, max(1, (1 << order) // 8))
        return word >> bit % 8 & (1 << (1 << order)) - 1 if order < 3 else word

    def _count(self, number: int, count: int) -> None:
        block, order = self._block_of(number), self._asked.refcount_order
        if not block:
            return  # it is not counted
        bit = number % self._per_block << order
        at, width = block + bit // 8, max(1, (1 << order) // 8)
        if order < 3:
            mask = (1 << (1 << order)) - 1 << bit % 8
            count = self._number(at, 1) & ~mask | count << bit % 8
        self._put(at, count.to_bytes(width, "big"))

    # ---- bytes of the image, as changed so far

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._bytes(at, size), "big")

    def _bytes(self, at: int, size: int) -> bytes:
        found = bytearray()
        while size > 0:
            number, start = divmod(at, self._size)
            part = self._cluster(number)[start : start + size]
            if not part:
                raise Unsupported("a table of the image is behind its end", offset=at)
            found += part
            at, size = at + len(part), size - len(part)
        return bytes(found)

    def _put(self, at: int, value: bytes) -> None:
        while value:
            number, start = divmod(at, self._size)
            room = self._size - start
            cluster = self._tables.get(number)
            if cluster is None:
                cluster = self._tables[number] = bytearray(self._cluster(number)).ljust(self._size, b"\0")
            cluster[start : start + len(value[:room])] = value[:room]
            at, value = at + room, value[room:]

    def _cluster(self, number: int) -> bytes | bytearray:
        if number in self._tables:
            return self._tables[number]
        start = number * self._size
        return bytes(self._asked.image[start : start + self._size])
