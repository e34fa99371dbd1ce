"""Streams checked and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from vmstate.compare.difference import Difference
from vmstate.compare.streams import Diff
from vmstate.front.known import known_meanings
from vmstate.front.opening import Source, open_stream_file
from vmstate.front.stream_file import StreamFile


def diff(
    left: StreamFile | Source,
    right: StreamFile | Source,
    ignore: Sequence[str] = (),
    tick: Callable[[int], None] = lambda _: None,
) -> list[Difference]:
    """Return the differences between two streams; an empty list if there are none.

    ``ignore``: paths that do not count, with everything inside them; ``*`` stands for any text.  ``tick`` is
    called with the number of bytes of guest memory compared so far.
    """
    with ExitStack() as stack:
        sides = [_opened(one, stack) for one in (left, right)]
        return list(Diff(sides[0].contents, sides[1].contents, ignore, known_meanings(), tick).differences())


def _opened(stream: StreamFile | Source, stack: ExitStack) -> StreamFile:
    return stream if isinstance(stream, StreamFile) else stack.enter_context(open_stream_file(stream))
