"""Hostile inputs for the commands that read streams, and the bounds within which they must end.

A trial starts with a small sound stream: the framing of a captured one with a few of its sections.  It is
changed by the fuzzer's mutations, which know the structure, or by others that do not: bytes, extremes of each
width, pieces of streams of other machines, JSON of any shape in the vmdescription, and damaged containers.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.support import corpus
from vmstate.cli import main
from vmstate.containers import layer, rewrap
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.compact import compact
from vmstate.fuzz.recipe import drawn
from vmstate.fuzz.splices import applied
from vmstate.stream import open_stream
from vmstate.stream.edit import Edit
from vmstate.stream.vmdesc.edit import replace_devices
from vmstate.tree.decoded import Entries, is_device

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("show", "INPUT"),
    ("show", "INPUT", "--json"),
    ("show", "INPUT", "--flat"),
    ("show", "INPUT", "--hex"),
    ("verify", "INPUT"),
    ("verify", "INPUT", "--json"),
    ("find", "INPUT", "*a*"),
    ("find", "INPUT", "--value", "0"),
    ("diff", "SOUND", "INPUT"),
    ("diff", "INPUT", "SOUND", "--json"),
    ("memory", "INPUT"),
    ("snapshots", "INPUT"),
    ("unwrap", "INPUT", "-o", "OUTPUT"),
    ("strip", "INPUT", "-o", "OUTPUT"),
    ("edit", "INPUT", "-o", "OUTPUT", "--remove", "timer"),
    ("wrap", "INPUT", "-o", "OUTPUT", "--as", "gzip"),
    ("load", "INPUT", "--on", "qemu-7.2 -machine pseries-7.2 -m 256"),
    ("load", "INPUT", "--on", "qemu-11.1 -machine pseries-10.0 -m 256", "--json"),
)
CONTAINERS = ("gzip", "zstd", "xz", "bzip2", "lz4", "libvirt")
SLOWDOWN, NOISE = 10.0, 0.3
SECONDS_PER_BYTE = 20e-6  # an input of nothing but framing has a node for every few bytes
GROWTH, PER_BYTE, UNPACKED = 96 << 20, 1000, 256 << 20  # to write xz takes 94 MiB
_LARGEST_SECTION = 16 << 10
_EXTREMES = (
    0,
    1,
    0x7F,
    0x80,
    *(edge for bits in (8, 16, 31, 32, 63, 64) for edge in ((1 << bits) - 1, 1 << bits)),
)
_JSON = (
    *(b"null", b"true", b"[]", b"{}", b"-1", b"1e99", b'"', b"\\u0000", b'"\\ud800"'),
    *(b"9" * 400, b"[" * 3000, b'{"name":' * 500),
    *(b'"size":-1', b'"array_len":4294967295', b'"type":"struct"', b'"index":0,'),
)
_MAGICS = (
    *(b"QFI\xfb\0\0\0\x03", b"\x7fELF\x02\x01\x01", b"LibvirtQemudSave", b"LibvirtQemudPart"),
    *(b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\xfd7zXZ\0", b"BZh9", b"\x89LZO"),
    *(b"KDUMP   ", b"VMA\0", b"LibxenFmt", b"xen state\n", b"PK\x03\x04"),
    *(b"QEVM\0\0\0\x03", b"QEVM\0\0\0\x02", b"VSTM", b"{", b"\xff" * 8),
)
_COLOUR = re.compile("\x1b\\[(?:[012]|3[1-6])m")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass
class Subject:
    """A small sound stream; ``seconds`` are those that each command takes for it, by its place."""

    name: str
    data: bytes
    seconds: dict[int, float] = field(default_factory=dict)

    @cached_property
    def anatomy(self) -> Anatomy:
        return Anatomy(self.data, self.name)


def subjects(names: Sequence[str], rng: random.Random, each: int, kept: int = 4) -> Iterator[Subject]:
    """Yield ``each`` subjects of each stream; none has more than ``kept`` sections of devices."""
    for name in names:
        whole = compact(corpus.load(name), keep=2)
        for number in range(each):
            yield Subject(f"{name}/{number}", part_of(whole, rng, kept))


def part_of(data: bytes, rng: random.Random, kept: int) -> bytes:
    """Return a stream with a few of its sections and of its vmdescription's entries."""
    stream = open_stream(data)
    edit, entries = Edit(stream), Entries(stream)
    small = [one for one in stream.sections if is_device(one) and one.end - one.start <= _LARGEST_SECTION]
    chosen = {section.start for section in rng.sample(small, min(kept, len(small)))}
    gone = set(entries.index.values())
    for section in stream.sections:
        short = section.end - section.start <= _LARGEST_SECTION
        if section.start in chosen or (not is_device(section) and short):
            gone.discard(entries.index.get(section.start, -1))
        else:
            edit.remove(section)
    if stream.vmdesc is not None:
        edit.replace_vmdescription(replace_devices(stream.vmdesc.text, dict.fromkeys(gone)))
    return edit.tobytes()


