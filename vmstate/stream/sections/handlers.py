"""The registry of handlers for iterative sections, which end by their own grammar.

A handler is made at a device's START (or FULL) section, keeps the contents of the device's sections, and
scans each payload in turn.  It works on any window, so one handler serves both a map and a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vmstate.dataclass import dataclass
from vmstate.errors import StreamError, Truncated
from vmstate.stream.wire import SectionStart, Window


@dataclass(frozen=True)
class LiveContext:
    """The properties of the stream known when a live section starts.

    ``page_size``: the target's, in bytes, if the configuration, the vmdesc or a postcopy advice gave it.
    ``capabilities``: names from the configuration section.  ``origin``: absolute file offset of the stream's
    first byte (mapped-ram counts from the file's start).  ``keep_pages``: True if handlers record the places
    of guest pages, False if they only count them.
    """

    start: SectionStart
    page_size: int | None = None
    capabilities: frozenset[str] = frozenset()
    postcopy: bool = False
    origin: int = 0
    keep_pages: bool = True


class LiveHandler(Protocol):
    """A reader of the payloads of one live device.

    ``bulky``: its PART and END payloads are guest memory, which a pipe need not keep.
    """

    bulky: bool

    def scan(self, win: Window, at: int) -> tuple[int, bool]:
        """Read records from ``at``; return the offset reached, and True if the payload ended there.

        False means that the window ends inside the record at that offset, or that the record is invalid: a
        second scan from there raises a StreamError.  So an error is raised only at the first record of a
        scan, and nothing is read twice.  :meth:`skip` is called before the next payload.
        """

    def skip(self, start: int, end: int) -> None:
        """Skip the bytes from ``start`` to ``end``, which belong to the device but could not be read."""


def records(read: Callable[[Window, int], tuple[int, bool]], win: Window, at: int) -> tuple[int, bool]:
    """Scan with ``read``, which reads one record and returns the offset after it, and True if it was last."""
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
_FULL: dict[str, Factory] = {}


def register(idstr: str, full: bool = False, on_bus: bool = False) -> Callable[[Factory], Factory]:
    """Class decorator: register a handler for the sections named ``idstr``.

    ``full``: an old-style device, whose state is in a FULL section, not a live one.  ``on_bus``: the name
    stands behind the device's address.
    """

    def add(factory: Factory) -> Factory:
        (_FULL if full else _LIVE)[f"/{idstr}" if on_bus else idstr] = factory
        return factory

    return add


def handler_for(context: LiveContext, full: bool = False) -> LiveHandler | None:
    """Make a handler for a START (``full``: FULL) section; None when its grammar is unknown."""
    known, idstr = _FULL if full else _LIVE, context.start.idstr
    factory = known.get(idstr) or known.get(idstr[idstr.rfind("/") :])
    return factory(context) if factory else None
