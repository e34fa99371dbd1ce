"""Results of hosts: as recorded verdicts, and beside what vmstate predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmstate.containers import open_input
from vmstate.errors import NotModelled
from vmstate.pseries.startup.command_line import Configuration, configuration
from vmstate.pseries.tables.accelerators import Host
from vmstate.simulate.guest import migrate_guest
from vmstate.simulate.migration import load, migrate

Row = dict[str, Any]
_OUTCOMES = {"refused-to-start": "destination-refused"}
#: What boots in a host.
GUEST = "linux-6.1"
_CPUINFO = ("cpu", "revision", "machine", "MMU")


def verdicts(results: Iterable[Row], host: str, release: str) -> Iterator[Row]:
    """Yield results in the form of the recorded verdicts; those of a stalled host are none."""
    for row in results:
        if "failed" in row:
            continue
        verdict: Row = {"host": host}
        if "until" in row:
            verdict["guest"] = _guest(row["save"].get("guest", {}))
        if row["op"] == "load":
            verdict |= {"stream": row["stream"].removesuffix(".mig")}
        else:
            if "keep" in row and "guest" in verdict and row["save"]["ok"]:
                verdict["stream"] = row["keep"].removesuffix(".mig")
            verdict["source"] = {"release": release, "args": row["source"]}
            verdict["save"] = {"ok": row["save"]["ok"], "stderr": row["save"]["stderr"]}
        if "destination" in row:
            verdict["destination"] = {"release": release, "args": row["destination"]}
        if "load" in row:
            verdict["load"] = row["load"]
        yield verdict


def _guest(ran: Row) -> Row:
    """What is kept of a guest that ran: whether it booted, and what it says of its processor."""
    lines = [line for line in ran.get("console", "").splitlines() if line.split("\t")[0] in _CPUINFO]
    return {"booted": ran.get("booted", False), "seconds": ran.get("seconds"), "cpuinfo": lines}


@dataclass(frozen=True)
class Answer:
    """An outcome with its lines: those of the source, those of the destination."""

    outcome: str
    source_messages: tuple[str, ...]
    messages: tuple[str, ...]


def real(verdict: Row) -> Answer:
    """Return what the real QEMUs said."""
    saved = verdict.get("save", {"ok": True, "stderr": []})
    if not saved["ok"]:
        return Answer("source-refused", tuple(saved["stderr"]), ())
    loaded = verdict["load"]
    outcome = "reject" if loaded["verdict"].startswith("crash") else loaded["verdict"]
    return Answer(_OUTCOMES.get(outcome, outcome), tuple(saved["stderr"]), tuple(loaded["stderr"]))


def predicted(verdict: Row, host: Host | None, streams: Path) -> Answer:
    """Return what vmstate says; its outcome is ``not modelled`` where it cannot judge.

    ``streams``: the folder with the streams; those of guests that ran may be in ``saved`` beside it.
    """
    try:
        destination = _side(verdict["destination"], host)
        first: tuple[str, ...] = ()
        if "source" in verdict:
            source = _side(verdict["source"], host)
            ran = "guest" in verdict
            told = migrate_guest(source, destination, GUEST) if ran else migrate(source, destination)
            first = tuple(told.source_messages)
        if "stream" in verdict:  # what a real guest left, not a simulated one
            with open_input(_stream(streams, verdict)) as stream:
                told = load(stream.data, destination)
    except NotModelled as error:
        return Answer("not modelled", (), (str(error),))
    return Answer(str(told.outcome), first, tuple(told.messages))


def _stream(streams: Path, verdict: Row) -> Path:
    saved = streams.parent / "saved"
    folder = saved if "source" in verdict and saved.exists() else streams
    for file in folder.glob(f"{verdict['stream']}.mig*"):
        return file
    raise FileNotFoundError(f"no stream {verdict['stream']} in {folder}")


def _side(recorded: Row, host: Host | None) -> Configuration:
    return configuration(recorded["release"], ["-nodefaults", *recorded["args"]], host=host)


@dataclass
class Comparison:
    """How predictions agree with real verdicts."""

    asked: int = 0
    same_outcome: int = 0
    same: int = 0
    false_accepts: int = 0
    not_modelled: int = 0
    different: list[tuple[Row, Answer, Answer]] = field(default_factory=list)

    def add(self, verdict: Row, ours: Answer) -> None:
        """Count one verdict, and keep it if the two differ."""
        theirs = real(verdict)
        self.asked += 1
        self.same_outcome += ours.outcome == theirs.outcome
        self.same += ours == theirs
        self.not_modelled += ours.outcome == "not modelled"
        self.false_accepts += ours.outcome == "accept" != theirs.outcome
        if ours != theirs:
            self.different.append((verdict, theirs, ours))


def compare(found: Iterable[Row], predict: Callable[[Row], Answer]) -> Comparison:
    """Compare verdicts with predictions; guests that ran but did not boot in time are left out."""
    comparison = Comparison()
    for verdict in found:
        unfinished = "guest" in verdict and not verdict["guest"]["booted"] and verdict["save"]["ok"]
        if not unfinished:
            comparison.add(verdict, predict(verdict))
    return comparison
