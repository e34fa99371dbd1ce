"""Recipes: a base stream by its hash, and the mutations to apply to it; one line of JSON each."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations import MUTATIONS, Mutation
from vmstate.fuzz.splices import Splice, combined

#: The weights of how many mutations a recipe has: mostly one.
_HOW_MANY = ((1, 70), (2, 20), (3, 7), (4, 3))
_HEAD = re.compile(r'\s*\{\s*"campaign"\s*:')


@dataclass(frozen=True)
class Step:
    """One mutation with its parameters."""

    mutation: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> Mutation:
        """The mutation.  Raises ConfigurationError for an unknown name."""
        found = MUTATIONS.get(self.mutation)
        if found is None:
            raise ConfigurationError(f"no such mutation: {self.mutation!r}")
        return found

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.mutation}({given})"


@dataclass(frozen=True)
class Recipe:
    """Mutations of a stream: ``base`` is its SHA-256, ``stream`` its name, for people.

    ``seed``: the seed from which the recipe was drawn.  ``without``: sections that are left out as well,
    because the finding does not need them.
    """

    base: str
    stream: str
    steps: tuple[Step, ...]
    seed: int | None = None
    without: tuple[str, ...] = ()

    def splices(self, base: Anatomy) -> list[Splice]:
        """Return the splices that it makes in ``base``.

        Raises ConfigurationError if the recipe is for another stream, or names an unknown mutation.
        """
        if base.sha256 != self.base:
            raise ConfigurationError(f"the recipe is for {self.stream} ({self.base}), not {base.sha256}")
        made = [splice for step in self.steps for splice in step.known.splices(base, step.parameters)]
        left_out = [base.by_path[path] for path in self.without if path in base.by_path]
        return combined([*made, *(Splice(part.start, part.end, b"") for part in left_out)])

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as a JSON object."""
        steps = [[step.mutation, step.parameters] for step in self.steps]
        seed = {} if self.seed is None else {"seed": self.seed}
        without = {"without": list(self.without)} if self.without else {}
        return {"stream": self.stream, "base": self.base, **seed, "mutations": steps, **without}

    @staticmethod
    def from_json(declared: dict[str, Any]) -> Recipe:
        """Read a recipe from a JSON object.  Raises ConfigurationError if it is not a recipe."""
        try:
            steps = tuple(Step(str(name), dict(parameters)) for name, parameters in declared["mutations"])
            without = tuple(map(str, declared.get("without", ())))
            return Recipe(
                str(declared["base"]), str(declared["stream"]), steps, declared.get("seed"), without
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"not a recipe: {error!r}") from None

    def __str__(self) -> str:
        return json.dumps(self.as_json(), ensure_ascii=False)


def drawn(base: Anatomy, seed: int, among: Sequence[Mutation] = ()) -> Recipe:
    """Draw the recipe of a seed: one or a few mutations (of ``among``, or of all) with parameters."""
    random = Random(seed)
    known = among or tuple(MUTATIONS.values())
    counts, weights = zip(*_HOW_MANY, strict=True)
    steps: list[Step] = []
    wanted = random.choices(counts, weights)[0]
    for _ in range(50 * wanted):
        chosen = random.choice(known)
        parameters = chosen.draw(base, random)
        if parameters is not None:
            steps.append(Step(chosen.name, parameters))
        if len(steps) == wanted:
            break
    return Recipe(base.sha256, base.name, tuple(steps), seed)


def recipe_of(line: str) -> Recipe:
    """Read the recipe of a line of JSON, or of a finding.  Raises ConfigurationError if it is neither."""
    try:
        declared = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"not a recipe: {error}") from None
    if not isinstance(declared, dict):
        raise ConfigurationError("a recipe is a JSON object")
    return Recipe.from_json(declared.get("recipe", declared))


def read_recipes(path: str) -> list[Recipe]:
    """Read the recipes of a file; "-" is the standard input.  Raises ConfigurationError, OSError.

    A line about the campaign that found them (``{"campaign": …}``) is skipped.
    """
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    return [recipe_of(line) for line in text.splitlines() if line.strip() and not _HEAD.match(line)]
