"""What a campaign has counted, and the findings that it keeps; parts of it can be put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from vmstate.fuzz.faults import Fault, Kind
from vmstate.fuzz.recipe import Recipe
from vmstate.fuzz.splices import Splice


@dataclass(frozen=True)
class Found:
    """A finding: what is wrong, on which target, and the recipe that shows it.

    ``changed``: how many bytes of the stream the recipe takes away and puts in.
    """

    kind: Kind
    signature: str
    target: str
    recipe: Recipe
    text: str = ""
    known: str | None = None
    changed: int = 0

    @staticmethod
    def of(
        fault: Fault, target: str, recipe: Recipe, splices: Sequence[Splice] = (), known: str | None = None
    ) -> Found:
        """A finding of a fault."""
        changed = sum(splice.end - splice.start + len(splice.new) for splice in splices)
        return Found(fault.kind, fault.signature, target, recipe, fault.text, known, changed)

    @property
    def key(self) -> str:
        """By what two findings are the same."""
        return f"{self.kind} · {self.target} · {self.signature}"

    @property
    def effort(self) -> tuple[int, int]:
        """How much had to be done to show it."""
        return len(self.recipe.steps), self.changed

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object; ``known`` names a disagreement that has been explained."""
        known = {} if self.known is None else {"known": self.known}
        return {
            "kind": str(self.kind),
            "signature": self.signature,
            "target": self.target,
            **known,
            "recipe": self.recipe.as_json(),
            "changed": self.changed,
            "text": self.text,
        }

    @staticmethod
    def from_json(told: dict[str, Any]) -> Found:
        """What :meth:`as_json` wrote."""
        recipe = Recipe.from_json(told["recipe"])
        kind, text, known = Kind(told["kind"]), told.get("text", ""), told.get("known")
        return Found(kind, told["signature"], told["target"], recipe, text, known, told.get("changed", 0))


@dataclass
class Tally:
    """Counters go by what they count; ``agreement`` by ``"kind NAME same"``, see :meth:`compared`.

    ``fields``: how often each place of a base was changed.  ``rules``: how often each decided, ``traced``:
    in how many of the sampled runs each ran.  ``peak``: the most memory of a worker, in bytes.
    """

    runs: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    traced: Counter[str] = field(default_factory=Counter)
    agreement: Counter[str] = field(default_factory=Counter)
    signatures: Counter[str] = field(default_factory=Counter)
    found: dict[str, Found] = field(default_factory=dict)
    peak: int = 0

    def note(self, found: Found) -> None:
        """Count a finding; of its signature keep the simplest: fewest mutations, then fewest bytes."""
        self.signatures[found.key] += 1
        self._keep(found)

    def _keep(self, found: Found) -> bool:
        there = self.found.get(found.key)
        if there is not None and there.effort <= found.effort:
            return False
        self.found[found.key] = found
        return there is None

    def compared(self, kinds: set[str], names: set[str], *, outcome: bool, lines: bool, known: bool) -> None:
        """Count a comparison of two targets for each kind and name of the mutations it was made with."""
        same = "same" if outcome and lines else "lines" if outcome else "outcome"
        words = [f"{same}, explained"] if known else [same]
        for what in (*(f"kind {kind}" for kind in kinds), *(f"name {name}" for name in names), "all"):
            self.agreement.update(f"{what} {word}" if what != "all" else f"kind all {word}" for word in words)

    def add(self, other: Tally) -> list[Found]:
        """Put another's counts to these; returns the findings that are new."""
        self.runs += other.runs
        self.seconds += other.seconds
        self.peak = max(self.peak, other.peak)
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        return [found for found in other.found.values() if self._keep(found)]

    def as_json(self) -> dict[str, Any]:
        """All but the findings, as a JSON object."""
        plain: dict[str, Any] = {name: dict(getattr(self, name).most_common()) for name in _COUNTERS}
        return {"runs": self.runs, "seconds": round(self.seconds, 3), "peak_bytes": self.peak, **plain}

    @staticmethod
    def from_json(told: dict[str, Any]) -> Tally:
        """What :meth:`as_json` wrote."""
        tally = Tally(told["runs"], told["seconds"], peak=told["peak_bytes"])
        for name in _COUNTERS:
            setattr(tally, name, Counter(told.get(name, {})))
        return tally


_COUNTERS = tuple(f.name for f in fields(Tally) if f.name not in {"runs", "seconds", "found", "peak"})