# ---- inputs


@dataclass(frozen=True)
class Input:
    """A hostile input; ``made`` says how it was made."""

    subject: Subject
    made: str
    data: bytes


def drawn_input(among: Sequence[Subject], rng: random.Random) -> Input:
    """Draw an input: half of them by the fuzzer's mutations, the others without regard to the structure."""
    subject = rng.choice(among)
    kind = rng.choices(tuple(_KINDS), [weight for weight, _ in _KINDS.values()])[0]
    return Input(subject, kind, _KINDS[kind][1](subject, among, rng))


def _structure(subject: Subject, among: Sequence[Subject], rng: random.Random) -> bytes:
    recipe = drawn(subject.anatomy, rng.getrandbits(40))
    return applied(subject.data, recipe.splices(subject.anatomy))


def _blind(subject: Subject, among: Sequence[Subject], rng: random.Random) -> bytes:
    data = bytearray(subject.data)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        at = rng.randrange(min(8, len(data)), len(data) + 1)
        change = rng.randrange(6)
        if change == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            width = rng.choice((1, 2, 4, 8))
            data[at : at + width] = (rng.choice(_EXTREMES) & (1 << 8 * width) - 1).to_bytes(width, "big")
        elif change == 2:
            del data[at : at + rng.randrange(1, 200)]
        elif change == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 300))
        elif change == 4:
            data[at:at] = data[at : at + rng.randrange(1, 100)] * rng.randrange(1, 40)
        else:
            del data[at:]
    return bytes(data)


def _spliced(subject: Subject, among: Sequence[Subject], rng: random.Random) -> bytes:
    data, other = subject.data, rng.choice(among).data
    at, first = rng.randrange(len(data)), rng.randrange(len(other))
    piece = other[first : first + rng.randrange(1, 4000)]
    return data[:at] + piece + data[at + rng.choice((0, 0, len(piece))) :]


