"""A campaign's folder: its plan, its progress, its base streams, and its findings, one a line."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError
from vmstate.fuzz.plan import Plan
from vmstate.fuzz.tally import Found, Tally
from vmstate.outputs import save, save_text

FINDINGS, STATE, LOCK = "findings.jsonl", "state.json", ".lock"


@dataclass
class Progress:
    """The progress of a campaign; ``done`` has the finished runs as sorted ranges ``[first, end]``."""

    tally: Tally = field(default_factory=Tally)
    done: list[list[int]] = field(default_factory=list)

    def made(self, first: int, count: int) -> None:
        """Record finished runs."""
        merged: list[list[int]] = []
        for start, end in sorted([*self.done, [first, first + count]]):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([start, end])
        self.done = merged

    def todo(self, size: int, total: int | None) -> Iterator[tuple[int, int]]:
        """Yield the runs still to do, at most ``size`` at a time, up to ``total`` (without end if None)."""
        most = sys.maxsize if total is None else total
        at = 0
        for start, end in [*self.done, [most, most]]:
            stop = min(start, most)
            while at < stop:
                count = min(size, stop - at)
                yield at, count
                at += count
            at = end


class Folder:
    """The folder in which a campaign is kept; with ``path`` None nothing is kept.

    Raises ConfigurationError if the folder holds another campaign, or one is writing to it; OSError if it
    cannot be written.
    """

    def __init__(self, path: Path | None, plan: Plan) -> None:
        self.path = path
        self._lock: IO[str] | None = None
        self._plan = json.loads(json.dumps(plan.as_json()))
        if path is None:
            return
        path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path)
        self._state()  # the folder of another campaign is refused before anything is written
        for base in plan.bases:
            stored = path / "streams" / f"{base.name}.mig.zst"
            stored.parent.mkdir(exist_ok=True)
            save(stored, [base.packed])

    def close(self) -> None:
        """Let other campaigns write to the folder."""
        if self._lock is not None:
            self._lock.close()

    def load(self) -> Progress:
        """Load the progress of the campaign so far."""
        state = self._state()
        if self.path is None or not state:
            return Progress()
        tally = Tally.from_json(state["tally"])
        for found in read_findings(self.path / FINDINGS):
            tally.found[found.key] = found
        return Progress(tally, state["done"])

    def _state(self) -> dict[str, Any]:
        if self.path is None or not (self.path / STATE).exists():
            return {}
        state = _read_json(self.path / STATE)
        if state.get("plan") != self._plan:
            raise ConfigurationError(f"{self.path} is the folder of another campaign; give -o a new folder")
        return state

    def save(self, progress: Progress) -> None:
        """Write everything again: findings first, so that no run counts as done whose finding is not kept."""
        if self.path is None:
            return
        counts = progress.tally.signatures
        lines = (
            json.dumps({**found.as_json(), "count": counts[found.key]}, ensure_ascii=False)
            for found in sorted(progress.tally.found.values(), key=lambda f: (str(f.kind), f.signature))
        )
        save_text(self.path / FINDINGS, "".join(f"{line}\n" for line in lines))
        state = {"plan": self._plan, "done": progress.done, "tally": progress.tally.as_json()}
        save_text(self.path / STATE, json.dumps(state, ensure_ascii=False, indent=1))


def _lock(folder: Path) -> IO[str]:
    """Lock the folder for as long as the returned file is open."""
    file = (folder / LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigurationError(f"{folder}: another campaign writes to this folder now") from None
    return file


def read_findings(path: Path) -> list[Found]:
    """Read the findings of a file.  Raises ConfigurationError for a line that is not a finding, OSError."""
    if not path.exists():
        return []
    try:
        return [Found.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: not findings of a campaign: {error!r}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return state if isinstance(state, dict) else {}
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
