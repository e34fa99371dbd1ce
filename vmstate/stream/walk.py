"""The core: a state machine that turns the bytes it is shown into items, and does no input of its own.

It is shown a :class:`~vmstate.stream.wire.Window`, and answers each step with an item, or with what it needs:
more bytes, or the whole rest (a device section's length may be written only at the stream's end).  Over a
map the window is everything, so the answer is always an item.  Every byte goes into exactly one item.

Rules of the walk:

1. File header, then perhaps the configuration section, then sections and commands in any order, then the end
   mark, then perhaps the vmdescription.
2. A live section's own grammar says where its payload ends; a full section's end is measured (resolve.py).
3. A footer after a payload is recognised by its mark, which no item begins with.
4. What cannot be read is skipped to the section's footer or the next item; a finding tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from vmstate.errors import Finding, Place, Severity, StreamError, Truncated, finding_of
from vmstate.stream import wire
from vmstate.stream.items import (
    CommandItem,
    Configuration,
    EndOfStates,
    FileHeader,
    Found,
    Item,
    Opaque,
    Section,
    VmDescription,
)
from vmstate.stream.live import LiveContext, LiveHandler, handler_for
from vmstate.stream.marks import COMMAND_LENGTHS, FOOTER_SIZE, VERSION_COMPAT, Command, Kind, Mark
from vmstate.stream.recover import Budget, find_footer, find_item, is_footer, plausible
from vmstate.stream.wire import SectionStart, Window

MAX_DEPTH = 8
MAX_FINDINGS = 1000


class Need(Enum):
    """Answers of a step that are not items."""

    DATA = "more bytes"
    REST = "all bytes to the stream's end"
    NOTHING = "the stream is at its end"


Measure = Callable[[SectionStart, Window], "list[tuple[int, Found]]"]
"""Where a full section's payload may end, the surest first."""


@dataclass
class Live:
    """A live device of the stream: the section that started it, and its handler if its grammar is known."""

    start: SectionStart
    handler: LiveHandler | None


