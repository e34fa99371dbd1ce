"""The counts and findings of a campaign; those of several batches can be added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from vmstate.dataclass import dataclass, field, fields
from vmstate.fuzz.faults import Fault, Kind
from vmstate.fuzz.recipe import Recipe
from vmstate.fuzz.splices import Splice


@dataclass(frozen=True)
class Found:
    """A finding: a fault, its target, and the recipe that shows it.

    ``changed``: the number of bytes that the recipe removes and inserts.  ``known``: the name of the
    disagreement that explains it.
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
        """Make a finding of a fault."""
        changed = sum(splice.end - splice.start + len(splice.new) for splice in splices)
        return Found(fault.kind, fault.signature, target, recipe, fault.text, known, changed)

    @property
    def key(self) -> str:
        """The key that equal findings share."""
        return f"{self.kind} · {self.target} · {self.signature}"

    @property
    def effort(self) -> tuple[int, int]:
        """How much the recipe changes: mutations, then bytes."""
        return len(self.recipe.steps), self.changed

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
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
    def from_json(declared: dict[str, Any]) -> Found:
        """Read what :meth:`as_json` returned."""
        recipe = Recipe.from_json(declared["recipe"])
        kind, text, known = Kind(declared["kind"]), declared.get("text", ""), declared.get("known")
        return Found(
            kind, declared["signature"], declared["target"], recipe, text, known, declared.get("changed", 0)
        )


@dataclass
class Tally:
    """The counts of a campaign; ``agreement`` is by ``"kind NAME same"``, see :meth:`compared`.

    ``fields``: how often each region of a base was changed.  ``rules``: how often each check decided;
    ``traced``: in how many of the sampled runs each ran.  ``peak``: the peak memory of a worker, in bytes.
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
        """Count a finding; for each signature keep the simplest: fewest mutations, then fewest bytes."""
        self.signatures[found.key] += 1
        self._keep(found)

    def _keep(self, found: Found) -> bool:
        there = self.found.get(found.key)
        if there is not None and there.effort <= found.effort:
            return False
        self.found[found.key] = found
        return there is None

    def compared(self, kinds: set[str], names: set[str], *, outcome: bool, lines: bool, known: bool) -> None:
        """Count a comparison of two targets for each kind and name of its mutations."""
        same = "same" if outcome and lines else "lines" if outcome else "outcome"
        words = [f"{same}, explained"] if known else [same]
        for what in (*(f"kind {kind}" for kind in kinds), *(f"name {name}" for name in names), "all"):
            self.agreement.update(f"{what} {word}" if what != "all" else f"kind all {word}" for word in words)

    def add(self, other: Tally) -> list[Found]:
        """Add the counts of another tally; return the findings that are new."""
        self.runs += other.runs
        self.seconds += other.seconds
        self.peak = max(self.peak, other.peak)
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        return [found for found in other.found.values() if self._keep(found)]

    def as_json(self) -> dict[str, Any]:
        """Return everything but the findings as a JSON object."""
        plain: dict[str, Any] = {name: dict(getattr(self, name).most_common()) for name in _COUNTERS}
        return {"runs": self.runs, "seconds": round(self.seconds, 3), "peak_bytes": self.peak, **plain}

    @staticmethod
    def from_json(declared: dict[str, Any]) -> Tally:
        """Read what :meth:`as_json` returned."""
        tally = Tally(declared["runs"], declared["seconds"], peak=declared["peak_bytes"])
        for name in _COUNTERS:
            setattr(tally, name, Counter(declared.get(name, {})))
        return tally


_COUNTERS = tuple(f.name for f in fields(Tally) if f.name not in {"runs", "seconds", "found", "peak"})
