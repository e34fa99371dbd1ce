"""Ask the simulator, and a real QEMU where there is one for a side's release."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.expectations import CRASH, Ended
from vmstate.front.known import configuration
from vmstate.judge.comparison import STALLED, Answer, Comparison, without_installation
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.startup.command_line import Configuration
from vmstate.qemu.binary import Binary, identify
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.replay import replay
from vmstate.savevm.verdict import Outcome, Verdict, cannot_judge
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.history import migrate_history
from vmstate.simulate.migration import load, migrate, save

_RELEASE = re.compile(r"\d+(?:\.\d+){1,3}")


@dataclass(frozen=True)
class Question:
    """A migration from ``source``, or the load of ``stream``; one of them is None.

    ``guest`` boots on the source first, then ``events`` happen.
    """

    destination: Configuration
    source: Configuration | None = None
    stream: bytes | None = field(default=None, repr=False)
    stream_name: str = ""
    guest: str | None = None
    events: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The question for people."""
        before = self.stream_name if self.source is None else self.source.text
        return f"{before}  →  {self.destination.text}"


@dataclass(frozen=True)
class Answered:
    """The answers to a question: the simulator's and, if there is one, that of real QEMUs.

    ``by``: the real programs that were asked.
    """

    question: Question
    simulated: Verdict
    real: Answer | None = None
    by: tuple[str, ...] = ()

    @property
    def ended(self) -> Ended:
        """The outcome, of a real QEMU if one was asked."""
        if self.real is None:
            return Ended.of(self.simulated)
        return Ended(self.real.outcome, self.real.messages, self.real.source_messages)

    @cached_property
    def agree(self) -> bool:
        """True if no real QEMU was asked, if the simulator cannot judge, or if both say the same."""
        if self.real is None or self.simulated.outcome == Outcome.NOT_MODELLED:
            return True
        simulated = Answer.of(self.simulated)
        if self.real.outcome == CRASH and not self.simulated.aborted:
            return False
        return Comparison(self.real, simulated, crash_predicted=True).same


class Asker:
    """Answers questions.  ``programs``: real QEMUs as ``RELEASE=PATH``.

    Raises ConfigurationError for a text that is not that.
    """

    def __init__(self, programs: Sequence[str] = (), *, update_golden: bool = False) -> None:
        self.update_golden = update_golden
        self._programs: list[tuple[str, str]] = []
        for text in programs:
            release, _, path = text.partition("=")
            if not path or not _RELEASE.fullmatch(release):
                raise ConfigurationError(f"--qemu-binary takes RELEASE=PATH, found {text!r}")
            self._programs.append((release, path))

    def side(self, text: str) -> Configuration:
        """Read a command line; if its release has a real program, with that program's exact release.

        Raises ConfigurationError.
        """
        read = configuration(text)
        binary = self.binary(read)
        if binary is None or binary.release == read.release:
            return read
        words = text.split(" ")
        place = next(place for place, word in enumerate(words) if _is_program(word, read))
        return configuration(" ".join([*words[:place], f"qemu-{binary.release}", *words[place + 1 :]]))

    def binary(self, side: Configuration) -> Binary | None:
        """Return the real program of a side, if there is one; a KVM host or a proposal has none."""
        if side.host is not None or side.catalogue.fork_name:
            return None
        for text, path in self._programs:
            release = Release.parse(text)
            exact = text.count(".") > 1
            if side.release == release or (not exact and side.release.line == release.line):
                return identify(path)
        return None

    def ask(self, question: Question, *, trace: bool = False) -> Answered:
        """Answer a question."""
        try:
            simulated = _simulated(question, trace=trace)
        except NotModelled as unknown:
            simulated = cannot_judge(unknown)
        sides = [None if question.source is None else self.binary(question.source)]
        sides.append(self.binary(question.destination))
        if not any(sides) or question.guest is not None or question.events:
            return Answered(question, simulated)
        by = tuple(f"QEMU {one.release} ({one.path})" for one in sides if one is not None)
        with tempfile.TemporaryDirectory(prefix="vmstate-") as folder:
            real = _real(question, sides[0], sides[1], Path(folder) / "stream")
        return Answered(question, simulated, real, by)

    def stream(self, source: Configuration) -> tuple[bytes, str]:
        """Return the stream that a source sends, and by whom it was sent: a real QEMU if there is one."""
        binary = self.binary(source)
        if binary is None:
            return save(source), "the simulator"
        with tempfile.TemporaryDirectory(prefix="vmstate-") as folder:
            path = Path(folder) / "stream"
            capture(_command(binary, source), path)
            return path.read_bytes(), f"QEMU {binary.release} ({binary.path})"


def _is_program(word: str, side: Configuration) -> bool:
    with suppress(ConfigurationError):
        return not word.endswith(":") and configuration(word).release == side.release
    return False


def _simulated(question: Question, *, trace: bool) -> Verdict:
    if question.stream is not None:
        return load(question.stream, question.destination, trace=trace)
    assert question.source is not None
    guest = None if question.guest is None else named_guest(question.guest)
    sides = question.source, question.destination
    if question.events:
        catalogue = question.source.catalogue
        return migrate_history(*sides, question.events, guest=guest, catalogue=catalogue, trace=trace)
    return migrate_guest(*sides, guest, trace=trace) if guest is not None else migrate(*sides, trace=trace)


def _real(question: Question, source: Binary | None, destination: Binary | None, path: Path) -> Answer | None:
    """Ask the real QEMUs; the simulator stands in for a side that has none."""
    lines: tuple[str, ...] = ()
    if question.stream is not None:
        path.write_bytes(question.stream)
    elif source is not None:
        assert question.source is not None
        try:
            lines = without_installation(capture(_command(source, question.source), path))
        except (QemuRefused, QmpRefused) as refused:
            return Answer(Outcome.SOURCE_REFUSED, (), without_installation(refused.messages))
        except QemuStalled as stalled:
            return Answer(STALLED, (), stalled.messages)
    else:
        assert question.source is not None
        sent = _sent(question.source)
        if sent is None:
            return None
        path.write_bytes(sent[0])
        lines = sent[1]
    if destination is None:
        try:
            verdict = load(path.read_bytes(), question.destination)
        except NotModelled:
            return None
        outcome = CRASH if verdict.aborted else str(verdict.outcome)
        return Answer(outcome, tuple(verdict.messages), lines)
    try:
        real = replay(path, _command(destination, question.destination))
    except QemuStalled as stalled:
        return Answer(STALLED, stalled.messages, lines)
    return Answer(str(real.outcome), without_installation(real.messages), lines)


def _sent(source: Configuration) -> tuple[bytes | memoryview, tuple[str, ...]] | None:
    """Return what the simulated source sends and prints; None if it does not start, or is not modelled."""
    from vmstate.simulate.migration import send

    try:
        sent = send(source)
    except NotModelled:
        return None
    return None if sent.stream is None else (sent.stream, tuple(sent.messages))


def _command(binary: Binary, side: Configuration) -> QemuCommand:
    words = [word for option in side.options for word in shlex.split(option.quoted)]
    return QemuCommand.parse([binary.path, *words])


Judge = Callable[[Configuration, Configuration], Verdict]


def judge_of(question: Question) -> Judge:
    """Return the function that tries changes of a question's sides."""

    def judge(source: Configuration, destination: Configuration) -> Verdict:
        changed = Question(destination, source, guest=question.guest, events=question.events)
        return _simulated(changed, trace=False)

    return judge
