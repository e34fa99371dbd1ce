"""A stream verified."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.compare.verify import Verified
from vmstate.compare.verify import verify as verify_contents
from vmstate.front.opening import Source, open_stream_file
from vmstate.front.stream_file import StreamFile


def verify(
    stream: StreamFile | Source, *, limit: int | None = None, tick: Callable[[int], None] = lambda _: None
) -> Verified:
    """Check everything about a stream that needs no destination; problems are findings, with their places.

    ``limit``: the most bytes to decompress.  ``tick`` is called with the offset reached.  Raises StreamError
    if the stream cannot be opened.
    """
    if isinstance(stream, StreamFile):
        return verify_contents(stream.contents, stream.opened, tick)
    with open_stream_file(stream, limit=limit, whole=False) as opened:
        return verify_contents(opened.contents, opened.opened, tick)
