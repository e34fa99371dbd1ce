"""Output that needs a terminal: colour, and progress on the standard error."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from vmstate.dataclass import dataclass
from vmstate.errors import Finding, Severity
from vmstate.pattern import pattern

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_COLOUR_OF = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}

#: Characters that a terminal obeys, and those that only look like others or turn the line around.
_CONTROLS = pattern("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_COLOURS = pattern("(\x1b\\[(?:0|" + "|".join(_CODES.values()) + ")m)")

PATIENCE = 1.0  # seconds before progress is worth showing
LINES_EVERY = 30.0  # seconds between lines where there is no terminal
SETTLED = 5.0  # seconds after which the rate so far says something
_REFRESH = 0.1
_quiet = False


def set_quiet(*, quiet: bool) -> None:
    """Switch ``--quiet`` on or off: no progress and no notes on the standard error."""
    global _quiet  # noqa: PLW0603 - the standard error, too, is one for the whole process
    _quiet = quiet


def is_quiet() -> bool:
    """Return True if ``--quiet`` is on."""
    return _quiet


def note(text: str) -> None:
    """Print a line about the work to the standard error, unless ``--quiet`` is on."""
    if not _quiet:
        print(text, file=sys.stderr)


@dataclass(frozen=True)
class Style:
    """A style with or without colour: ``style.paint("red", text)``."""

    coloured: bool

    @staticmethod
    def of(stream: TextIO) -> Style:
        """Return a style with colour if the terminal has it and NO_COLOR is not set."""
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in {"", "dumb"}
        return Style(stream.isatty() and not plain)

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour, or "bold", or "dim"."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.coloured else text

    def finding(self, finding: Finding) -> str:
        """Return a finding as one line, its severity coloured."""
        text = str(finding)
        word = str(finding.severity)
        if not text.startswith(word):
            return text
        return self.paint(_COLOUR_OF[finding.severity], word) + text.removeprefix(word)


def visible(line: str, *, coloured: bool) -> str:
    """Return a line with control characters escaped; ``coloured``: the colours of :class:`Style` remain."""
    if not _CONTROLS.search(line):
        return line
    parts = _COLOURS.split(line) if coloured else [line]
    return "".join(part if at % 2 else _CONTROLS.sub(_escaped, part) for at, part in enumerate(parts))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"  # as in JSON, so that a line of JSON keeps its meaning


_SECONDS_A_PAIR = 0.002  # of one processor: an order of magnitude, which depends on the machines
_LONG = 10.0


def announce_pairs(pairs: int, processes: int | None, smaller: str = "") -> None:
    """Say before long work how much there is to do; nothing if it is a cluster's, of which nothing is known.

    ``smaller``: what would be less.
    """
    if processes is None:
        return
    seconds = pairs * _SECONDS_A_PAIR / processes
    if seconds >= _LONG:
        on = "one process" if processes == 1 else f"{processes} processes"
        more = f"; {smaller}" if smaller else ""
        note(f"{pairs:,} pairs to judge on {on}: {duration(seconds)} or more{more}")


def duration(seconds: float) -> str:
    """Return a time in round words: ``20 s``, ``3 min``, ``2 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(doing: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show progress on the standard error: on a terminal, after a second; else a line now and then.

        with progress("reading", len(data)) as tick:
            tick(done)

    ``tick`` takes the amount done so far and is cheap enough for an inner loop.
    """
    if _quiet:
        yield lambda _done: None
        return
    meter = _Meter(doing, total, terminal=sys.stderr.isatty())
    try:
        yield meter.tick
    finally:
        meter.clear()


class _Meter:
    def __init__(self, doing: str, total: int | None, *, terminal: bool) -> None:
        self._doing = doing
        self._total = total
        self._terminal = terminal
        self._start = time.monotonic()
        self._next = self._start + (PATIENCE if terminal else LINES_EVERY)
        self._shown = False

    def tick(self, done: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        part = f" {100 * done // self._total:3} %" if self._total else f" {done:,}"
        if self._total and 0 < done < self._total and now - self._start > SETTLED:
            part += f", {duration((now - self._start) * (self._total - done) / done)} left"
        if self._terminal:
            self._next = now + _REFRESH
            self._shown = True
            print(f"\r{self._doing}{part}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            self._next = now + LINES_EVERY
            print(f"{self._doing}{part}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
