"""The core: a state machine that turns bytes into items and does no input of its own.

Each step takes a :class:`~vmstate.stream.wire.Window` and returns an item, or its need: more bytes, or the
whole rest (a device section's length may be written only at the stream's end).  Over a map the window is
complete, so the result is always an item.  Every byte goes into exactly one item.

Rules of the walk:

1. File header, then perhaps the configuration section, then sections and commands in any order, then the end
   mark, then perhaps the vmdescription.
2. A live section's payload ends by its own grammar; a full section's end is measured (resolve.py).
3. A footer after a payload is recognised by its mark, which no item begins with.
4. Unreadable bytes are skipped up to the section's footer or the next item, and reported as a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from vmstate.dataclass import dataclass, replace
from vmstate.errors import Severity, StreamError, Truncated, finding_of, quantity
from vmstate.stream import wire
from vmstate.stream.boundary import Payload, measure_payload, search
from vmstate.stream.constants import (
    COMMAND_LENGTHS,
    FOOTER_SIZE,
    PAGE_SIZES,
    VERSION_COMPAT,
    Command,
    SectionType,
)
from vmstate.stream.items import CommandItem, EndOfStates, Found, Item, Opaque, Section, VmDescription
from vmstate.stream.recover import (
    find_continuation,
    find_footer,
    find_item,
    fits,
    footer_ends,
    holds_item,
    is_end,
    plausible,
)
from vmstate.stream.sections.handlers import LiveHandler
from vmstate.stream.walk_state import Live, WalkState
from vmstate.stream.wire import SectionStart, Window

MAX_DEPTH = 8
LOOK_BACK = 1 << 16  # more than any length in a record of guest memory
_CONTINUED = {int(kind): kind for kind in (SectionType.PART, SectionType.END)}
_FOOTER = int(SectionType.FOOTER)


class Need(Enum):
    """Results of a step that are not items."""

    DATA = "more bytes"
    REST = "all bytes to the stream's end"
    NOTHING = "the stream is at its end"


@dataclass
class OpenPayload:
    """A live section whose payload is being scanned."""

    start: int
    payload_start: int
    kind: SectionType
    live: Live
    at: int
    done: bool = False

    @property
    def searched(self) -> int:
        """Where the search for the footer of an unreadable payload begins.

        The record before ``at`` may have swallowed it.  A pipe does not keep guest memory that was read.
        """
        handler = self.live.handler
        return (
            max(self.payload_start, self.at - LOOK_BACK) if handler and handler.bulky else self.payload_start
        )


class Walker:
    """A walk over a stream or the inside of a package: call :meth:`step` until it returns ``Need.NOTHING``.

    ``at``: the offset reached; bytes before ``low`` are no longer needed.
    """

    def __init__(self, state: WalkState, at: int = 0, depth: int = 0) -> None:
        self.state = state
        self.at = at
        self.depth = depth
        self._open: OpenPayload | None = None
        self._step: Callable[[Window], Item | Need] = self._item if depth else self._header
        self._v2_end = 0
        self._resume: int | None = None

    @property
    def low(self) -> int:
        """The offset of the first byte that a later step may still read."""
        return self._open.searched if self._open else self.at

    @property
    def bulk(self) -> OpenPayload | None:
        """The open payload if it is guest memory, which a pipe need not keep; else None."""
        open_ = self._open
        if (
            open_ is None
            or open_.kind == SectionType.START
            or open_.live.handler is None
            or not open_.live.handler.bulky
        ):
            return None
        return open_

    def step(self, win: Window) -> Item | Need:
        """Return the next item of the window, or the need that prevents it."""
        state = self._step
        try:
            if self._open:
                item: Item | Need = self._payload(win, self._open)
            elif self._resume is not None:
                item, self._resume = Opaque(self.at, self._resume, "lost"), None
            elif self.at >= win.end and win.complete and state != self._header:
                return self._at_end(win)
            else:
                item = self._step(win)
        except StreamError as error:
            if not win.complete:
                self._step = state
                return Need.DATA if isinstance(error, Truncated) else Need.REST
            if state == self._header:
                raise
            item = self._recover(win, error)
        if not isinstance(item, Need):
            self.at = item.end
        return item

    # -- the beginning and the end of a stream

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
        if mark != SectionType.CONFIGURATION:
            return self._item(win)
        item = wire.configuration(win, self.at)
        self.state.capabilities = frozenset(item.capabilities)
        if item.target_page_bits is not None and 8 <= item.target_page_bits <= 16:
            self.state.page_size = 1 << item.target_page_bits
        return item

    def _at_end(self, win: Window) -> Need:
        if self._step not in (self._after_end, self._trailing, self._record) and not self.depth:
            self._step = self._trailing
            if not any(finding.rule == "stream.truncated" for finding in self.state.findings):
                self.state.report("stream.truncated", "the stream has no end mark", self.at)
        return Need.NOTHING

    def _after_end(self, win: Window) -> Item:
        self._step = self._trailing
        if win.u8(self.at) != SectionType.VMDESCRIPTION:
            return self._trailing(win)
        size = win.u32(self.at + 1)
        win.take(self.at + 5, size)
        return VmDescription(self.at, self.at + 5, self.at + 5 + size)

    def _trailing(self, win: Window) -> Item:
        if not win.complete:
            raise Truncated(1, 0, offset=self.at)
        size = win.end - self.at
        if wire.is_zero(win.take(self.at, size)):
            message = f"{quantity(size, 'byte')} of zeros after the end: the rest of a volume"
            self.state.report("stream.trailing", message, self.at, severity=Severity.INFO)
        else:
            message = f"{quantity(size, 'byte')} after the end"
            self.state.report("stream.trailing", message, self.at, severity=Severity.WARNING)
        return Opaque(self.at, win.end, "trailing")

    # -- sections and commands

    def _item(self, win: Window) -> Item | Need:
        mark = win.u8(self.at)
        kind = _CONTINUED.get(mark)
        if kind is not None:
            return self._continue_section(win, kind)
        if mark in (SectionType.START, SectionType.FULL):
            return self._start_section(win, SectionType(mark))
        if mark == SectionType.COMMAND:
            return self._command(win)
        if mark == SectionType.EOF:
            return self._end_of_states(win)
        id_at = self._part_without_mark(win)
        if id_at is not None:
            return self._damaged_part(win, id_at)
        raise StreamError("unknown item", offset=self.at, found=f"{mark:#04x}")

    def _start_section(self, win: Window, kind: SectionType) -> Item | Need:
        start = wire.section_start(win, self.at)
        if not start.idstr:
            raise StreamError("section without a name", offset=self.at + 5)
        if not (start.idstr.isascii() and start.idstr.isprintable()):
            if not win.complete:
                return Need.REST
            if holds_item(win, self.at + 6, start.payload_start, self.state.live):
                raise StreamError("a section's name that holds another section", offset=self.at + 5)
            self.state.report("section.name", "a name that no device has", self.at + 5, start)
        if kind == SectionType.FULL:
            if not win.complete:
                return Need.REST
            return self._section(win, self.at, kind, start, measure_payload(self.state, win, start))
        live = Live(start, self.state.handler(start))
        self.state.live[start.section_id] = live
        return self._scan(win, kind, start.payload_start, live)

    def _end_of_states(self, win: Window) -> Item | Need:
        """Take an end mark, unless sections follow: then it was put there, or another mark was damaged."""
        if not is_end(win, self.at):
            if not win.complete:
                return Need.REST
            id_at = self._part_without_mark(win)
            if id_at is not None:
                return self._damaged_part(win, id_at)
            more = find_continuation(win, self.at + 1, self.state.live, self.state.newest, self.state.budget)
            if more is not None:
                self.state.report("stream.end-mark", "an end mark, but sections follow", self.at)
                return Opaque(self.at, more, "lost")
        self._step = self._after_end
        return EndOfStates(self.at, self.at + 1)

    def _part_without_mark(self, win: Window) -> int | None:
        """Return where the section id begins of a part without its mark; None for anything else."""
        if not (self.state.footers and win.complete and win.end - self.at > FOOTER_SIZE):
            return None
        for id_at in (self.at + 1, self.at):
            live = self.state.live.get(win.u32(id_at))
            if live is not None and live.handler is not None:
                return id_at
        return None

    def _damaged_part(self, win: Window, id_at: int) -> Item | Need:
        live = self.state.live[win.u32(id_at)]
        message = f"no section begins with {win.u8(self.at):#04x}; read as a part of its live section"
        self.state.report("section.mark", message, self.at, live.start)
        return self._scan(win, SectionType.PART, id_at + 4, live)

    def _unknown_part(self, win: Window, kind: SectionType) -> Item | Need:
        """Read a part whose section id never started: its footer may have the right one."""
        if not win.complete:
            return Need.REST
        section_id = win.u32(self.at + 1)
        found = find_footer(win, self.at + 4, self.state.live, self.state.live, self.state.budget)
        if found is None or not self.state.footers:
            raise StreamError(
                "part of a section that never started", offset=self.at, found=f"{section_id:#x}"
            )
        end, footer = found
        start = self.state.live[footer].start
        message = f"a part of section id {section_id:#x}, which never started; its footer has {footer:#x}"
        self.state.report("section.id", message, self.at + 1, start)
        payload = Payload(min(self.at + 5, end), end, Found.FOOTER, damaged=True)
        return self._section(win, self.at, kind, start, payload)

    def _continue_section(self, win: Window, kind: SectionType) -> Item | Need:
        live = self.state.live.get(win.u32(self.at + 1))
        if live is None:
            return self._unknown_part(win, kind)
        return self._scan(win, kind, self.at + 5, live)

    def _scan(self, win: Window, kind: SectionType, payload_start: int, live: Live) -> Item | Need:
        self._open = OpenPayload(self.at, payload_start, kind, live, payload_start)
        return self._payload(win, self._open)

    def _payload(self, win: Window, open_: OpenPayload) -> Item | Need:
        handler = open_.live.handler
        if handler is None:
            if not win.complete:
                return Need.REST
            return self._skip(win, open_, None)
        try:
            self._scan_on(win, open_, handler)
        except StreamError as error:
            if not win.complete:
                return Need.REST
            return self._skip(win, open_, error)
        if not win.complete and (not open_.done or win.end - open_.at < FOOTER_SIZE):
            return Need.DATA
        if not open_.done:
            return self._skip(win, open_, Truncated(1, 0, offset=open_.at))
        section_id = open_.live.start.section_id
        if not fits(win, open_.at, section_id, self.state.live, self.state.footers):
            if not win.complete:
                return Need.REST
            if search(self.state, win, open_.live.start, open_.searched)[0] is not None:
                return self._skip(win, open_, StreamError("no section ends where this payload does"))
        return self._close(win, open_, Payload(open_.payload_start, open_.at, Found.LIVE))

    def _scan_on(self, win: Window, open_: OpenPayload, handler: LiveHandler) -> None:
        """Scan until the payload ends, or the handler can read no further."""
        before = -1
        while not open_.done and open_.at != before:
            before = open_.at
            open_.at, open_.done = handler.scan(win, open_.at)

    def _close(self, win: Window, open_: OpenPayload, payload: Payload) -> Section:
        self._open = None
        return self._section(win, open_.start, open_.kind, open_.live.start, payload)

    def _skip(self, win: Window, open_: OpenPayload, error: StreamError | None) -> Item:
        """Skip an unknown or unreadable live payload to its footer or the next section.

        Its last records may have swallowed them: a length that lies.
        """
        start, state = open_.live.start, self.state
        at = open_.at
        end, found = search(state, win, start, open_.searched)
        if found != Found.FOOTER and open_.searched < at:
            end, found = search(state, win, start, at)
        if error is not None:
            rule = "stream.truncated" if isinstance(error, Truncated) and end is None else "section.damaged"
            state.note(
                finding_of(error.within(section=start.idstr, instance=start.instance_id, offset=at), rule)
            )
        elif open_.kind == SectionType.START:
            message = "live section of unknown content"
            state.report("section.unknown", message, open_.start, start, Severity.WARNING)
        end = win.end if end is None else end
        if open_.live.handler is not None:
            open_.live.handler.skip(at, max(at, end))
        return self._close(win, open_, Payload(open_.payload_start, end, found, damaged=error is not None))

    def _section(
        self, win: Window, at: int, kind: SectionType, start: SectionStart, payload: Payload
    ) -> Section:
        footer, end = self._footer(win, start, payload)
        if kind in (SectionType.START, SectionType.FULL):
            self.state.newest = max(self.state.newest, start.section_id)
        return Section(
            start=at,
            payload_start=payload.start,
            payload_end=payload.end,
            end=end,
            kind=kind,
            section_id=start.section_id,
            idstr=start.idstr,
            instance_id=start.instance_id,
            version_id=start.version_id,
            footer=footer,
            found=payload.found,
            damaged=payload.damaged,
            depth=self.depth,
        )

    def _footer(self, win: Window, start: SectionStart, payload: Payload) -> tuple[int | None, int]:
        state, end = self.state, payload.end
        if win.end - end >= FOOTER_SIZE and win.u8(end) == _FOOTER:
            read = win.u32(end + 1)
            if read != start.section_id and not plausible(win, end + FOOTER_SIZE, state.live):
                return self._damaged_footer(win, start, payload)
            state.footers = True
            if read != start.section_id:
                message = f"the footer has section id {read:#x}, its section {start.section_id:#x}"
                state.report("footer.id", message, end + 1, start)
                self._believe_footer(start, read)
            return read, end + FOOTER_SIZE
        if state.footers and not payload.damaged:
            return self._damaged_footer(win, start, payload)
        if state.footers is None and not payload.damaged and plausible(win, end, state.live):
            state.footers = False
        return None, end

    def _damaged_footer(self, win: Window, start: SectionStart, payload: Payload) -> tuple[None, int]:
        """Find the item behind a footer of which a byte is wrong, missing or too many, to go on there."""
        end, known = payload.end, self.state.live
        after = next((one for one in footer_ends(end) if plausible(win, one, known)), None)
        if after is None or plausible(win, end, known):
            self.state.report("footer.missing", "no footer where the section ends", end, start)
        else:
            self.state.report("footer.damaged", "a damaged footer where the section ends", end, start)
            self._resume = after
        return None, end

    def _believe_footer(self, start: SectionStart, read: int) -> None:
        """Let the parts of a live section go on under the footer's id, if its START had a wrong one."""
        live = self.state.live.get(start.section_id)
        if live is not None and live.start is start:
            self.state.live.setdefault(read, live)

    # -- commands, and old records

    def _command(self, win: Window) -> Item | Need:
        number, length, data = wire.command_header(win, self.at)
        payload = win.take(data, length)
        end = data + length
        lengths = COMMAND_LENGTHS.get(number)
        if not 0 < number <= max(Command) or (lengths is not None and length not in lengths):
            message = f"command {number:#x} with {quantity(length, 'byte')}"
            if length and not plausible(win, end, self.state.live):
                raise StreamError(message, offset=self.at)
            self.state.report("command.unknown", message, self.at)
        if number == Command.POSTCOPY_ADVISE:
            self.state.postcopy = length == 16
            size = int.from_bytes(payload[8:16], "big")
            if size in PAGE_SIZES:
                self.state.page_size = self.state.page_size or size
        if number != Command.PACKAGED or length != 4:
            return CommandItem(self.at, data, end, end, number)
        size = win.u32(data)
        win.take(end, size)
        return CommandItem(self.at, data, end, end + size, number, self._inside(win, end, end + size))

    def _inside(self, win: Window, start: int, end: int) -> tuple[Item, ...]:
        if self.depth >= MAX_DEPTH:
            self.state.report("command.nested", "packages nested too deep", start)
            return (Opaque(start, end, "nested"),) if end > start else ()
        inner = Window(win.view[start - win.base : end - win.base], start)
        walker = Walker(self.state, start, self.depth + 1)
        items = []
        while not isinstance(item := walker.step(inner), Need):
            items.append(item)
        return tuple(items)

    def _record(self, win: Window) -> Item | Need:
        """Read a record of file version 2: name, instance, version, length, payload."""
        if self.at >= self._v2_end:
            return self._trailing(win)
        idstr, pos = win.name(self.at)
        if not idstr:
            raise StreamError("record without a name", offset=self.at)
        instance_id, version_id, size = win.u32(pos), win.u32(pos + 4), win.u32(pos + 8)
        end = pos + 12 + size
        win.take(pos + 12, size)
        start = SectionStart(0, idstr, instance_id, version_id, pos + 12)
        return Section(
            self.at, pos + 12, end, end, SectionType.FULL, *start[:4], footer=None, found=Found.LIVE
        )

    # -- recovery

    def _recover(self, win: Window, error: StreamError) -> Item:
        cut = isinstance(error, Truncated)
        self.state.note(
            finding_of(error.within(offset=self.at), "stream.truncated" if cut else "stream.lost")
        )
        if self._v2_end:  # records of version 2 have no marks at which to resume
            return Opaque(self.at, win.end, "truncated" if cut else "lost")
        return self._skip_to_next(win, "truncated" if cut else "lost")

    def _skip_to_next(self, win: Window, reason: str) -> Item:
        state = self.state
        end = find_item(win, self.at + 1, state.live, state.budget)
        return Opaque(self.at, win.end if end is None else end, reason)
