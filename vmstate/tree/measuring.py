"""Payloads measured by declarations, to take apart a stream without a vmdesc."""

from __future__ import annotations

from vmstate.describe import Cursor, Record, plan_of
from vmstate.errors import StreamError, Unsupported
from vmstate.stream import wire
from vmstate.stream.constants import FOOTER_SIZE, VERSION, SectionType
from vmstate.stream.wire import Window
from vmstate.tree.declarations import Declarations, Declared, StreamFacts

_HEADER_SIZE = 8
_ITEM_MARKS = frozenset(
    {
        SectionType.EOF,
        SectionType.START,
        SectionType.PART,
        SectionType.END,
        SectionType.FULL,
        SectionType.COMMAND,
    }
)


class Measured:
    """A resolver for the reader (:class:`vmstate.stream.resolve.Resolver`), made from declarations."""

    def __init__(self, declarations: Declarations) -> None:
        self.declarations = declarations
        self._facts: StreamFacts | None = None

    def measure(
        self, idstr: str, instance_id: int, version_id: int, data: memoryview, payload_start: int
    ) -> int | None:
        """Return the payload's end, by the first declaration before a footer, else an item, else anything."""
        first: int | None = None
        plausible: int | None = None
        failed: StreamError | None = None
        for declared in self.declarations.candidates(self._facts_of(data), idstr, instance_id, version_id):
            try:
                end = _end(declared, data, payload_start, version_id)
            except StreamError as error:
                failed = error
                continue
            if _is_footer(data, end):
                return end
            if plausible is None and _begins_something(data, end):
                plausible = end
            first = end if first is None else first
        if first is None and failed is not None:
            raise failed
        return first if plausible is None else plausible

    def _facts_of(self, data: memoryview) -> StreamFacts:
        """Return the facts at the beginning of the stream, read once: a resolver serves one stream."""
        if self._facts is None:
            self._facts = _read_facts(data)
        return self._facts


def _read_facts(data: memoryview) -> StreamFacts:
    win = Window(data)
    try:
        if wire.file_header(win, 0).version != VERSION or win.u8(_HEADER_SIZE) != SectionType.CONFIGURATION:
            return StreamFacts()
        configuration = wire.configuration(win, _HEADER_SIZE)
    except StreamError:
        return StreamFacts()
    return StreamFacts(configuration.machine, configuration.capabilities)


def _end(declared: Declared, data: memoryview, start: int, version_id: int) -> int:
    cur = Cursor(data, start)
    state = Record() if declared.state is None else declared.state
    try:
        plan_of(declared.description).load(cur, state, version_id)
    except (AttributeError, LookupError, TypeError, ValueError) as why:
        message = f"the declaration needs more than the stream contains: {why}"
        raise Unsupported(message, offset=start) from None
    return cur.pos


def _is_footer(data: memoryview, end: int) -> bool:
    return len(data) - end >= FOOTER_SIZE and data[end] == SectionType.FOOTER


def _begins_something(data: memoryview, end: int) -> bool:
    return end == len(data) or data[end] in _ITEM_MARKS
