"""Find the end of a full section's payload: measure it, check each candidate, and search if none fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vmstate.errors import Severity, StreamError, finding_of
from vmstate.stream.constants import FOOTER_SIZE, SectionType
from vmstate.stream.items import Found
from vmstate.stream.recover import find_footer, find_start, is_footer, plausible
from vmstate.stream.walk_state import Candidate, WalkState
from vmstate.stream.wire import SectionStart, Window


class Payload(NamedTuple):
    """A section's payload: its bounds, how its end was found, and whether it is damaged."""

    start: int
    end: int
    found: Found
    damaged: bool = False


def measure_payload(state: WalkState, win: Window, start: SectionStart) -> Payload:
    """Return the payload of a full section in a complete window.

    The best candidate end is one that the section's own footer follows, then one that any item follows.
    """
    ends = []
    for candidate in _candidates(state, win, start):
        ends.append(candidate)
        if state.footers is not False and is_footer(win, candidate.end, start.section_id):
            return Payload(start.payload_start, candidate.end, candidate.found)
    for end, found, _ in ends:
        footer = win.end - end >= FOOTER_SIZE and win.u8(end) == SectionType.FOOTER
        if plausible(win, end + (FOOTER_SIZE if footer else 0), state.live):
            return Payload(start.payload_start, end, found)
    return _search_end(state, win, start, ends)


def _candidates(state: WalkState, win: Window, start: SectionStart) -> Iterator[Candidate]:
    """Yield the possible ends, each measured when the ones before it did not fit."""
    handler = state.handler(start, full=True)
    for each in state.measure(start, win) if state.measure else ():
        if start.payload_start <= each.end <= win.end:
            yield each
    if handler is not None:
        try:
            end, done = handler.scan(win, start.payload_start)
        except StreamError as error:
            state.note(finding_of(error.within(section=start.idstr), "section.damaged", Severity.WARNING))
        else:
            if done:
                yield Candidate(end, Found.LIVE)


def search(
    state: WalkState, win: Window, start: SectionStart, at: int, intact: bool = False
) -> tuple[int | None, Found]:
    """Return the offset of the section's footer at or after ``at``, else of the next named section, or None.

    ``intact``: the payload is undamaged, so the end mark alone may follow it.
    """
    if state.footers is not False:
        footer = find_footer(win, at, (start.section_id,), state.live, state.budget)
        if footer is not None:
            return footer[0], Found.FOOTER
    lone = intact and not state.footers
    return find_start(win, at, state.live, state.budget, lone), Found.GUESS


def _search_end(state: WalkState, win: Window, start: SectionStart, ends: list[Candidate]) -> Payload:
    end, found = search(state, win, start, start.payload_start, intact=True)
    wrong = next((each for each in ends if each.sure), None)
    if wrong is not None:
        message = f"nothing fits where the payload should end by its {wrong.found}"
        state.report("section.length", message, wrong.end, start)
    elif end is not None and found == Found.GUESS:
        message = "the payload's end is a guess"
        state.report("section.guessed", message, start.payload_start, start, Severity.WARNING)
    if end is None:
        state.report("stream.truncated", "the stream ends inside this section", win.end, start)
        return Payload(start.payload_start, win.end, found, damaged=True)
    return Payload(start.payload_start, end, found, damaged=wrong is not None)
