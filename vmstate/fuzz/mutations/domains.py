"""The parameters of mutations: sections, fields, numbers; each can be drawn and simplified.

Values are JSON: a recipe holds them.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Any, Protocol

from vmstate.dataclass import dataclass
from vmstate.fuzz.anatomy import Anatomy

Value = Any
Chosen = Mapping[str, Value]


class Domain(Protocol):
    """A parameter of a mutation."""

    def draw(self, base: Anatomy, random: Random, chosen: Chosen) -> Value:
        """Draw a value; ``chosen`` has the earlier parameters.  Return None if the stream offers no value."""

    def simpler(self, base: Anatomy, value: Value, chosen: Chosen) -> Iterator[Value]:
        """Return the values that a reader would find simpler, the simplest first."""


@dataclass(frozen=True)
class OneOf:
    """One of several values, simplest first; they may depend on the stream and the earlier parameters."""

    values: Callable[[Anatomy, Chosen], Sequence[Value]]

    def draw(self, base: Anatomy, random: Random, chosen: Chosen) -> Value:
        """Draw one, or None if there are none."""
        values = self.values(base, chosen)
        if not values:
            return None
        return values[int(random.random() * len(values))]

    def simpler(self, base: Anatomy, value: Value, chosen: Chosen) -> Iterator[Value]:
        """Return the values before it."""
        values = self.values(base, chosen)
        yield from values[: values.index(value)] if value in values else values


@dataclass(frozen=True, eq=False)
class Place:
    """A place in the stream, by path: one of ``values``, which are found once per stream, simplest first."""

    values: Callable[[Anatomy], Sequence[Value]]
    weight: Callable[[Anatomy, Value], float] | None = None

    def table(self, base: Anatomy) -> tuple[Sequence[Value], list[float]]:
        """Return all places and their cumulative weights."""
        return base.remember(self, self._find)

    def _find(self, base: Anatomy) -> tuple[Sequence[Value], list[float]]:
        values = self.values(base)
        weight = self.weight
        return values, list(accumulate(1.0 if weight is None else weight(base, value) for value in values))

    def draw(self, base: Anatomy, random: Random, chosen: Chosen) -> Value:
        """Draw one, or None if there are none."""
        values, weights = self.table(base)
        if not values:
            return None
        return values[min(bisect(weights, random.random() * weights[-1]), len(values) - 1)]

    def simpler(self, base: Anatomy, value: Value, chosen: Chosen) -> Iterator[Value]:
        """Return the values before it."""
        values, _ = self.table(base)
        yield from values[: values.index(value)] if value in values else values


@dataclass(frozen=True)
class Number:
    """A number from ``low`` to ``high`` (both may depend on the stream); simpler is nearer to ``low``."""

    low: Callable[[Anatomy, Chosen], int]
    high: Callable[[Anatomy, Chosen], int]

    def draw(self, base: Anatomy, random: Random, chosen: Chosen) -> Value:
        """Draw one, or None if there are none."""
        low, high = self.low(base, chosen), self.high(base, chosen)
        return low + int(random.random() * (high - low + 1)) if low <= high else None

    def simpler(self, base: Anatomy, value: Value, chosen: Chosen) -> Iterator[Value]:
        """Return ``low``, then values that halve the distance to ``value``."""
        low = self.low(base, chosen)
        step = value - low
        while step > 0:
            yield value - step
            step //= 2


def among(*values: Value) -> OneOf:
    """Return a domain of these values, the simplest first."""
    return OneOf(lambda _base, _chosen: values)


def between(low: int, high: int) -> Number:
    """Return the domain of the numbers from ``low`` to ``high``."""
    return Number(lambda _base, _chosen: low, lambda _base, _chosen: high)
