"""Read a stream from a pipe in memory that does not grow with the guest.

Bytes are fed in as they arrive, and items come out as they complete.  Guest memory is counted as it passes,
and hashed if that is wanted, but not kept.  Everything else is written at its own offset to a sparse
temporary file, which is mapped at the end: the stream then reads like one from a file, with zeros where guest
memory was.  Device sections wait for the stream's end, because the description there gives their lengths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vmstate.containers.spool import Readable
from vmstate.stream.constants import SectionType
from vmstate.stream.items import Item, Section
from vmstate.stream.reader import Reading, Stream, map_whole
from vmstate.stream.resolve import Resolver
from vmstate.stream.sections.ram import WORD, Ram
from vmstate.stream.walk import Need, Walker
from vmstate.stream.walk_state import Live, WalkState
from vmstate.stream.wire import Window

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_CHUNK = 1 << 21
_COMPACT = 1 << 18


class Feed:
    """A stream read in pieces of any size: :meth:`feed` them, then :meth:`close` to get the stream.

    ``digest``: hash guest memory as it passes, which takes three times as long as the rest.  ``places``: keep
    where each run of pages is, with its first word, and whatever is not a page.
    """

    def __init__(
        self, resolver: Resolver | None = None, *, digest: bool = False, places: bool = False
    ) -> None:
        import tempfile  # for pipes only: it takes longer to import than the rest of the reader

        self.state = WalkState(keep_pages=places)
        self._places = places
        self._next_run: dict[int, int] = {}  # by the section id of guest memory
        self._resolver = resolver
        self._walker = Walker(self.state)
        self._items: list[Item] = []
        self._buffer = bytearray(_CHUNK)
        self._size = 0  # bytes of the buffer that are in use
        self._base = 0  # the offset in the stream of the first one
        self._kept = 0
        self._elided: list[tuple[int, int]] = []
        self._hash = _sha256() if digest else None
        self._rest = False
        self._enough = 0
        self._spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed by close or __exit__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def feed(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> list[Item]:
        """Take the next bytes; return the items that they complete.

        ``more`` is to come: small pieces are collected before they are looked at.  StreamError when they do
        not begin a migration stream.
        """
        if self._rest:
            self._write(memoryview(data))
            return []
        self._make_room(len(data))
        self._buffer[self._size : self._size + len(data)] = data
        return self._came(len(data), more=more)

    def read_from(self, file: Readable) -> int:
        """Take the next bytes of a file; return how many came, 0 at its end.

        They go right into a buffer that is used again: new memory for each piece costs more than to read it.
        """
        self._make_room(_COMPACT)
        with memoryview(self._buffer) as view, view[self._size :] as free:
            came = file.readinto(free) or 0
        if self._rest:
            self._write(memoryview(self._buffer)[:came])
        else:
            self._came(came, more=True)
        return came

    def _make_room(self, size: int) -> None:
        more = self._size + size - len(self._buffer)
        if more > 0:
            self._buffer += bytes(max(more, len(self._buffer)))

    def _came(self, size: int, *, more: bool = False) -> list[Item]:
        self._size += size
        self.state.budget.earn(size)
        if self._size < self._enough or (more and self._size < _CHUNK - _COMPACT):
            return []
        done = len(self._items)
        self._advance()
        return self._items[done:]

    def _advance(self) -> None:
        with memoryview(self._buffer) as whole, whole[: self._size] as view:
            need = self._walk(view)
        if need is Need.REST:
            self._keep_rest()
            return
        passed = self._kept - self._base
        if passed >= _COMPACT:
            self._size -= passed
            self._buffer[: self._size] = self._buffer[passed : passed + self._size]
            self._base = self._kept
        # An incomplete item is read again from its beginning: when much of it is here, wait for much more.
        size = self._size
        self._enough = size + size // 4 if self._base + size - self._walker.low > _COMPACT else 0

    def _walk(self, view: memoryview) -> Need:
        with view[:] as seen:
            win = Window(seen, self._base, complete=False)
            while not isinstance(item := self._walker.step(win), Need):
                self._items.append(item)
                self._store(view, item)
            self._store_open(view)
        return item

    def _store(self, view: memoryview, item: Item) -> None:
        """Keep the bytes of a complete item, but only the hash of guest memory."""
        if isinstance(item, Section) and item.kind in (SectionType.PART, SectionType.END):
            live = self.state.live.get(item.section_id)
            if live is not None and live.handler is not None and live.handler.bulky:
                self._keep(view, item.payload_start)
                self._pass(view, item.payload_end, live)
        self._keep(view, item.end)

    def _store_open(self, view: memoryview) -> None:
        """Drop the scanned part of a payload that is still incomplete from the buffer."""
        bulk = self._walker.bulk
        if bulk is not None:
            self._keep(view, bulk.payload_start)
            self._pass(view, self._walker.low, bulk.live)

    def _pass(self, view: memoryview, end: int, live: Live) -> None:
        """Drop guest memory, or what is inside of its runs of pages if their places are wanted."""
        if not self._places:
            self._drop(view, end)
        elif isinstance(live.handler, Ram):
            runs, section = live.handler.runs, live.start.section_id
            for run in range(self._next_run.get(section, 0), len(runs)):
                start = runs.start[run]
                if start >= end:
                    break
                self._keep(view, min(start + WORD.size, end))
                self._drop(view, min(start + runs.count[run] * runs.stride[run], end))
                self._next_run[section] = run  # the last one may grow
        self._keep(view, end)

    def _keep(self, view: memoryview, end: int) -> None:
        if end > self._kept:
            self._write(view[self._kept - self._base : end - self._base])

    def _write(self, data: memoryview) -> None:
        while len(data):
            written = os.pwrite(self._spool.fileno(), data, self._kept)
            self._kept += written
            data = data[written:]

    def _drop(self, view: memoryview, end: int) -> None:
        if end > self._kept:
            if self._hash is not None:
                self._hash.update(view[self._kept - self._base : end - self._base])
            if self._elided and self._elided[-1][1] == self._kept:
                self._elided[-1] = (self._elided[-1][0], end)
            else:
                self._elided.append((self._kept, end))
            self._kept = end

    def _keep_rest(self) -> None:
        self._rest = True
        self._write(memoryview(self._buffer)[self._kept - self._base : self._size])
        self._size = 0

    def close(self) -> Stream:
        """End the input and return the whole stream.

        StreamError when it does not begin like a migration stream.
        """
        if not self._rest:
            self._advance()
        if not self._rest:
            self._keep_rest()
        size = self._kept
        self._spool.truncate(size)
        win = map_whole(self._spool.fileno(), size)
        self._spool.close()
        reading = Reading(win, self._resolver, self.state)
        items = reading.run(self._walker, self._items)
        state = self.state
        return Stream(
            win,
            tuple(items),
            state.all_findings(),
            tuple(state.handlers),
            state.footers,
            elided=tuple(self._elided),
            passed=self._hash.hexdigest() if self._hash is not None and self._elided else None,
            _vmdesc=reading.vmdesc(),
        )


def read_chunks(
    chunks: Iterable[bytes | memoryview], resolver: Resolver | None = None, *, digest: bool = False
) -> Stream:
    """Read a stream that arrives in pieces."""
    with Feed(resolver, digest=digest) as feed:
        for chunk in chunks:
            feed.feed(chunk)
        return feed.close()


def open_pipe(file: Readable, resolver: Resolver | None = None, *, digest: bool = False) -> Stream:
    """Read a stream from a pipe to its end; memory does not grow with the guest.

    In the result, ``elided`` lists where guest memory was; ``passed`` is a hash of it as it was sent if
    ``digest`` asks for that.
    """
    with Feed(resolver, digest=digest) as feed:
        while feed.read_from(file):
            pass
        return feed.close()


def passed_digest(stream: Stream) -> str | None:
    """Return the ``passed`` hash of this stream as if read from a pipe; None without guest memory."""
    hashed, any_bytes = _sha256(), False
    bulky = {
        section.section_id
        for section in stream.sections
        if section.kind == SectionType.START and section.idstr == "ram"
    }
    for section in stream.sections:
        if (
            section.kind in (SectionType.PART, SectionType.END)
            and section.section_id in bulky
            and not section.depth
        ):
            hashed.update(stream.payload(section))
            any_bytes = any_bytes or section.payload_end > section.payload_start
    return hashed.hexdigest() if any_bytes else stream.passed


def _sha256() -> Hash:
    import hashlib

    return hashlib.sha256()
