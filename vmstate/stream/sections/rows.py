"""Page records in a row: each like the one before it, but for a page one further.

Guest memory comes as rows of thousands of records.  All of a row is known from its first record: it is
compared with what it must be as one number or one table, and those who read it again need only look there.
"""

from __future__ import annotations

from array import array
from functools import lru_cache

from vmstate.dataclass import dataclass, field

#: The most records that are compared as one number.
IN_A_ROW = 1024
#: The bytes of the record of a zero page: its word, and the byte that fills it.
ZERO_RECORD = 9
_SPAN_BITS = 24  # a table has the records of so much memory; a word has five bytes above these bits
_HIGH_BYTES = 5


@dataclass
class Rows:
    """Rows of records, in stream order: parallel arrays.  Each is inside of one run; not every run has any.

    ``start``: absolute offset of the first record; ``count``: how many there are.
    """

    start: array[int] = field(default_factory=lambda: array("Q"))
    count: array[int] = field(default_factory=lambda: array("Q"))
    _next: tuple[int, int, int] | None = None

    def add(self, start: int, count: int, stride: int, first: bytes, page: int) -> None:
        """Append a row that begins with the record ``first``, or extend the last one if it continues it."""
        step = page << 8 * (len(first) - 8)
        record = int.from_bytes(first, "big")
        if self._next == (start, stride, record):
            self.count[-1] += count
        else:
            self.start.append(start)
            self.count.append(count)
        self._next = (start + count * stride, stride, record + count * step)

    def __len__(self) -> int:
        return len(self.start)


def in_a_row(view: memoryview, at: int, count: int, stride: int, page: int) -> int:
    """Return how many of ``count`` records are in a row with the first one.

    At most :data:`IN_A_ROW` records, of a word and a page, or of a word and one byte, which is the same too.
    No address of ``count`` records in a row may be more than 64 bits.
    """
    records = view[at : at + count * stride]
    if stride == ZERO_RECORD:
        first, step, lane = records[:ZERO_RECORD], page << 8, ZERO_RECORD
        found = int.from_bytes(records, "big")
    elif stride % 8 == 0:
        first, step, lane = records[:8], page, 8
        found = int.from_bytes(records.cast("Q")[:: stride // 8].tobytes(), "big")
    else:
        return 1
    ones, steps = _lanes(lane, step)
    unused = 8 * lane * (IN_A_ROW - count)
    unlike = found ^ int.from_bytes(first, "big") * (ones >> unused) + (steps >> unused)
    return count - -(-unlike.bit_length() // (8 * lane))


@lru_cache(maxsize=8)
def _lanes(size: int, step: int) -> tuple[int, int]:
    """Return two numbers of :data:`IN_A_ROW` lanes, ``size`` bytes each: 1, 1, … and 0, step, 2 step, …."""
    ones = b"".join((1).to_bytes(size, "big") for _ in range(IN_A_ROW))
    steps = b"".join((each * step).to_bytes(size, "big") for each in range(IN_A_ROW))
    return int.from_bytes(ones, "big"), int.from_bytes(steps, "big")


def zeros_in_a_row(view: memoryview, at: int, count: int, page: int) -> int:
    """Return how many of ``count`` records of zero pages are in a row with the first one.

    They are compared where they lie with a table of what they must be.  ``page`` is a power of two, at most
    64 KiB; no address of ``count`` records in a row may be more than 64 bits.
    """
    first = int.from_bytes(view[at : at + ZERO_RECORD], "big")
    number, size = (first >> 8) // page, (1 << _SPAN_BITS) // page
    table = bytearray(_zero_table(page, first % (page << 8)))
    high = bytes(_HIGH_BYTES)
    done = 0
    while done < count:
        span, nth = divmod(number + done, size)
        before, high = high, span.to_bytes(_HIGH_BYTES, "big")
        for column in range(_HIGH_BYTES):
            if before[column] != high[column]:
                table[column::ZERO_RECORD] = high[column : column + 1] * size
        some = min(size - nth, count - done)
        here = view[at + done * ZERO_RECORD : at + (done + some) * ZERO_RECORD]
        if not table.startswith(here, nth * ZERO_RECORD):
            expected = table[nth * ZERO_RECORD : (nth + some) * ZERO_RECORD]
            unlike = int.from_bytes(expected, "big") ^ int.from_bytes(here, "big")
            return done + some - -(-unlike.bit_length() // (8 * ZERO_RECORD))
        done += some
    return count


@lru_cache(maxsize=4)
def _zero_table(page: int, rest: int) -> bytes:
    """Return records of zero pages from address 0 on; ``rest``: what a record has below its address."""
    span = range(0, 1 << _SPAN_BITS, page)
    return b"".join((address << 8 | rest).to_bytes(ZERO_RECORD, "big") for address in span)
