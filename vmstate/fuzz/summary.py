"""A campaign's counts as tables for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import diagnostics as of_descriptions
from vmstate.describe.diagnostics import Diagnostic
from vmstate.fuzz.faults import Kind
from vmstate.fuzz.mutations import MUTATIONS
from vmstate.fuzz.tally import Tally
from vmstate.savevm import diagnostics as of_loaders

_MODULES = (of_descriptions.__name__, of_loaders.__name__)
_RANK = {str(kind): number for number, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Agreement:
    """How often two targets agreed on the streams of a kind of mutation."""

    what: str
    runs: int
    outcome: int
    lines: int
    explained: int

    @property
    def outcome_share(self) -> float:
        """The share of runs whose outcomes agree, 0 to 1."""
        return self.outcome / self.runs if self.runs else 1.0

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        return {
            "runs": self.runs,
            "outcome": self.outcome,
            "lines": self.lines,
            "explained": self.explained,
        }


def agreements(tally: Tally, what: str = "kind") -> list[Agreement]:
    """Return the agreement by kind of mutation, or by ``name``; the last row is "all"."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for key, count in tally.agreement.items():
        of, _, rest = key.partition(" ")
        name, _, word = rest.rpartition(" ") if ", explained" not in rest else _explained(rest)
        if of == what:
            counts[name][word] += count
    found = []
    for name in sorted(counts, key=lambda name: (name == "all", name)):
        words = counts[name]
        explained = sum(count for word, count in words.items() if word.endswith(", explained"))
        outcome = sum(count for word, count in words.items() if not word.startswith("outcome"))
        found.append(Agreement(name, words.total(), outcome, words["same"], explained))
    return found


def _explained(rest: str) -> tuple[str, str, str]:
    name, _, word = rest.removesuffix(", explained").rpartition(" ")
    return name, "", f"{word}, explained"


def checks() -> list[str]:
    """Return every check of the loader and of descriptions that has its own name."""
    kinds = Diagnostic.__subclasses__()
    return sorted({kind.rule() for kind in kinds if kind.__module__ in _MODULES})


def coverage(tally: Tally, places: set[str]) -> dict[str, Any]:
    """Return which places were changed and which checks decided, and which were not or did not."""
    decided: dict[str, Counter[str]] = defaultdict(Counter)
    for key, count in tally.rules.items():
        kind, _, rule = key.partition(": ")
        decided[rule][kind] += count
    known = set(checks())
    return {
        "places": {
            "all": len(places),
            "changed": len(places & set(tally.fields)),
            "unchanged": sorted(places - set(tally.fields)),
            "counts": dict(tally.fields.most_common()),
        },
        "rules": {rule: dict(kinds.most_common()) for rule, kinds in sorted(decided.items())},
        "rules_not_reached": sorted(known - set(decided)) if known & set(decided) else [],
        "traced": dict(tally.traced.most_common()),
        "mutations": {name: tally.mutations[name] for name in sorted(MUTATIONS)},
    }


def finding_lines(tally: Tally) -> Iterator[str]:
    """Yield the findings by signature, most frequent first within a kind."""
    found = sorted(tally.found.values(), key=lambda f: (_RANK[str(f.kind)], -tally.signatures[f.key]))
    for one in found:
        known = f" (known: {one.known})" if one.known else ""
        yield f"{tally.signatures[one.key]:7}  {one.kind}: {one.target}: {one.signature}{known}"


def agreement_lines(tally: Tally) -> Iterator[str]:
    """Yield the table of agreement between a real and a simulated destination, by kind of mutation."""
    rows = agreements(tally)
    if not rows:
        return
    width = max(len("mutations"), *(len(row.what) for row in rows))
    yield f"{'mutations':<{width}}     runs  outcome    lines  explained"
    for row in rows:
        share = row.lines / row.runs if row.runs else 1.0
        yield f"{row.what:<{width}} {row.runs:8} {row.outcome_share:8.2%} {share:8.2%} {row.explained:10}"


def coverage_lines(tally: Tally, places: set[str]) -> Iterator[str]:
    """Yield a short summary of the coverage."""
    reached = coverage(tally, places)
    drawn = sum(1 for count in reached["mutations"].values() if count)
    yield f"mutations drawn: {drawn} of {len(reached['mutations'])}"
    yield f"places changed: {reached['places']['changed']} of {reached['places']['all']}"
    if reached["rules"]:
        yield "checks that decided, by kind of mutation:"
        for rule, kinds in sorted(reached["rules"].items(), key=lambda row: -sum(row[1].values())):
            by = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
            yield f"{sum(kinds.values()):9}  {rule}: {by}"
        missing = reached["rules_not_reached"]
        if missing:
            yield f"named checks that never decided: {', '.join(missing)}"
