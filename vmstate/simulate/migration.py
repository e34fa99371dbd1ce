"""A migration from a command line to a command line, and a stream to a command line."""

from __future__ import annotations

from dataclasses import replace

from vmstate.describe import SaveFailure
from vmstate.simulate.command_line import Configuration, parse
from vmstate.simulate.instance import Instance
from vmstate.simulate.machine import Start, build
from vmstate.simulate.saver import SourceAborts
from vmstate.simulate.verdict import Check, Outcome, Verdict

Side = str | Configuration


def configuration(side: Side) -> Configuration:
    """A command line, read; one that is read already is returned as it is.  Raises ConfigurationError."""
    return parse(side) if isinstance(side, str) else side


def migrate(source: Side, destination: Side, *, trace: bool = False) -> Verdict:
    """Build both, let the source save, let the destination load.

    Raises ConfigurationError for a command line that we do not model.
    """
    from_side, to_side = configuration(source), configuration(destination)
    start = build(from_side)
    said = list(start.messages)
    if start.machine is None:
        return Verdict(Outcome.SOURCE_REFUSED, source_messages=said, decided_by=_refusal("source", start))
    try:
        stream = Instance(start.machine).save()
    except SaveFailure as failure:
        check = Check("save", False, str(failure))
        return Verdict(Outcome.SOURCE_REFUSED, source_messages=said, decided_by=check)
    except SourceAborts as end:
        check = Check("aborted", False, f"QEMU aborts: {end.line}")
        said.append(end.line)
        return Verdict(Outcome.SOURCE_REFUSED, source_messages=said, decided_by=check)
    return replace(load(stream, to_side, trace=trace), source_messages=said)


def save(source: Side) -> bytes:
    """The stream that a source sends.

    Raises ConfigurationError for a command line that we do not model, SaveRefused if QEMU would not start,
    or would end before it has sent anything that can be loaded.
    """
    start = build(configuration(source))
    if start.machine is None:
        raise SaveRefused(list(start.messages))
    try:
        return Instance(start.machine).save()
    except SourceAborts as end:
        raise SaveRefused([*start.messages, end.line]) from None


class SaveRefused(Exception):
    """The source does not start, or ends when it should save: ``messages`` are its stderr lines."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def load(stream: bytes | memoryview, destination: Side, *, trace: bool = False) -> Verdict:
    """Let a destination load a stream, simulated or captured.

    Raises ConfigurationError for a command line that we do not model.
    """
    start = build(configuration(destination))
    said = list(start.messages)
    if start.machine is None:
        return Verdict(Outcome.DESTINATION_REFUSED, said, decided_by=_refusal("destination", start))
    verdict = Instance(start.machine, [] if trace else None).load(memoryview(stream))
    return replace(verdict, messages=said + verdict.messages)


def _refusal(side: str, start: Start) -> Check:
    return Check(
        "command-line", False, start.messages[-1] if start.messages else f"the {side} does not start"
    )
