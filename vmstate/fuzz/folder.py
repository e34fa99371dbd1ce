"""A campaign's folder: its plan, its progress, its base streams, and its findings, one a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.fuzz.plan import Plan
from vmstate.fuzz.tally import Found, Tally

FINDINGS, STATE = "findings.jsonl", "state.json"


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

    Raises ConfigurationError if the folder holds another campaign, OSError if it cannot be written.
    """

    def __init__(self, path: Path | None, plan: Plan) -> None:
        self.path = path
        self._plan = json.loads(json.dumps(plan.as_json()))
        if path is None:
            return
        path.mkdir(parents=True, exist_ok=True)
        for base in plan.bases:
            stored = path / "streams" / f"{base.name}.mig.zst"
            stored.parent.mkdir(exist_ok=True)
            stored.write_bytes(base.packed)

    def load(self) -> Progress:
        """Load the progress of the campaign so far."""
        if self.path is None or not (self.path / STATE).exists():
            return Progress()
        state = _read_json(self.path / STATE)
        if state.get("plan") != self._plan:
            raise ConfigurationError(f"{self.path} is the folder of another campaign; give -o a new folder")
        tally = Tally.from_json(state["tally"])
        for found in read_findings(self.path / FINDINGS):
            tally.found[found.key] = found
        return Progress(tally, state["done"])

    def save(self, progress: Progress) -> None:
        """Write everything again; the old files stay until the new ones are complete."""
        if self.path is None:
            return
        state = {"plan": self._plan, "done": progress.done, "tally": progress.tally.as_json()}
        _replace(self.path / STATE, json.dumps(state, ensure_ascii=False, indent=1))
        counts = progress.tally.signatures
        lines = (
            json.dumps({**found.as_json(), "count": counts[found.key]}, ensure_ascii=False)
            for found in sorted(progress.tally.found.values(), key=lambda f: (str(f.kind), f.signature))
        )
        _replace(self.path / FINDINGS, "".join(f"{line}\n" for line in lines))


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


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(path.suffix + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
