"""Put another stream into a snapshot of a qcow2 image: into its clusters, and into new ones at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported

_COPIED = 1 << 63
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_ALL_WRITTEN = 0xFFFFFFFF
_SIZE_IN_ENTRY, _LARGE_SIZE_IN_ENTRY, _L1_SIZE_IN_ENTRY = 32, 40, 8


@dataclass(frozen=True)
class Replacement:
    """What is replaced: ``stream`` for the state of one snapshot of ``image``.

    ``entry``: the offset of the snapshot's entry; ``first``: the index in its L1 table of the state's first
    L2 table; ``clusters``: the offsets of the state's clusters.
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


def rewritten(asked: Replacement) -> Iterator[bytes]:
    """Yield the image with the stream in it.  Raises Unsupported for clusters that other tables share."""
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
        for index, offset in enumerate(self._asked.clusters[:needed]):
            number = offset >> self._asked.cluster_bits
            if self._refcount(number) != 1:
                raise Unsupported("a cluster of the state is shared with another snapshot", offset=offset)
            self._streamed[number] = index * self._size
            if self._asked.extended:
                self._map(index, number)  # all its subclusters are written now
        for index in range(len(self._asked.clusters), needed):
            number = self._allocate()
            self._streamed[number] = index * self._size
            self._map(index, number)
        self._write_sizes()

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
        entry = (number << self._asked.cluster_bits | _COPIED).to_bytes(8, "big")
        self._put(l2 + place * 8 * words, entry + (_ALL_WRITTEN.to_bytes(8, "big") if words == 2 else b""))

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
        if self._block_of(number) == 0:
            block, self._end = self._end, self._end + 1
            self._tables[block] = bytearray(self._size)
            self._put(self._block_entry(number), (block << self._asked.cluster_bits).to_bytes(8, "big"))
            self._count(block, 1)
        self._count(number, 1)
        return number

    @property
    def _per_block(self) -> int:
        return self._size * 8 >> self._asked.refcount_order

    def _block_entry(self, number: int) -> int:
        index = number // self._per_block
        if index >= self._asked.refcount_table_clusters * self._size // 8:
            raise Unsupported(
                "the image's refcount table is full", remedy="grow the disk with `qemu-img resize` first"
            )
        return self._asked.refcount_table + index * 8

    def _block_of(self, number: int) -> int:
        return self._number(self._block_entry(number), 8) & _OFFSET

    def _refcount(self, number: int) -> int:
        block, order = self._block_of(number), self._asked.refcount_order
        if not block:
            return 0
        bit = number % self._per_block << order
        word = self._number(block + bit // 8, max(1, (1 << order) // 8))
        return word >> bit % 8 & (1 << (1 << order)) - 1 if order < 3 else word

    def _count(self, number: int, count: int) -> None:
        block, order = self._block_of(number), self._asked.refcount_order
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
