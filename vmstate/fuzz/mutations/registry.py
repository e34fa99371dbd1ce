"""The mutations by name, and how one is drawn, applied and simplified."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from random import Random

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Chosen, Domain, Value
from vmstate.fuzz.splices import Splice

Function = Callable[..., list[Splice]]
Needs = Callable[[Anatomy], bool]


@dataclass(frozen=True)
class Mutation:
    """A named change; ``domains`` are its parameters in order, ``kind`` its class in tables.

    ``needs``: a predicate that is true for the streams that it applies to.
    """

    name: str
    kind: str
    about: str
    domains: dict[str, Domain]
    function: Function
    needs: Needs | None = None

    def draw(self, base: Anatomy, random: Random) -> dict[str, Value] | None:
        """Draw parameters for this stream; return None if it has nothing that can be changed this way."""
        if self.needs is not None and not self.needs(base):
            return None
        chosen: dict[str, Value] = {}
        for name, domain in self.domains.items():
            chosen[name] = domain.draw(base, random, chosen)
            if chosen[name] is None:
                return None
        return chosen

    def splices(self, base: Anatomy, chosen: Chosen) -> list[Splice]:
        """Return its splices; none if a parameter names something that the stream does not have.

        Raises ConfigurationError for parameters that the mutation does not take.
        """
        if chosen.keys() != self.domains.keys():
            given, known = ", ".join(chosen) or "none", ", ".join(self.domains) or "none"
            raise ConfigurationError(f"{self.name} has the parameters {known}; given: {given}")
        try:
            if self.needs is not None and not self.needs(base):
                return []
            return self.function(base, **chosen)
        except (KeyError, IndexError):
            return []
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigurationError(f"{self.name}: parameters of a wrong kind: {error}") from None

    def simpler(self, base: Anatomy, chosen: Chosen) -> Iterator[dict[str, Value]]:
        """Yield the same parameters with one of them simplified."""
        for name, domain in self.domains.items():
            for value in domain.simpler(base, chosen[name], chosen):
                yield {**chosen, name: value}


#: All mutations, by name.
MUTATIONS: dict[str, Mutation] = {}


def mutation(kind: str, needs: Needs | None = None, /, **domains: Domain) -> Callable[[Function], Function]:
    """Register a function as a mutation: its name (with dashes), its docstring's first line, its parameters.

    It takes the :class:`Anatomy` and a value for each parameter, and returns splices of the base stream.
    """

    def register(function: Function) -> Function:
        name = function.__name__.replace("_", "-")
        about = (inspect.getdoc(function) or "").partition("\n")[0]
        MUTATIONS[name] = Mutation(name, kind, about, domains, function, needs)
        return function

    return register
