"""The ``migration`` fixture: a source, a destination, and what is claimed of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Self

import pytest

from vmstate.errors import VmstateError
from vmstate.expectations import Ended, Expectation, read
from vmstate.front.verdict_text import check_line, explanation_lines, remedy_lines, verdict_lines
from vmstate.plugin.asking import Answered, Asker, Question, judge_of
from vmstate.plugin.golden import Golden
from vmstate.pseries.startup.command_line import Configuration
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.remedies import remedies
from vmstate.stream.opening import open_source

_CHECKS = 8  # of a trace: the last ones


class Case:
    """One migration; ``expectation`` is what :meth:`check` expects of it."""

    def __init__(
        self, asker: Asker, question: Question, name: str = "", expectation: Expectation | None = None
    ) -> None:
        self.name = name or question.text
        self.question = question
        self.expectation = expectation or Expectation("accept")
        self._asker = asker

    @cached_property
    def answered(self) -> Answered:
        """The answers; asked once."""
        return self._asker.ask(self.question)

    @property
    def outcome(self) -> str:
        """The outcome, for real if a real QEMU was asked."""
        return self.answered.ended.outcome

    @property
    def messages(self) -> Sequence[str]:
        """The destination's lines."""
        return self.answered.ended.messages

    @property
    def source_messages(self) -> Sequence[str]:
        """The source's lines."""
        return self.answered.ended.source_messages

    @property
    def verdict(self) -> Verdict:
        """The simulator's verdict."""
        return self.answered.simulated

    def accepts(self, *parts: str) -> Self:
        """Check that it is accepted, and that these parts of lines are printed."""
        return self.expect(Expectation("accept"), parts)

    def rejects(self, *parts: str) -> Self:
        """Check that the destination rejects it.

        Each of ``parts`` is the section where it does (``spapr``), or a part of a line.
        """
        return self.expect(Expectation("reject"), parts)

    def refused(self, *parts: str) -> Self:
        """Check that a side does not start, with these parts of lines."""
        return self.expect(Expectation("refused"), parts)

    def source_refused(self, *parts: str) -> Self:
        """Check that the source does not start, with these parts of lines."""
        return self.expect(Expectation("source-refused"), parts)

    def destination_refused(self, *parts: str) -> Self:
        """Check that the destination does not start, with these parts of lines."""
        return self.expect(Expectation("destination-refused"), parts)

    def crashes(self, *parts: str) -> Self:
        """Check that the destination ends by itself, with these parts of lines."""
        return self.expect(Expectation("crash"), parts)

    def prints(self, *lines: str) -> Self:
        """Check that the destination prints exactly these lines, in order."""
        return self.expect(Expectation(messages=lines))

    def check(self, expect: str | Expectation | None = None) -> Self:
        """Check what is expected: ``"accept"``, ``"reject: cap-htm"``; by default what the case says."""
        return self.expect(self.expectation if expect is None else expect)

    def expect(self, expectation: str | Expectation, parts: Sequence[str] = ()) -> Self:
        """Check an expectation (:mod:`vmstate.expectations`), and parts of lines, or sections."""
        wanted = read(expectation) if isinstance(expectation, str) else expectation
        answered = self.answered
        if not answered.agree:
            _fail([*self._head(), *_disagreement(answered)])
        ended = answered.ended
        if ended.outcome == Outcome.NOT_MODELLED and wanted.outcome != "not-modelled":
            _fail([*self._head(), *self._unknown()])
        wrong = [*wanted.differences(ended), *_missing(parts, answered)]
        if wrong:
            _fail([*self._head(), *wrong, "", *self._explained()])
        return self

    def _head(self) -> Iterator[str]:
        yield self.question.text
        if self.question.guest is not None:
            yield f"  the guest boots {self.question.guest}"
        yield from (f"  then {event}" for event in self.question.events)

    def _unknown(self) -> Iterator[str]:
        yield "the simulator cannot judge this; a real QEMU can: --qemu-binary RELEASE=PATH"
        yield from verdict_lines(self.verdict)

    def _explained(self) -> Iterator[str]:
        """Yield the verdict, what its lines mean, what would help, the last checks, how to run it again."""
        answered, question = self.answered, self.question
        if answered.real is not None:
            yield from _said(f"{' and '.join(answered.by)}", answered.ended)
        verdict = answered.simulated
        if answered.real is None:
            yield from verdict_lines(verdict)
        yield from explanation_lines(verdict)
        source = question.source
        if source is not None and verdict.outcome not in (Outcome.ACCEPT, Outcome.NOT_MODELLED):
            yield from remedy_lines(remedies(source, question.destination, judge=judge_of(question)))
        traced = Asker().ask(question, trace=True).simulated.trace
        if traced:
            yield f"the last of {len(traced)} checks:"
            shown = traced[-_CHECKS:]
            yield from (f"  {'ok ' if check.passed else 'NO '} {check_line(check)}" for check in shown)
        yield from self._again()

    def _again(self) -> Iterator[str]:
        question = self.question
        if question.source is None:
            yield shlex.join(["vmstate", "load", question.stream_name, "--on", question.destination.text])
            return
        words = ["vmstate", "migrate", question.source.text, question.destination.text]
        words += ["--guest", question.guest] if question.guest is not None else []
        words += ["--events", "; ".join(question.events)] if question.events else []
        yield shlex.join([*words, "--trace", "--explain"])

    def __repr__(self) -> str:
        return f"<Case {self.name}>"


