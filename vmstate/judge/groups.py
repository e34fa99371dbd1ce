"""Groups of migrations: a source saves once, several destinations load its stream.

A group of nine destinations costs ten starts of QEMU.  Rows have the format of the recorded verdicts.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmstate.describe.history import Release
from vmstate.errors import NotModelled
from vmstate.judge.comparison import STALLED, Answer, Comparison, without_installation
from vmstate.judge.judge import Side
from vmstate.judge.recording import Row
from vmstate.pseries.startup.command_line import Configuration
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import capture
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.fast import FastReplay, RunResult
from vmstate.qemu.replay import replay
from vmstate.savevm.verdict import Outcome, cannot_judge
from vmstate.simulate.migration import Sent, received_from, send

Group = tuple[Side, list[Side]]

_LOADED = re.compile("load of migration failed")
_FIRST = "-nodefaults"


class GroupRecorder:
    """Asks the QEMUs ``binaries``, by release, about whole groups."""

    def __init__(self, binaries: Mapping[Release, Binary], *, timeout: float = 30.0) -> None:
        self._binaries = binaries
        self._timeout = timeout

    def record(self, group: Group) -> list[Row]:
        """Return a row for each destination; only one, without a destination, if the source is refused."""
        source, destinations = group
        with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
            path = Path(directory) / "stream"
            asked: Row = {"source": _recorded(source)}
            try:
                messages = capture(self._command(source), path, timeout=self._timeout)
            except (QemuRefused, QmpRefused) as refused:
                return [{**asked, "save": {"ok": False, "stderr": list(refused.messages)}}]
            except QemuStalled as stalled:
                return [{**asked, "save": {"ok": False, "stalled": True, "stderr": list(stalled.messages)}}]
            asked["save"] = {"ok": True, "stderr": list(messages)}
            stream = path.read_bytes()
            return [
                {**asked, "destination": _recorded(one), "load": self._load(stream, one)}
                for one in destinations
            ]

    def _load(self, stream: bytes, side: Side) -> dict[str, object]:
        command = self._command(side)
        with FastReplay(command, timeout=self._timeout) as fast:
            ran = fast.run(memoryview(stream))
        if ran.undecided:
            return replay(stream, command, timeout=self._timeout).recorded()
        return {"verdict": _verdict(ran), "stderr": list(ran.messages)}

    def _command(self, side: Side) -> QemuCommand:
        return QemuCommand.parse([self._binaries[side.release].path, *side.arguments])


def _recorded(side: Side) -> dict[str, object]:
    """Return a side as recorded: its arguments follow ``-nodefaults``."""
    words = list(side.arguments)
    return {"release": str(side.release), "args": words[1:] if words[:1] == [_FIRST] else words}


def _verdict(ran: RunResult) -> str:
    if ran.returncode is None:
        return STALLED
    if ran.returncode not in (0, 1):
        return f"crash rc={ran.returncode}"
    if ran.returncode == 0 and ran.completed:
        return "accept"
    return "reject" if any(map(_LOADED.match, ran.messages)) else "refused-to-start"


def modelled(group: Group, left_out: Callable[[str], None]) -> Group | None:
    """Return the group without what the simulator cannot judge, or None; ``left_out`` gets each reason."""
    source, destinations = group
    try:
        sent = send(source.configuration())
    except NotModelled as why:
        left_out(str(why))
        return None
    if sent.stream is None:
        return source, []
    kept: list[Side] = []
    for side in destinations:
        try:
            received_from(sent, side.configuration())
        except NotModelled as why:
            left_out(str(why))
        else:
            kept.append(side)
    return (source, kept) if kept else None


def compared(rows: Sequence[Row]) -> Iterator[Comparison]:
    """Compare the rows of one group with the simulator, which saves once, too."""
    sent: Sent | None = None
    for row in rows:
        question: Row = {side: row[side] for side in ("source", "destination") if side in row}
        try:
            sent = sent or send(_configuration(row["source"]))
            answer = _simulated(row, sent)
        except NotModelled as unknown:
            answer = Answer.of(cannot_judge(unknown))
        yield Comparison(_real(row), answer, question)


def _simulated(row: Row, sent: Sent) -> Answer:
    if sent.stream is None:
        return Answer(Outcome.SOURCE_REFUSED, (), tuple(sent.messages))
    if "destination" not in row:
        return Answer("saved", (), tuple(sent.messages))
    verdict = received_from(sent, _configuration(row["destination"])).verdict
    answer = Answer.of(verdict)
    return Answer(answer.outcome, answer.messages, tuple(sent.messages), answer.rule, answer.section)


def _configuration(recorded: Mapping[str, Any]) -> Configuration:
    return Side.of(Release.parse(recorded["release"]), [_FIRST, *recorded["args"]]).configuration()


def _real(row: Row) -> Answer:
    lines = without_installation(row["save"]["stderr"])
    if not row["save"]["ok"]:
        return Answer(STALLED if row["save"].get("stalled") else Outcome.SOURCE_REFUSED, (), lines)
    load = row["load"]
    words = {"refused-to-start": Outcome.DESTINATION_REFUSED}
    verdict = load["verdict"]
    outcome = "crash" if verdict.startswith("crash") else words.get(verdict, verdict)
    return Answer(outcome, without_installation(load["stderr"]), lines)


def read_groups(lines: Iterable[str]) -> list[list[Row]]:
    """Read recorded rows, with the number of their ``group``, as groups."""
    found: dict[int, list[Row]] = {}
    for line in lines:
        row = json.loads(line)
        found.setdefault(row["group"], []).append(row)
    return list(found.values())
