"""A folder of streams and recipes, given to a real and a simulated QEMU: a regression suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmstate.errors import VmstateError
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.faults import Fault, Run, disagreement
from vmstate.fuzz.plan import Base
from vmstate.fuzz.recipe import Recipe, read_recipes
from vmstate.fuzz.splices import applied
from vmstate.fuzz.targets import Target
from vmstate.judge.comparison import Comparison

_RECIPES = (".jsonl", ".recipe", ".recipe.json")


@dataclass(frozen=True)
class Entry:
    """A stream or recipe of the folder; ``name`` is its file's name, with the line for a recipe."""

    name: str
    path: Path
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Replayed:
    """The result of one entry; ``error``: why it could not be run."""

    name: str
    runs: tuple[Run, ...] = ()
    faults: tuple[Fault, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """True if there were no faults and all targets agreed."""
        return not self.faults and not self.error

    def as_json(self) -> dict[str, Any]:
        """Return the answers and the faults as a JSON object."""
        return {
            "name": self.name,
            "passed": self.passed,
            "answers": {run.target: run.as_json() for run in self.runs},
            "faults": [{"kind": str(f.kind), "signature": f.signature, "text": f.text} for f in self.faults],
            **({"error": self.error} if self.error else {}),
        }


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
        elif ".mig" in path.suffixes:
            found.append(Entry(name, path))
    return found


class Corpus:
    """The entries of a folder and their streams; a recipe's base is in the folder, or in ``more``."""

    def __init__(self, folder: Path, more: Sequence[Path] = ()) -> None:
        self.entries = entries(folder)
        self._paths = [entry.path for entry in self.entries if entry.recipe is None] + list(more)
        self._bases: dict[str, Anatomy] | None = None

    def stream(self, entry: Entry) -> bytes:
        """Return the stream of an entry.  Raises UnknownBase, and the errors of reading a stream."""
        if entry.recipe is None:
            return Base.read(str(entry.path), whole=True).data()
        base = self._base(entry.recipe)
        return applied(base.data, entry.recipe.splices(base))

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


def replayed(corpus: Corpus, targets: Sequence[Target]) -> Iterator[Replayed]:
    """Yield the result of each entry; a difference of two targets, the real one first, is a fault too."""
    for entry in corpus.entries:
        try:
            stream = corpus.stream(entry)
        except (VmstateError, OSError) as error:
            yield Replayed(entry.name, error=str(error))
            continue
        runs = tuple(target.run(memoryview(stream)) for target in targets)
        faults = [fault for run in runs for fault in run.faults]
        if len(runs) == 2:
            compared = Comparison(runs[0].answer, runs[1].answer, crash_predicted=True)
            if not compared.same:
                faults.append(disagreement(*runs, same_outcome=compared.same_outcome))
        yield Replayed(entry.name, runs, tuple(faults))