def _missing(parts: Sequence[str], answered: Answered) -> Iterator[str]:
    """Yield which of the parts are neither in a line nor the section that decided."""
    ended, decided = answered.ended, answered.simulated.decided_by
    known = {decided.section, decided.path} if decided is not None else set()
    for part in parts:
        if part not in known and not any(part in line for line in (*ended.source_messages, *ended.messages)):
            yield f"expected {part!r} as the section that decides or in a line, found neither"


def _disagreement(answered: Answered) -> Iterator[str]:
    assert answered.real is not None
    yield f"{' and '.join(answered.by)} and the simulator disagree:"
    yield from _said("real", answered.ended)
    yield from _said("simulated", Ended.of(answered.simulated))
    yield "Either this QEMU differs from its release, or vmstate is wrong: please report it."


def _said(who: str, ended: Ended) -> Iterator[str]:
    yield f"{who}: {ended.outcome}"
    yield from (f"  source: {line}" for line in ended.source_messages)
    yield from (f"  destination: {line}" for line in ended.messages)


def _fail(lines: Sequence[str]) -> NoReturn:
    pytest.fail("\n".join(lines), pytrace=False)


class Source:
    """Where a migration starts."""

    def __init__(
        self, asker: Asker, folder: Path, side: Configuration, guest: str | None, events: tuple[str, ...]
    ) -> None:
        self._asker = asker
        self._folder = folder
        self._side = side
        self._guest = guest
        self._events = events

    def to(self, destination: str) -> Case:
        """Return the migration to a destination.  Without ``-machine`` it has the source's options."""
        side = _side(self._asker, _completed(destination, self._side))
        question = Question(side, self._side, guest=self._guest, events=self._events)
        return Case(self._asker, question)

    def golden(self, name: str) -> Sent:
        """Check that the source sends the golden stream of that name, in ``golden`` beside the test.

        With ``--update-golden`` it is recorded; without a guest or events only.
        """
        if self._guest is not None or self._events:
            raise pytest.UsageError("a golden stream is that of a machine without a guest and events")
        golden = Golden(self._folder / "golden" / f"{name}.mig.zst")
        stream, by = self._asker.stream(self._side)
        if self._asker.update_golden:
            golden.record(stream)
        wrong = golden.differences(stream)
        if wrong:
            _fail([f"{self._side.text}, as {by} sends it, is not {golden.path}:", *wrong])
        return Sent(self._asker, golden.path)


class Sent:
    """A stream that was sent before."""

    def __init__(self, asker: Asker, path: Path) -> None:
        self._asker = asker
        self._path = path

    def to(self, destination: str) -> Case:
        """Return the load of the stream by a destination."""
        with open_source(str(self._path)) as opened:
            stream = bytes(opened.data)
        question = Question(_side(self._asker, destination), stream=stream, stream_name=str(self._path))
        return Case(self._asker, question)


class Migration:
    """The fixture: a command line, or a stream, to migrate.  ``folder``: that of the test."""

    def __init__(self, asker: Asker, folder: Path) -> None:
        self._asker = asker
        self._folder = folder

    def __call__(self, source: str, *, guest: str | None = None, events: Sequence[str] = ()) -> Source:
        """Return a source: ``migration("qemu-10.0 -machine pseries-10.0")``.

        ``guest`` boots on it first, then ``events`` happen.
        """
        return Source(self._asker, self._folder, _side(self._asker, source), guest, tuple(events))

    def stream(self, path: str | os.PathLike[str]) -> Sent:
        """Return a stream of a file, which may be compressed; a relative path is beside the test."""
        return Sent(self._asker, self._folder / path)


def _side(asker: Asker, text: str) -> Configuration:
    """Read a command line; the test fails, with the reason alone, if it cannot be read."""
    try:
        return asker.side(text)
    except VmstateError as error:
        _fail([text, str(error)])


def _completed(destination: str, source: Configuration) -> str:
    """Give a destination that is a program alone the source's options."""
    words = destination.split()
    programs = [word for word in words if not word.endswith(":")]
    if len(programs) != 1:
        return destination
    return " ".join([destination, *(option.quoted for option in source.options)])
