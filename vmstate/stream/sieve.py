"""A spool for a stream of which only the places of guest memory are needed, not its contents.

What does not fit in memory goes through a :class:`~vmstate.stream.pipe.Feed` instead of to a file: to write
guest memory to a file takes as long as to unpack it.
"""

from __future__ import annotations

from vmstate.containers.protocol import pieces
from vmstate.containers.spool import Readable, Spool, not_kept
from vmstate.stream.constants import MAGIC_BYTES
from vmstate.stream.pipe import Feed
from vmstate.stream.reader import Stream
from vmstate.stream.resolve import Resolver


class Sieve(Spool):
    """A spool that reads a large stream as it comes; :attr:`stream` is then set by :meth:`finish`."""

    def __init__(self, limit: int | None = None, resolver: Resolver | None = None) -> None:
        super().__init__(limit)
        self.stream: Stream | None = None
        self._resolver = resolver
        self._feed: Feed | None = None

    def _to_file(self, chunk: bytes | memoryview) -> None:
        if self._feed is None and self._memory.startswith(MAGIC_BYTES):
            self._feed = Feed(self._resolver, places=True)
            with memoryview(self._memory) as begun:
                for piece in pieces(begun):
                    self._feed.feed(piece)
            self._memory = bytearray()
        if self._feed is None:
            super()._to_file(chunk)
        else:
            self._feed.feed(chunk, more=True)

    def read_from(self, file: Readable) -> int:
        """Take what a file reads; a large stream is read right into the feed's buffer."""
        if self._feed is None:
            return super().read_from(file)
        try:
            came = self._feed.read_from(file)
        except OSError as error:
            raise not_kept(error) from error
        self._count(came)
        return came

    def finish(self) -> memoryview:
        """Return the stream's bytes, without the contents of guest memory if it was large."""
        if self._feed is None:
            return super().finish()
        try:
            with self._feed as feed:
                self.stream = feed.close()
        except OSError as error:
            raise not_kept(error) from error
        return self.stream.data
