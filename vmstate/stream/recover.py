"""Finding the way again: what can begin an item, and where the next one is.

After a section of unknown or damaged content the stream is searched for the section's own footer (0x7e and
its id), and without one for the next thing that looks like an item.  What is found must make sense with what
follows it.  All searches together may look at each byte a few times only (:class:`Budget`), so that a hostile
stream costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from vmstate.stream.marks import COMMAND_LENGTHS, FOOTER_SIZE, Command, Mark
from vmstate.stream.wire import Window

_SANE_VERSION = 1 << 16
_NAME = re.compile(rb"[!-~][ -~]*")
_CANDIDATE = re.compile(rb"[\x01\x04]\x00[\x00-\xff]{3}[\x02-\xff][!-~][ -~]|[\x02\x03\x08\x00]", re.DOTALL)
_STARTED = re.compile(rb"[\x01\x04]\x00[\x00-\xff]{3}[\x02-\xff][!-~][ -~]", re.DOTALL)


@dataclass
class Budget:
    """How many bytes searches may still look at."""

    left: int

    def spend(self, size: int) -> None:
        """Searching looked at ``size`` bytes."""
        self.left -= size


def plausible(win: Window, at: int, known: Container[int], tail: bool = True) -> bool:
    """Whether an item can begin at ``at``.  ``known``: section ids of live sections so far.

    Needs the item's first bytes in the window; the window's end counts as the stream's end if ``tail``.
    """
    left = win.end - at
    if left <= 0:
        return left == 0 and tail
    mark = win.u8(at)
    if mark in (Mark.START, Mark.FULL):
        return _plausible_start(win, at)
    if mark in (Mark.PART, Mark.END):
        return left >= 5 and win.u32(at + 1) in known
    if mark == Mark.COMMAND:
        return _plausible_command(win, at)
    return mark == Mark.EOF and (left == 1 or _plausible_vmdesc(win, at + 1))


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
    if win.u8(at) != Mark.VMDESCRIPTION or win.end - at < 6:
        return False
    return win.u32(at + 1) <= win.end - at - 5 and win.u8(at + 5) == ord("{")


def is_footer(win: Window, at: int, section_id: int) -> bool:
    """Whether the footer of ``section_id`` is at ``at``."""
    return win.end - at >= FOOTER_SIZE and win.u8(at) == Mark.FOOTER and win.u32(at + 1) == section_id


def find_footer(
    win: Window, start: int, section_id: int, known: Container[int], budget: Budget
) -> int | None:
    """The next footer of ``section_id`` at or after ``start`` that an item (or the stream's end) follows."""
    pattern = re.compile(re.escape(bytes([Mark.FOOTER]) + section_id.to_bytes(4, "big")))
    at = max(0, start - win.base)
    if budget.left <= 0:
        return None
    for match in pattern.finditer(win.view, at):
        found = win.base + match.start()
        if plausible(win, found + FOOTER_SIZE, known):
            budget.spend(found - start)
            return found
    budget.spend(win.end - start)
    return None


def find_item(
    win: Window, start: int, known: Container[int], budget: Budget, starts_only: bool = False
) -> int | None:
    """The next offset at or after ``start`` that looks like an item; None if there is none.

    ``starts_only``: look for sections that carry a name (and the end mark), the surest signs there are.
    """
    if budget.left <= 0:
        return None
    pattern = _STARTED if starts_only else _CANDIDATE
    for match in pattern.finditer(win.view, max(0, start - win.base)):
        found = win.base + match.start()
        if plausible(win, found, known):
            budget.spend(found - start)
            return found
    budget.spend(win.end - start)
    return None