def _vmdesc(subject: Subject, among: Sequence[Subject], rng: random.Random) -> bytes:
    """Put JSON of any shape into the vmdescription; half of the time its length still fits."""
    stream = open_stream(subject.data)
    if stream.vmdesc is None:
        return _blind(subject, among, rng)
    text = bytearray(stream.vmdesc.text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        at = max(at, text.find(rng.choice((b":", b",", b"{", b"[")), at) + 1)
        text[at : at + rng.randrange(12)] = rng.choice(_JSON)
    if rng.random() < 0.5:
        edit = Edit(stream)
        edit.replace_vmdescription(bytes(text))
        return edit.tobytes()
    start = stream.vmdesc.offset
    return subject.data[:start] + bytes(text) + subject.data[start + len(stream.vmdesc.text) :]


def _contained(subject: Subject, among: Sequence[Subject], rng: random.Random) -> bytes:
    """Wrap a stream, and damage its container."""
    names = [rng.choice(CONTAINERS) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    data = b"".join(rewrap([layer(name) for name in names], [subject.data]))
    return _blind(Subject(subject.name, data), among, rng) if rng.random() < 0.9 else data


def _foreign(subject: Subject, among: Sequence[Subject], rng: random.Random) -> bytes:
    """The first bytes of some format, then bytes at random."""
    magic = rng.choice(_MAGICS)
    tail = rng.choice(
        (rng.randbytes(rng.randrange(3000)), bytes(rng.randrange(3000)), b"\xff" * 500, subject.data)
    )
    return magic + tail


_Make = Callable[[Subject, Sequence[Subject], random.Random], bytes]
_KINDS: dict[str, tuple[int, _Make]] = {
    "structure": (50, _structure),
    "blind": (20, _blind),
    "splice": (10, _spliced),
    "vmdesc": (10, _vmdesc),
    "container": (7, _contained),
    "foreign": (3, _foreign),
}


# ---- the bounds


@dataclass
class Judge:
    """Runs commands in this process, in a folder of its own, and finds what breaks a bound."""

    folder: Path
    terminal: bool = True

    def wrong(self, given: Input, place: int, *, timed: bool = True) -> list[str]:
        """Run one command on an input; return what was wrong with it."""
        (self.folder / "sound.mig").write_bytes(given.subject.data)
        run = self._run(place, given.data)
        found = [*run.wrong, *(self._slow(given, place, run.seconds) if timed else ())]
        allowed = GROWTH + min(PER_BYTE * len(given.data), UNPACKED)
        if run.grown > allowed:
            found.append(f"{run.grown >> 20} MiB more memory, {allowed >> 20} allowed")
        return found

    def _slow(self, given: Input, place: int, seconds: float) -> list[str]:
        """Compare a time with that of the sound stream; a longer one is measured again."""
        if seconds <= NOISE:
            return []
        subject = given.subject
        if place not in subject.seconds:
            subject.seconds[place] = min(self._run(place, subject.data).seconds for _ in range(2))
        size = len(given.data)
        times = SLOWDOWN * max(1.0, size / len(subject.data))
        limit = max(times * subject.seconds[place], SECONDS_PER_BYTE * size) + NOISE
        again = seconds if seconds <= limit else min(self._run(place, given.data).seconds for _ in range(3))
        return [f"{again:.2f} s of processor time, {limit:.2f} allowed"] if again > limit else []

    def _run(self, place: int, data: bytes) -> _Run:
        names = {name: str(self.folder / f"{name.lower()}.mig") for name in ("INPUT", "SOUND", "OUTPUT")}
        Path(names["INPUT"]).write_bytes(data)
        arguments = [names.get(word, word) for word in COMMANDS[place]]
        out = _Terminal(terminal=self.terminal)
        err = _Terminal(terminal=False)  # on one, progress would move the cursor
        _forget_peak()
        before, start = _memory("VmRSS"), time.process_time()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status: object = main(arguments)
            except BaseException:  # noqa: BLE001 - whatever it is, it is a finding
                status = "\n".join(traceback.format_exc().splitlines()[-6:])
        seconds = time.process_time() - start
        wrong = [] if status in (0, 1, 2) else [f"status {status}"]
        text = _COLOUR.sub("", out.getvalue() + err.getvalue())
        if "Traceback" in err.getvalue():
            wrong.append("a traceback: " + err.getvalue()[-600:])
        if found := _CONTROL.search(text):
            wrong.append(f"a control character: {text[max(0, found.start() - 40) : found.end() + 10]!r}")
        return _Run(seconds, max(0, _memory("VmHWM") - before), wrong)


@dataclass(frozen=True)
class _Run:
    seconds: float
    grown: int
    wrong: list[str]


class _Terminal(io.StringIO):
    """Text that a command writes, to a terminal as it believes."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def _memory(name: str) -> int:
    """Return a figure of this process's memory in bytes (Linux; elsewhere 0)."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(re.search(rf"{name}:\s+(\d+)", text)[1]) << 10  # type: ignore[index]


def _forget_peak() -> None:
    """Let the peak of this process's memory begin again."""
    with contextlib.suppress(OSError):
        fd = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(fd, b"5")
        finally:
            os.close(fd)
