"""The faults of a run, and a signature by which the same fault is recognised again.

A signature has no numbers, addresses or process ids; it names file and function, but not the line, which
changes with every release.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from vmstate.dataclass import dataclass, field
from vmstate.judge.comparison import Answer
from vmstate.qemu.fast import signal_name


class Kind(StrEnum):
    """Kinds of findings, the worst first; only the last two compare two programs."""

    SANITIZER = "sanitizer"
    CRASH = "crash"
    ASSERTION = "assertion"
    ABORT = "abort"
    HANG = "hang"
    OVERFLOW = "overflow"  # of an array in a user's own device
    ESCAPED = "escaped exception"
    NOWHERE = "no place"  # in the stream, of one of our own errors or findings
    SLOW = "too slow"
    MEMORY = "too much memory"
    OUTCOME = "disagreement of outcome"
    LINES = "disagreement of lines"


@dataclass(frozen=True)
class Fault:
    """A fault of a run: ``signature`` identifies it, ``text`` is the output of this run."""

    kind: Kind
    signature: str
    text: str = ""


@dataclass(frozen=True)
class Run:
    """One stream given to a target: the target's name, its answer, and its faults.

    ``answer.outcome`` is accept, reject, crash, hang, escaped or not modelled.  ``rules``: the checks that
    ran, if they were traced.
    """

    target: str
    answer: Answer
    faults: tuple[Fault, ...] = ()
    rules: frozenset[str] = field(default_factory=frozenset)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the outcome and the lines as a JSON object."""
        return {"outcome": self.answer.outcome, "messages": list(self.answer.messages)}

    def lines(self) -> list[str]:
        """Return the target, its outcome, and its lines, indented."""
        return [f"{self.target}: {self.answer.outcome}", *(f"  {line}" for line in self.answer.messages)]


_NUMBER = re.compile(r"(?<![A-Za-z_])(?:-?0x[0-9a-fA-F]+|-?\d+)\b|\b(?=[a-f]*\d)[0-9a-f]{4,16}\b")
_ODD = re.compile(r"[^\x20-\x7e]+")
SILENT = "no line"  # the last line of a program that printed nothing
_LONGEST = 200
_LONG = 2000  # characters of a line that are used: a name in a stream can make it a megabyte long

_ASSERT = re.compile(
    r"(?P<file>[\w./+-]+\.[ch](?:\.inc)?):\d+: (?P<function>\w+): Assertion [`'](?P<what>.*)' failed"
)
_GLIB_ASSERT = re.compile(
    r"ERROR:(?P<file>[\w./+-]+\.[ch](?:\.inc)?):\d+:(?P<function>\w+): (?:assertion failed:? ?)?(?P<what>.*)"
)
_SANITIZER = re.compile(r"ERROR: (?P<tool>\w+Sanitizer): (?P<what>[\w-]+)")
_FRAME = re.compile(r"#\d+ 0x[0-9a-f]+ in (?P<function>\S+) (?P<file>\S+?)(?::\d+)*$")
_RUNTIME = re.compile(r"(?P<file>[\w./+-]+\.[ch](?:\.inc)?):\d+(?::\d+)?: runtime error: (?P<what>.*)")
_UNEXPECTED = re.compile(r"Unexpected error in (?P<function>\w+)\(\) at (?P<file>[\w./+-]+):\d+:")
_HEAP = re.compile(
    r"(?:malloc|free|realloc|calloc|munmap_chunk|malloc_consolidate)\(\): .*|double free or corruption.*"
    r"|corrupted size vs\. prev_size.*|\*\*\* .* \*\*\*: terminated"
)
_NO_MEMORY = re.compile(r".*failed to allocate -?\d+ bytes")
_OF_SYSTEM = ("__", "raise", "abort", "malloc", "free", "memcpy", "asan", "operator")


def template(line: str) -> str:
    """Return a line with numbers replaced by ``#`` and unprintable characters by ``?``."""
    return _NUMBER.sub("#", _ODD.sub("?", line[:_LONG]))[:_LONGEST]


def _place(found: re.Match[str]) -> str:
    """Return ``hw/intc/xics.c function``, without the folder in which that build had the source."""
    parts = [part for part in PurePath(found["file"]).parts if part not in {"..", ".", "/"}]
    return f"{'/'.join(parts[-3:])} {found['function']}"


