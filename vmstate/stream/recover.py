"""Find the next item after unknown or damaged content.

The stream is searched for the section's own footer (0x7e and its id), or without one for the next bytes that
look like an item.  A match must be plausible together with the bytes after it.  All searches together may
look at each byte only a few times (:class:`Budget`), so that a hostile stream costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable
from itertools import islice

from vmstate.dataclass import dataclass
from vmstate.pattern import pattern
from vmstate.stream.constants import COMMAND_LENGTHS, FOOTER_SIZE, MAGIC_BYTES, Command, SectionType
from vmstate.stream.wire import Window

_SANE_VERSION = 1 << 25  # some devices have a date for a version: 20061113
_NEAR = 24  # bytes: a damaged command, or footer
_NAME = pattern(rb"[!-~][ -~]*")
# These patterns must be rare in any data: each match is examined in Python.
_DESCRIBED = pattern(rb"\x00\x06[\x00-\xff]{4}\{")
_NAMED = rb"[\x01\x04]\x00[\x00-\xff]{3}[\x02-\xff][!-~][ -~]"
_COMMANDED = rb"\x08\x00[\x01-\x0b]"
_MOST_IDS = 64
_MOST_SKIPPED = 256  # sections that a false end mark may hide before the next that is found
_STARTS = pattern(_NAMED)


@dataclass
class Budget:
    """The number of bytes that searches may still look at."""

    left: int = 1 << 16

    def earn(self, size: int) -> None:
        """Allow for ``size`` more bytes of the stream."""
        self.left += 4 * size

    def spend(self, size: int) -> None:
        """Deduct ``size`` bytes that a search looked at."""
        self.left -= size


def plausible(win: Window, at: int, known: Container[int], tail: bool = True) -> bool:
    """Return True if an item can begin at ``at``.  ``known``: the ids of the live sections so far.

    The item's first bytes must be in the window; the window's end counts as the stream's end if ``tail``.
    """
    left = win.end - at
    if left <= 0:
        return left == 0 and tail
    mark = win.u8(at)
    if mark in (SectionType.START, SectionType.FULL):
        return _plausible_start(win, at)
    if mark in (SectionType.PART, SectionType.END):
        return left >= 5 and win.u32(at + 1) in known
    if mark == SectionType.COMMAND:
        return _plausible_command(win, at)
    return mark == SectionType.EOF and (left == 1 or _plausible_vmdesc(win, at + 1))


def _plausible_start(win: Window, at: int) -> bool:
    if win.end - at < 6:
        return False
    size = win.u8(at + 5)
    if not size or win.end - at < 14 + size:
        return False
    return win.u32(at + 10 + size) < _SANE_VERSION and bool(_NAME.fullmatch(win.take(at + 6, size)))


def _plausible_command(win: Window, at: int) -> bool:
    if win.end - at < 5:
        return False
    head = win.take(at, 5)
    number, length = head[1] << 8 | head[2], head[3] << 8 | head[4]
    if not 0 < number <= max(Command) or length > win.end - at - 5:
        return False
    lengths = COMMAND_LENGTHS.get(number)
    return lengths is None or length in lengths


def _plausible_vmdesc(win: Window, at: int) -> bool:
    """Return True if a description begins at ``at``, perhaps cut short by the stream's end, or damaged."""
    head = bytes(win.view[at - win.base :][:8])
    if head[0] == SectionType.VMDESCRIPTION:
        return len(head) < 6 or b"{" in head[4:7]
    return b'{"' in head[4:8] or b"{ " in head[4:8]


def is_footer(win: Window, at: int, section_id: int) -> bool:
    """Return True if the footer of ``section_id`` is at ``at``."""
    return win.end - at >= FOOTER_SIZE and win.u8(at) == SectionType.FOOTER and win.u32(at + 1) == section_id


def is_end(win: Window, at: int) -> bool:
    """Return True if the end mark at ``at`` is followed by the stream's end, a description or a stream."""
    if win.end - at == 1:
        return win.complete
    return _plausible_vmdesc(win, at + 1) or bytes(win.view[at + 1 - win.base :][:4]) == MAGIC_BYTES