@dataclass
class Facts:
    """What a walk has learnt, shared with the walks of packaged streams."""

    measure: Measure | None = None
    origin: int = 0
    page_size: int | None = None
    capabilities: frozenset[str] = frozenset()
    postcopy: bool = False
    footers: bool | None = None
    live: dict[int, Live] = field(default_factory=dict)
    handlers: list[tuple[str, LiveHandler]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    suppressed: int = 0
    budget: Budget = field(default_factory=lambda: Budget(1 << 16))

    def note(self, finding: Finding) -> None:
        """Keep a finding; after a thousand only count."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.suppressed += 1


@dataclass
class _Open:
    """A live section whose payload is being scanned."""

    start: int
    payload_start: int
    kind: Kind
    live: Live
    at: int
    done: bool = False


class Walker:
    """Walks one stream (or the inside of a package): call :meth:`step` until it answers ``Need.NOTHING``.

    ``at``: the offset reached; bytes before ``low`` are no longer needed.
    """

    def __init__(self, facts: Facts, at: int = 0, depth: int = 0) -> None:
        self.facts = facts
        self.at = at
        self.depth = depth
        self._open: _Open | None = None
        self._step: Callable[[Window], Item | Need] = self._item if depth else self._header
        self._v2_end = 0

    @property
    def low(self) -> int:
        """The first byte that a later step may still look at."""
        return self._open.at if self._open else self.at

    @property
    def bulky(self) -> bool:
        """Is the walk inside page contents, which a pipe need not keep?"""
        return self._open is not None and bool(getattr(self._open.live.handler, "bulky", False))

    def step(self, win: Window) -> Item | Need:
        """The next item of the window, or what is needed for it."""
        state = self._step
        try:
            if self._open:
                item: Item | Need = self._payload(win, self._open)
            elif self.at >= win.end and win.complete:
                return self._at_end(win)
            else:
                item = self._step(win)
        except StreamError as error:
            if not win.complete:
                self._step = state
                return Need.DATA if isinstance(error, Truncated) else Need.REST
            if state == self._header:
                raise
            item = self._lost(win, error)
        if not isinstance(item, Need):
            self.at = item.end
        return item

    # -- what a stream begins and ends with

    def _header(self, win: Window) -> Item:
        header = wire.file_header(win, self.at)
        self._step = self._configuration
        if header.version == VERSION_COMPAT:
            self._v2_end = header.end + 8 + win.u64(header.end)
            self._step = self._record
            return replace(header, end=header.end + 8)
        return header

    def _configuration(self, win: Window) -> Item | Need:
        mark = win.u8(self.at)
        self._step = self._item
        if mark != Mark.CONFIGURATION:
            return self._item(win)
        item = wire.configuration(win, self.at)
        self.facts.capabilities = frozenset(item.capabilities)
        if item.target_page_bits is not None and 10 <= item.target_page_bits <= 16:
            self.facts.page_size = 1 << item.target_page_bits
        return item

    def _at_end(self, win: Window) -> Need:
        if self._step not in (self._after_end, self._trailing, self._record) and not self.depth:
            self._step = self._trailing
            self._note("stream.truncated", "the stream has no end mark", self.at)
        return Need.NOTHING

    def _after_end(self, win: Window) -> Item:
        self._step = self._trailing
        if win.u8(self.at) != Mark.VMDESCRIPTION:
            return self._trailing(win)
        size = win.u32(self.at + 1)
        win.take(self.at + 5, size)
        return VmDescription(self.at, self.at + 5, self.at + 5 + size)

    def _trailing(self, win: Window) -> Item:
        if not win.complete:
            raise Truncated(1, 0, offset=self.at)
        self._note("stream.trailing", f"{win.end - self.at} bytes after the end", self.at, Severity.WARNING)
        return Opaque(self.at, win.end, "trailing")

    # -- sections and commands

    def _item(self, win: Window) -> Item | Need:
        mark = win.u8(self.at)
        if mark in (Mark.START, Mark.FULL):
            return self._started(win, Kind(mark))
        if mark in (Mark.PART, Mark.END):
            return self._continued(win, Kind(mark))
        if mark == Mark.COMMAND:
            return self._command(win)
        if mark == Mark.EOF:
            self._step = self._after_end
            return EndOfStates(self.at, self.at + 1)
        raise StreamError("unknown item", offset=self.at, found=f"{mark:#04x}")

    def _started(self, win: Window, kind: Kind) -> Item | Need:
        start = wire.section_start(win, self.at)
        if not start.idstr:
            raise StreamError("section without a name", offset=self.at + 5)
        if kind == Kind.FULL:
            return self._full(win, start) if win.complete else Need.REST
        live = Live(start, self._handler(start))
        self.facts.live[start.section_id] = live
        return self._scan(win, kind, start.payload_start, live)

    def _handler(self, start: SectionStart) -> LiveHandler | None:
        facts = self.facts
        context = LiveContext(start, facts.page_size, facts.capabilities, facts.postcopy, facts.origin)
        try:
            handler = handler_for(context)
        except StreamError as error:
            self.facts.note(
                finding_of(error.within(section=start.idstr, instance=start.instance_id), "section.version")
            )
            return None
        if handler is not None:
            facts.handlers.append((start.idstr, handler))
        return handler

    def _continued(self, win: Window, kind: Kind) -> Item | Need:
        section_id = win.u32(self.at + 1)
        live = self.facts.live.get(section_id)
        if live is None:
            raise StreamError(
                "part of a section that never started", offset=self.at, found=f"{section_id:#x}"
            )
        return self._scan(win, kind, self.at + 5, live)

    def _scan(self, win: Window, kind: Kind, payload_start: int, live: Live) -> Item | Need:
        self._open = _Open(self.at, payload_start, kind, live, payload_start)
        return self._payload(win, self._open)

    def _payload(self, win: Window, open_: _Open) -> Item | Need:
        handler = open_.live.handler
        if handler is None:
            if not win.complete:
                return Need.REST
            return self._skip(win, open_, None)
        if not open_.done:
            try:
                open_.at, open_.done = handler.scan(win, open_.at)
            except StreamError as error:
                if not win.complete:
                    return Need.REST
                return self._skip(win, open_, error)
        if not win.complete and (not open_.done or win.end - open_.at < FOOTER_SIZE):
            return Need.DATA
        if not open_.done:
            return self._skip(win, open_, Truncated(1, 0, offset=open_.at))
        return self._closed(win, open_, open_.at, Found.LIVE)

    def _closed(
        self, win: Window, open_: _Open, payload_end: int, found: Found, damaged: bool = False
    ) -> Section:
        self._open = None
        start = open_.live.start
        return self._section(
            win, open_.start, open_.payload_start, open_.kind, start, payload_end, found, damaged
        )

    def _skip(self, win: Window, open_: _Open, error: StreamError | None) -> Item:
        """A live payload that is not known, or not readable from ``open_.at`` on: go to its footer, or on."""
        start, facts = open_.live.start, self.facts
        at = open_.at if error is None or error.offset is None else min(error.offset, open_.at)
        end = find_footer(win, at, start.section_id, facts.live, facts.budget)
        found = Found.FOOTER
        if end is None:
            found = Found.GUESS
            end = find_item(win, at, facts.live, facts.budget, starts_only=True)
        if error is not None:
            rule = "stream.truncated" if isinstance(error, Truncated) and end is None else "section.damaged"
            facts.note(
                finding_of(error.within(section=start.idstr, instance=start.instance_id, offset=at), rule)
            )
        elif open_.kind == Kind.START:
            self._note(
                "section.unknown", "live section of unknown content", open_.start, Severity.WARNING, start
            )
        end = win.end if end is None else end
        if open_.live.handler is not None:
            open_.live.handler.skip(at, end)
        return self._closed(win, open_, end, found, damaged=error is not None)

    def _full(self, win: Window, start: SectionStart) -> Item:
        end, found, damaged = self._measured(win, start)
        return self._section(win, self.at, start.payload_start, Kind.FULL, start, end, found, damaged)

    def _measured(self, win: Window, start: SectionStart) -> tuple[int, Found, bool]:
        facts = self.facts
        ends = self._candidates(win, start)
        if facts.footers is not False:
            for end, found in ends:
                if is_footer(win, end, start.section_id) and plausible(win, end + FOOTER_SIZE, facts.live):
                    return end, found, False
        for end, found in ends:
            footer = win.end - end >= FOOTER_SIZE and win.u8(end) == Mark.FOOTER
            if plausible(win, end + (FOOTER_SIZE if footer else 0), facts.live):
                return end, found, False
        return self._searched(win, start, ends)

    def _candidates(self, win: Window, start: SectionStart) -> list[tuple[int, Found]]:
        measure = self.facts.measure
        ends = measure(start, win) if measure else []
        ends = [(end, found) for end, found in ends if start.payload_start <= end <= win.end]
        handler = self._handler(start)
        if handler is not None:
            try:
                end, done = handler.scan(win, start.payload_start)
            except StreamError as error:
                self.facts.note(
                    finding_of(error.within(section=start.idstr), "section.damaged", Severity.WARNING)
                )
            else:
                ends += [(end, Found.LIVE)] if done else []
        return ends

    def _searched(
        self, win: Window, start: SectionStart, ends: list[tuple[int, Found]]
    ) -> tuple[int, Found, bool]:
        facts = self.facts
        end = None
        if facts.footers is not False:
            end = find_footer(win, start.payload_start, start.section_id, facts.live, facts.budget)
        found = Found.FOOTER
        if end is None:
            found = Found.GUESS
            end = find_item(win, start.payload_start, facts.live, facts.budget, starts_only=True)
        if ends:
            wrong, how = ends[0]
            message = f"nothing fits where the payload should end by its {how}"
            self._note("section.length", message, wrong, Severity.ERROR, start)
        elif found == Found.GUESS:
            self._note("section.guessed", "the payload's end is a guess", self.at, Severity.WARNING, start)
        if end is None:
            self._note(
                "stream.truncated", "the stream ends inside this section", win.end, Severity.ERROR, start
            )
            return win.end, found, True
        return end, found, bool(ends)

    def _section(
        self,
        win: Window,
        at: int,
        payload: int,
        kind: Kind,
        start: SectionStart,
        end: int,
        found: Found,
        damaged: bool,
    ) -> Section:
        footer, after = self._footer(win, start, end, damaged)
        return Section(
            at, payload, end, after, kind, start.section_id, start.idstr, start.instance_id, start.version_id,
            footer, found, damaged, self.depth,
        )  # fmt: skip

    def _footer(self, win: Window, start: SectionStart, end: int, damaged: bool) -> tuple[int | None, int]:
        facts = self.facts
        if win.end - end >= FOOTER_SIZE and win.u8(end) == Mark.FOOTER:
            read = win.u32(end + 1)
            facts.footers = True
            if read != start.section_id:
                message = f"the footer has section id {read:#x}, its section {start.section_id:#x}"
                self._note("footer.id", message, end + 1, Severity.ERROR, start)
            return read, end + FOOTER_SIZE
        if facts.footers and not damaged:
            self._note("footer.missing", "no footer where the section ends", end, Severity.ERROR, start)
        elif facts.footers is None and not damaged:
            facts.footers = False
        return None, end

    # -- commands, and old records

    def _command(self, win: Window) -> Item | Need:
        number, length, data = wire.command_header(win, self.at)
        payload = win.take(data, length)
        end = data + length
        lengths = COMMAND_LENGTHS.get(number)
        if not 0 < number <= max(Command) or (lengths is not None and length not in lengths):
            self._note("command.unknown", f"command {number:#x} with {length} bytes", self.at)
        if number == Command.POSTCOPY_ADVISE:
            self.facts.postcopy = length == 16
            size = int.from_bytes(payload[8:16], "big")
            if size in (1024, 2048, 4096, 8192, 16384, 65536):
                self.facts.page_size = self.facts.page_size or size
        if number != Command.PACKAGED or length != 4:
            return CommandItem(self.at, data, end, end, number)
        size = win.u32(data)
        win.take(end, size)
        return CommandItem(self.at, data, end, end + size, number, self._inside(win, end, end + size))

    def _inside(self, win: Window, start: int, end: int) -> tuple[Item, ...]:
        if self.depth >= MAX_DEPTH:
            self._note("command.nested", "packages too deep in each other", start)
            return (Opaque(start, end, "nested"),) if end > start else ()
        inner = Window(win.view[start - win.base : end - win.base], start)
        walker = Walker(self.facts, start, self.depth + 1)
        items = []
        while not isinstance(item := walker.step(inner), Need):
            items.append(item)
        return tuple(items)

    def _record(self, win: Window) -> Item | Need:
        """A record of file version 2: name, instance, version, length, payload."""
        if self.at >= self._v2_end:
            return self._trailing(win)
        idstr, pos = win.name(self.at)
        instance_id, version_id, size = win.u32(pos), win.u32(pos + 4), win.u32(pos + 8)
        end = pos + 12 + size
        win.take(pos + 12, size)
        return Section(
            self.at, pos + 12, end, end, Kind.FULL, 0, idstr, instance_id, version_id, None, Found.LIVE, False, 0
        )  # fmt: skip

    # -- when something is wrong

    def _lost(self, win: Window, error: StreamError) -> Item:
        cut = isinstance(error, Truncated)
        self.facts.note(
            finding_of(error.within(offset=self.at), "stream.truncated" if cut else "stream.lost")
        )
        return self._to_next(win, "truncated" if cut else "lost")

    def _to_next(self, win: Window, reason: str) -> Item:
        facts = self.facts
        end = find_item(win, self.at + 1, facts.live, facts.budget) if win.complete else None
        return Opaque(self.at, win.end if end is None else end, reason)

    def _note(
        self,
        rule: str,
        message: str,
        offset: int,
        severity: Severity = Severity.ERROR,
        start: SectionStart | None = None,
    ) -> None:
        section, instance = (start.idstr, start.instance_id) if start else (None, None)
        self.facts.note(Finding(rule, severity, message, Place(offset, section, instance)))