def ended(returncode: int | None, messages: Sequence[str]) -> tuple[Fault, ...]:
    """Return the faults of a program that ended with this status (None: it did not end in time).

    A refused migration ends QEMU with status 1, which is not a fault.
    """
    messages = [line[:_LONG] for line in messages]
    if returncode is None:
        return (Fault(Kind.HANG, f"hang after: {_last(messages)}", "\n".join(messages[-3:])),)
    text = "\n".join(messages)
    report = _sanitized(messages)
    if report is not None:
        return (Fault(Kind.SANITIZER, report, text),)
    if returncode in (0, 1):
        return ()
    if found := _ASSERT.search(text) or _GLIB_ASSERT.search(text):
        return (Fault(Kind.ASSERTION, f"assertion in {_place(found)}: {template(found['what'])}", text),)
    if found := _UNEXPECTED.search(text):
        behind = text[found.end() :].strip().splitlines()
        return (
            Fault(Kind.ABORT, f"abort in {_place(found)}: {template(behind[0]) if behind else ''}", text),
        )
    name = signal_name(returncode) if returncode < 0 else f"status {returncode}"
    for line in messages:
        if _HEAP.search(line) or _NO_MEMORY.search(line):
            return (Fault(Kind.ABORT, f"{name}: {template(line)}", text),)
    kind = Kind.ABORT if name in {"SIGABRT", "SIGTRAP"} else Kind.CRASH
    return (Fault(kind, f"{name} after: {_last(messages)}", text),)


def _last(messages: Sequence[str]) -> str:
    lines = [line for line in messages if not line.startswith("warning: ")]
    return template(lines[-1]) if lines else SILENT


def _sanitized(messages: Sequence[str]) -> str | None:
    for number, line in enumerate(messages):
        if found := _RUNTIME.search(line):
            parts = PurePath(found["file"]).parts
            return (
                f"runtime error in {'/'.join(p for p in parts[-3:] if p != '..')}: {template(found['what'])}"
            )
        if found := _SANITIZER.search(line):
            frames = (_FRAME.search(later.strip()) for later in messages[number + 1 :])
            own = next((f for f in frames if f and not f["function"].startswith(_OF_SYSTEM)), None)
            return f"{found['tool']} {found['what']}{' in ' + own['function'] if own else ''}"
    return None


def escaped(error: BaseException, file: str | None = None) -> Fault:
    """Return the fault of an escaped exception: its type and the innermost function that it came through.

    ``file``: prefer the functions of this file.
    """
    place, text = _traced(error, file)
    return Fault(Kind.ESCAPED, f"{type(error).__name__} in {place}: {template(str(error))}", text)


def hanging(error: BaseException, file: str | None = None) -> Fault:
    """Return the fault of a function that was interrupted because it did not end."""
    place, text = _traced(error, file)
    return Fault(Kind.HANG, f"no end in {place}", text)


def _traced(error: BaseException, file: str | None) -> tuple[str, str]:
    """Return the innermost function, and the end of the traceback that Python would print."""
    frames = list(traceback.extract_tb(error.__traceback__))
    frames = [frame for frame in frames if frame.filename == file] or frames
    text = [*traceback.format_list(frames[-3:]), *traceback.format_exception_only(error)]
    place = f"{PurePath(frames[-1].filename).name} {frames[-1].name}" if frames else "nowhere"
    return place, "".join(text)


def disagreement(real: Run, simulated: Run, *, same_outcome: bool) -> Fault:
    """Return the fault of two programs that differ: in outcome, or else in the first line that differs."""
    theirs, ours = real.answer, simulated.answer
    text = "\n".join([*real.lines(), *simulated.lines()])
    if not same_outcome:
        signature = f"{theirs.outcome}, simulated {ours.outcome} by {ours.rule}"
        return Fault(Kind.OUTCOME, f"{signature}: {_last(theirs.messages)} | {_last(ours.messages)}", text)
    pairs = zip([*theirs.messages, "nothing"], [*ours.messages, "nothing"], strict=False)
    one, other = next(((a, b) for a, b in pairs if a != b), ("", ""))
    return Fault(Kind.LINES, f"{ours.rule}: {template(one)} | {template(other)}", text)