def fits(win: Window, at: int, section_id: int, known: Container[int], footers: bool | None) -> bool:
    """Return True if a live section's payload can end at ``at``.

    Its footer is there, or a damaged one: one byte of it is wrong, missing or too many; or an item, where
    the stream's sections have no footers, as far as is known (``footers``).
    """
    if is_footer(win, at, section_id):
        return True
    if not footers and (at >= win.end or win.u8(at) == SectionType.EOF):
        return True
    if footers and not win.complete:
        return False  # there may be a footer: only the whole rest can say
    after = footer_ends(at) if footers else ()
    return any(plausible(win, one, known) for one in (at, *after))


def footer_ends(at: int) -> tuple[int, int, int]:
    """Return where a footer at ``at`` may end of which one byte is wrong, missing or too many."""
    return at + FOOTER_SIZE, at + FOOTER_SIZE - 1, at + FOOTER_SIZE + 1


def find_continuation(
    win: Window, at: int, known: Collection[int], newest: int, budget: Budget
) -> int | None:
    """Find where sections go on behind a false end mark before ``at``, or None.

    Bytes after the end of a sound stream may be anything, even another stream's sections: the next section
    must have a higher id than all before (``newest``), unless it is near.
    """
    for near in range(at, at + _NEAR):
        if near < win.end and win.u8(near) != SectionType.EOF and plausible(win, near, known, tail=False):
            return near
    if budget.left <= 0:
        return None
    base = win.base
    for match in _STARTS.finditer(win.view, at - base):
        found = base + match.start()
        if newest < win.u32(found + 1) <= newest + _MOST_SKIPPED and plausible(win, found, known):
            budget.spend(found - at)
            return found
    budget.spend(win.end - at)
    return None


def find_footer(
    win: Window, start: int, ids: Iterable[int], known: Container[int], budget: Budget
) -> tuple[int, int] | None:
    """Find the next footer of one of these section ids from ``start`` on, before an item or the stream's end.

    Return its place and its id; None if there is none.
    """
    wanted = b"|".join(re.escape(number.to_bytes(4, "big")) for number in islice(ids, _MOST_IDS))
    if not wanted or budget.left <= 0:
        return None
    pattern = re.compile(re.escape(bytes([SectionType.FOOTER])) + b"(" + wanted + b")", re.DOTALL)
    for match in pattern.finditer(win.view, max(0, start - win.base)):
        found = win.base + match.start()
        if plausible(win, found + FOOTER_SIZE, known):
            budget.spend(found - start)
            return found, int.from_bytes(match[1], "big")
    budget.spend(win.end - start)
    return None


def find_item(win: Window, start: int, known: Collection[int], budget: Budget) -> int | None:
    """Find the next offset at or after ``start`` that looks like an item of any kind, or None."""
    return _find(win, start, known, budget, _any_item(known))


def holds_item(win: Window, start: int, end: int, known: Collection[int]) -> bool:
    """Return True if something between ``start`` and ``end`` looks like an item."""
    return _first(win, start, end, _any_item(known), known) is not None


def find_start(
    win: Window, start: int, known: Collection[int], budget: Budget, lone: bool = False
) -> int | None:
    """Find the next named section, or end mark with a description: the most reliable signs.

    ``lone``: if there is neither, a zero as the last byte may be an end mark.
    """
    found = _find(win, start, known, budget, _STARTS)
    if found is None and lone and budget.left > 0 and win.end > start and not win.u8(win.end - 1):
        return win.end - 1
    return found


def _find(
    win: Window, start: int, known: Collection[int], budget: Budget, pattern: re.Pattern[bytes]
) -> int | None:
    if budget.left <= 0:
        return None
    first = _first(win, start, win.end, pattern, known)
    last = win.end if first is None else first
    end = _first(win, start, last, _DESCRIBED, known)
    budget.spend(last - start)
    return first if end is None else end


def _first(
    win: Window, start: int, end: int, pattern: re.Pattern[bytes], known: Container[int]
) -> int | None:
    """Return the first match of ``pattern`` from ``start`` to ``end`` that is plausible as an item."""
    base = win.base
    for match in pattern.finditer(win.view[: end - base], max(0, start - base)):
        if plausible(win, base + match.start(), known):
            return base + match.start()
    return None


def _any_item(known: Collection[int]) -> re.Pattern[bytes]:
    ids = b"|".join(re.escape(number.to_bytes(4, "big")) for number in islice(known, _MOST_IDS))
    parts = b"|[\x02\x03](?:" + ids + b")" if ids else b""
    return re.compile(_NAMED + b"|" + _COMMANDED + parts, re.DOTALL)
