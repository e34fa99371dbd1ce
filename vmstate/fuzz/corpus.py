"""A folder of streams and recipes, given to a real and a simulated QEMU: a regression suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.errors import VmstateError
from vmstate.expectations import SUFFIX, Ended, Expectation, beside, recorded
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.faults import Fault, Kind, Run, disagreement
from vmstate.fuzz.plan import Base
from vmstate.fuzz.recipe import Recipe, read_recipes
from vmstate.fuzz.splices import applied
from vmstate.fuzz.targets import Target
from vmstate.judge.comparison import Comparison
from vmstate.junit import Case, Failure

_RECIPES = (".jsonl", ".recipe", ".recipe.json")


@dataclass(frozen=True)
class Entry:
    """A stream or recipe of the folder; ``name`` is its file's name, with the line for a recipe."""

    name: str
    path: Path
    recipe: Recipe | None = None


_DISAGREEMENTS = frozenset({Kind.OUTCOME, Kind.LINES})


@dataclass(frozen=True)
class Replayed:
    """The result of one entry; ``error``: why it could not be run.

    ``expectation``: of the first target, the real one; None if nothing is expected.
    """

    name: str
    runs: tuple[Run, ...] = ()
    faults: tuple[Fault, ...] = ()
    error: str = ""
    expectation: Expectation | None = None

    @property
    def agrees(self) -> bool | None:
        """True if both targets gave the same answer; None if there were not two."""
        if len(self.runs) < 2:
            return None
        return not any(fault.kind in _DISAGREEMENTS for fault in self.faults)

    @property
    def unexpected(self) -> tuple[str, ...] | None:
        """The differences from what was expected; None if nothing was expected, or it could not be run."""
        if self.expectation is None or not self.runs:
            return None
        answer = self.runs[0].answer
        ended = Ended(answer.outcome, answer.messages, answer.source_messages)
        return tuple(self.expectation.differences(ended))

    @property
    def fine(self) -> bool:
        """True if the targets agree, and it ended as expected; if nothing is expected, without a fault."""
        if self.error or self.agrees is False or self.unexpected:
            return False
        return self.expectation is not None or not self.faults

    def as_json(self) -> dict[str, Any]:
        """Return the answers, how they compare with one another and with the expectation, and the faults."""
        expected: dict[str, Any] = {}
        if self.expectation is not None:
            expected["expect"] = self.expectation.as_json()
            expected["as_expected"] = self.unexpected == ()
            expected["unexpected"] = list(self.unexpected or ())
        return {
            "name": self.name,
            "agrees_with_simulator": self.agrees,
            **expected,
            "answers": {run.target: run.as_json() for run in self.runs},
            "faults": [{"kind": str(f.kind), "signature": f.signature, "text": f.text} for f in self.faults],
            **({"error": self.error} if self.error else {}),
        }

    def as_case(self) -> Case:
        """Return the result for JUnit: a failure for what is not as expected, and for what is not fine."""
        output = "\n".join(line for run in self.runs for line in run.lines())
        failures = [Failure("not as expected", one, output) for one in self.unexpected or ()]
        if not self.fine:
            failures += [
                Failure(str(fault.kind), f"{fault.kind}: {fault.signature}", fault.text)
                for fault in self.faults
            ]
        seconds = sum(run.seconds for run in self.runs)
        return Case(self.name, tuple(failures), self.error, output=output, seconds=seconds)


def entries(folder: Path) -> list[Entry]:
    """List the streams (``*.mig``, also compressed) and recipes (one a line) of a folder, recursively.

    Raises ConfigurationError for a line that is not a recipe, OSError.
    """
    found: list[Entry] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.name.endswith(_RECIPES):
            recipes = read_recipes(str(path))
            many = len(recipes) > 1
            found += [Entry(f"{name}:{n}" if many else name, path, r) for n, r in enumerate(recipes, 1)]
        elif ".mig" in path.suffixes and path.suffix != SUFFIX:
            found.append(Entry(name, path))
    return found


class Corpus:
    """The entries of a folder and their streams; a recipe's base is in the folder, or in ``more``."""

    def __init__(self, folder: Path, more: Sequence[Path] = ()) -> None:
        self.entries = entries(folder)
        self._recorded = recorded(folder)
        self._paths = [entry.path for entry in self.entries if entry.recipe is None] + list(more)
        self._bases: dict[str, Anatomy] | None = None

    def stream(self, entry: Entry) -> bytes:
        """Return the stream of an entry.  Raises UnknownBase, and the errors of reading a stream."""
        if entry.recipe is None:
            return Base.read(str(entry.path), whole=True).data()
        base = self._base(entry.recipe)
        return applied(base.data, entry.recipe.splices(base))

    def expectation(self, entry: Entry) -> Expectation | None:
        """Return what the folder's record, or the file beside it, expects of an entry, if anything."""
        return self._recorded.get(entry.name) or beside(entry.path)

    def _base(self, recipe: Recipe) -> Anatomy:
        """Find the base: a stream as it is, or with most of its memory left out, as campaigns use it."""
        if self._bases is None:
            self._bases = {}
            for path in self._paths:
                for whole in (True, False):
                    base = Base.read(str(path), whole=whole)
                    if base.sha256 not in self._bases:
                        self._bases[base.sha256] = Anatomy(base.data(), base.name)
        if recipe.base not in self._bases:
            raise UnknownBase(f"the base stream {recipe.stream} ({recipe.base}) is not in the folder")
        return self._bases[recipe.base]


class UnknownBase(VmstateError):
    """A recipe's base stream is missing.  Put it into the folder."""


def replayed(
    corpus: Corpus, targets: Sequence[Target], default: Expectation | None = None
) -> Iterator[Replayed]:
    """Yield the result of each entry; a difference of two targets, the real one first, is a fault too.

    ``default`` is expected of the entries of which the folder expects nothing else.  Raises
    ConfigurationError for a malformed expectation.
    """
    for entry in corpus.entries:
        expectation = corpus.expectation(entry) or default
        try:
            stream = corpus.stream(entry)
        except (VmstateError, OSError) as error:
            yield Replayed(entry.name, error=str(error), expectation=expectation)
            continue
        runs = tuple(target.run(memoryview(stream)) for target in targets)
        faults = [fault for run in runs for fault in run.faults]
        if len(runs) == 2:
            compared = Comparison(runs[0].answer, runs[1].answer, crash_predicted=True)
            if not compared.same:
                faults.append(disagreement(*runs, same_outcome=compared.same_outcome))
        yield Replayed(entry.name, runs, tuple(faults), expectation=expectation)
