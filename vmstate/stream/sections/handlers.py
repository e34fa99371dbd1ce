"""Sections that say themselves where they end: the registry of handlers for iterative sections.

A handler is made at a device's START (or FULL) section, keeps what the device's sections say, and is asked to
scan each payload in turn.  It works on whatever window there is, so one handler serves a map and a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vmstate.errors import StreamError, Truncated
from vmstate.stream.wire import SectionStart, Window


@dataclass(frozen=True)
class LiveContext:
    """What the stream said before a live section started.

    ``page_size``: the target's, in bytes, if the configuration, the vmdesc or a postcopy advice told it.
    ``capabilities``: names from the configuration section.  ``origin``: absolute file offset of the stream's
    first byte (mapped-ram counts from the file's start).  ``keep_pages``: whether handlers shall note where
    guest pages are, or only count them.
    """

    start: SectionStart
    page_size: int | None = None
    capabilities: frozenset[str] = frozenset()
    postcopy: bool = False
    origin: int = 0
    keep_pages: bool = True


class LiveHandler(Protocol):
    """Reads the payloads of one live device.

    ``bulky``: its PART and END payloads are guest memory, which a pipe need not keep.
    """

    bulky: bool

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read records from ``at``; the offset reached, and whether the payload ended there.

        Not ended means that the window ends inside the record at that offset, or that it makes no sense:
        asked again from there, a StreamError says why.  So an error never comes after something was read, and
        nothing is read twice.  :meth:`skip` is called before the next payload.
        """

    def skip(self, start: int, end: int) -> None:
        """The bytes from ``start`` to ``end`` belong to the device, but could not be read."""


def records(read: Callable[[Window, int], tuple[int, bool]], win: Window, at: int) -> tuple[int, bool]:
    """Scan with a function that reads one record: gives the offset after it and whether it was the last."""
    start = at
    try:
        done = False
        while not done:
            at, done = read(win, at)
    except StreamError as error:
        if at == start and not isinstance(error, Truncated):
            raise
        return at, False
    return at, True


Factory = Callable[[LiveContext], LiveHandler]

_LIVE: dict[str, Factory] = {}
_WHOLE: dict[str, Factory] = {}


def register(idstr: str, whole: bool = False) -> Callable[[Factory], Factory]:
    """Class decorator: this handler reads the sections named ``idstr``.

    ``whole``: an old-style device, whose state is in a FULL section, not a live one.
    """

    def add(factory: Factory) -> Factory:
        (_WHOLE if whole else _LIVE)[idstr] = factory
        return factory

    return add


def handler_for(context: LiveContext, whole: bool = False) -> LiveHandler | None:
    """A handler for a START (``whole``: FULL) section, or None when nobody knows its grammar."""
    factory = (_WHOLE if whole else _LIVE).get(context.start.idstr)
    return factory(context) if factory else None
